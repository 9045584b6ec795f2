"""Oversampling before the split makes pure noise look learnable.

500 noise images, 10 % of them labeled 1 at random: nothing can be learned, so an
honest balanced accuracy is near 0.5. Images (N, 1, 8, 8), labels (N,) of 0 and 1.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


def oversample(x, y):
    """Copy random rows of class 1 until both classes are equally large."""
    ones = torch.where(y == 1)[0]
    missing = len(y) - 2 * len(ones)
    extra = ones[torch.randint(len(ones), (missing,))]
    return torch.cat([x, x[extra]]), torch.cat([y, y[extra]])


def split(x, y):
    """A random third as test set."""
    order = torch.randperm(len(y))
    cut = len(y) - len(y) // 3
    train, test = order[:cut], order[cut:]
    return (x[train], y[train]), (x[test], y[test])


def fit_and_score(train, test):
    """Balanced accuracy of a CNN on the test part."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 32),
        nn.ReLU(),
        nn.Linear(32, 2),
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(train[0]), train[1]).backward()
        optimizer.step()
    hit = (model(test[0]).argmax(1) == test[1]).double()
    return (hit[test[1] == 0].mean() + hit[test[1] == 1].mean()).item() / 2


leaking, honest = [], []
for seed in range(3):
    torch.manual_seed(seed)
    x = torch.randn(500, 1, 8, 8)
    y = (torch.arange(500) < 50).long()
    train, test = split(*oversample(x, y))
    leaking.append(fit_and_score(train, test))
    train, test = split(x, y)
    honest.append(fit_and_score(oversample(*train), test))
assert min(leaking) > 0.8
assert max(honest) < 0.65
print("balanced accuracy on random labels, 3 seeds")
print("oversample, then split:", " ".join(f"{score:.2f}" for score in leaking))
print("split, then oversample:", " ".join(f"{score:.2f}" for score in honest))
