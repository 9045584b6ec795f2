"""The threshold that maximizes F1 is half of the best F1, so it is at most 0.5.

Lipton, Elkan and Narayanaswamy, ECML PKDD 2014. Calibrated probabilities p (N,):
among samples with score p, a share p is positive.
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)


def f1_curve(p, weight):  # F1 if the k highest scores are called positive, k = 1..N
    p, order = p.sort(descending=True)
    k = torch.arange(1, len(p) + 1)
    return p, 2 * weight[order].cumsum(0) / (k + weight.sum())


N = 100000
shapes = {"frequent": (2.0, 2.0), "rarer": (0.5, 2.0), "rare": (0.3, 6.0)}
fig, ax = plt.subplots(figsize=(7, 3.8))
print("label     positives  best F1  F1 at 0.5   (5 seeds)")
for (name, (a, b)), style in zip(shapes.items(), ["-", "--", "-."]):
    rows = []
    for seed in range(5):
        torch.manual_seed(seed)
        beta = torch.distributions.Beta(torch.tensor(a), torch.tensor(b))
        p = beta.sample((N,))
        t, f1 = f1_curve(p, p)  # expected counts: each sample counts p
        best = f1.argmax()
        half = f1[best] / 2
        assert t[best] >= half > t[best + 1]  # the best cut is at F1 / 2
        y = (torch.rand(N) < p).double()  # labels drawn from p
        t, drawn = f1_curve(p, y)
        at_half, at_05 = drawn[(t > half).sum() - 1], drawn[(t > 0.5).sum() - 1]
        assert at_half > drawn.max() - 0.01 and at_half > at_05 + 0.02
        rows.append([p.mean(), at_half, at_05])
    share, high, low = torch.tensor(rows).mean(0)
    print(f"{name:10} {100 * share:4.0f} %      {high:.2f}     {low:.2f}")
    ax.plot(t[::200], f1[::200], style, linewidth=2, label=f"{name} ({share:.0%})")
    ax.plot(half, 2 * half, "ko", markersize=8)
ax.axvline(0.5, color="gray")
ax.plot([0, 0.45], [0, 0.9], color="gray", linewidth=1)
ax.text(0.43, 0.88, "F1 = 2 × threshold", ha="right", fontsize=12)
ax.set_xlabel("threshold", fontsize=13), ax.set_ylabel("F1", fontsize=13)
ax.set_xlim(0, 1), ax.set_ylim(0, 1), ax.legend(fontsize=12)
plt.tight_layout(), plt.show()
