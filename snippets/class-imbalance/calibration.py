"""Class weights inflate every probability; a shift by the log weight repairs them.

5 % positives, weighted by 19: training sees odds 19 times as high (Elkan 2001).
"""

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression

torch.set_default_dtype(torch.float64)
prior, weight = 0.05, 19.0


def sample(n):
    y = (torch.rand(n) < prior).double()
    return torch.randn(n, 8) + 2 * y[:, None] * torch.eye(8)[0], y  # 2 sd apart


def reliability(p, y, bins=10):
    """Count, mean prediction and share of positives in equal bins of p."""
    k = (p * bins).long().clamp(max=bins - 1)
    n = torch.bincount(k, minlength=bins)
    total = torch.zeros(2, bins).index_add(1, k, torch.stack([p, y]))
    return n, *(total / n)  # NaN where a bin is empty


def ece(p, y, bins=10):
    """Expected calibration error: the gap in each bin, weighted by its count."""
    n, predicted, observed = reliability(p, y, bins)
    return (n * (predicted - observed).abs()).nansum().item() / len(p)


results = {"plain": [], "weighted": [], "corrected": []}
for seed in range(5):
    torch.manual_seed(seed)
    (x, y), (x_test, y_test) = sample(4000), sample(20_000)
    p = {}
    for name, w in (("plain", 1.0), ("weighted", weight)):
        model = LogisticRegression(C=1e6, class_weight={0: 1.0, 1: w}, tol=1e-6)
        model.fit(x, y)
        p[name] = torch.tensor(model.predict_proba(x_test)[:, 1])
    p["corrected"] = (p["weighted"].logit() - torch.tensor(weight).log()).sigmoid()
    for name, r in results.items():
        r.append((p[name].mean(), ece(p[name], y_test)))
for name, r in results.items():
    mean, error = results[name] = torch.tensor(r).T
    print(
        f"{name:9s} mean probability {mean.mean():.2f}, ECE {error.mean():.2f}"
        f" ({error.min():.2f}-{error.max():.2f}, 5 seeds)"
    )
assert results["weighted"][1].min() > 0.15 and results["weighted"][0].min() > 4 * prior
assert max(results["plain"][1].max(), results["corrected"][1].max()) < 0.015

plt.figure(figsize=(5.5, 4))
plt.plot([0, 1], [0, 1], "k:", label="ideal")
for (name, q), style in zip(p.items(), ("ko-", "C1s--", "C0^-.")):
    _, predicted, observed = reliability(q, y_test, 8)
    plt.plot(predicted, observed, style, label=name)
plt.gca().set(xlabel="predicted probability", ylabel="share that is positive")
plt.legend()
plt.show()
