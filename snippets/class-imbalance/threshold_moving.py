"""Moving the threshold to c_FP / (c_FP + c_FN) is near-optimal, without new training.

Elkan 2001. 5 % positives; a miss costs as much as 19 false alarms, so p* = 1/20.
Logistic regression on 4,000 cases; rivals: p = 0.5, and training with class weights.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression

torch.set_default_dtype(torch.float64)
prior, c_fp, c_fn = 0.05, 1.0, 19.0
p_star = c_fp / (c_fp + c_fn)


def sample(n):
    """Two normal clouds in 8 dimensions, 2 standard deviations apart."""
    y = (torch.rand(n) < prior).long()
    x = torch.randn(n, 8)
    x[:, 0] += 2 * y
    return x.numpy(), y.numpy()


def cost(p, y, threshold):
    """Mean cost a case when p > threshold raises an alarm."""
    alarm = p > threshold
    return (c_fp * (alarm & (y == 0)) + c_fn * (~alarm & (y == 1))).mean()


table = []
for seed in range(5):
    torch.manual_seed(seed)
    train, (x, y) = sample(4000), sample(20_000)
    fits = [
        LogisticRegression(C=1e6, class_weight=w, tol=1e-6).fit(*train)
        for w in (None, {0: c_fp, 1: c_fn})
    ]
    p, p_weighted = [f.predict_proba(x)[:, 1] for f in fits]
    best = min(cost(p, y, t) for t in torch.linspace(0.002, 0.6, 300).numpy())
    table.append([cost(p, y, 0.5), cost(p, y, p_star), cost(p_weighted, y, 0.5), best])
half, moved, weighted, best = torch.tensor(table).T
assert (half > 1.5 * moved).all() and (moved < 1.1 * best).all()
assert ((moved / weighted - 1).abs() < 0.06).all()
print(f"cost a case, 5 seeds: threshold 0.5 {half.mean():.2f}, p* {moved.mean():.2f},")
print(f"class weights {weighted.mean():.2f}, best threshold found {best.mean():.2f}")

s = torch.linspace(-3.5, 5.5, 181)  # a score, N(0, 1) or N(2, 1)
bell = torch.exp(-torch.stack([s, s - 2]).square() / 2) / (2 * torch.pi) ** 0.5
fig, axes = plt.subplots(2, 1, figsize=(6, 5), sharex=True)
for ax, pi, top in zip(axes, (0.5, prior), (0.22, 0.04)):
    negative, positive = (1 - pi) * bell[0], pi * bell[1]
    cut = s[positive > negative].min().item()  # p = 0.5
    ax.plot(s, negative, "k-", s, positive, "C1--")
    ax.fill_between(s, negative, where=s >= cut, color="0.7", label="false alarms")
    ax.fill_between(
        s, positive, where=s <= cut, ec="C1", fc="none", hatch="///", label="misses"
    )
    ax.axvline(cut, color="k", ls=":", label="p = 0.5")
    ax.set(title=f"{pi:.0%} positive", ylabel="density", ylim=(0, top))
axes[1].axvline(1, color="C0", ls="-.", label="p = 0.05")
axes[1].legend(loc="upper left")
axes[1].set_xlabel("score")
plt.show()
