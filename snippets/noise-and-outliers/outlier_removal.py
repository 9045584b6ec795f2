"""Removing outliers by distance deletes true images of a rare class far more often than
those of common classes.

Digits as vectors (N, 64), each class in turn made rare (4 images), 20 broken images of
uniform noise. Score: distance to the 10th nearest neighbor; the top 5 % are removed.
"""

import torch
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)


def outlier_score(x, k=10):
    """Distance of each row of x (N, D) to its k-th nearest other row."""
    distance = torch.cdist(x, x)
    return distance.kthvalue(k + 1, dim=1).values  # the smallest is itself, at 0


X, Y = (torch.tensor(v) for v in load_digits(return_X_y=True))
X, SEEDS = X / 16, 5
removed = torch.zeros(SEEDS, 10, 3)  # seed, rare class, group
for seed in range(SEEDS):
    torch.manual_seed(seed)
    for c in range(10):
        order = torch.randperm(len(X))
        common, rare = order[Y[order] != c][:1000], order[Y[order] == c][:4]
        x = torch.cat([X[common], X[rare], torch.rand(20, 64)])
        group = torch.tensor([0] * 1000 + [1] * 4 + [2] * 20)
        score = outlier_score(x)
        out = score > score.quantile(0.95)
        for g in range(3):
            removed[seed, c, g] = out[group == g].double().mean()

names = ["common classes", "rare class", "broken images"]
for name, r in zip(names, removed.unbind(2)):
    r = r.mean(1)  # over the ten choices of the rare class, range over seeds
    print(f"removed of {name:14} {r.mean():.2f} ({r.min():.2f} to {r.max():.2f})")
by_class = removed[..., 1].mean(0)
print(
    f"rare class, by digit: {by_class.min():.2f} (digit {by_class.argmin()}) to "
    f"{by_class.max():.2f} (digit {by_class.argmax()})"
)
print(f"{SEEDS} seeds x 10 rare classes")
common, rare, broken = removed.mean(1).T
assert broken.min() > 0.95 and (rare / common).min() > 4
