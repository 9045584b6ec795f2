"""Oversampling before the split makes pure noise look learnable.

500 noise images, 10 % of them labeled 1 at random: nothing can be learned, so an
honest balanced accuracy is near 0.5.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


def oversample(x, y):
    """Copy random rows of class 1 until both classes are equally large."""
    ones = torch.where(y == 1)[0]
    extra = ones[torch.randint(len(ones), (len(y) - 2 * len(ones),))]
    return torch.cat([x, x[extra]]), torch.cat([y, y[extra]])


def split(x, y):
    order = torch.randperm(len(y))
    train, test = order[: -len(y) // 3], order[-len(y) // 3 :]
    return (x[train], y[train]), (x[test], y[test])


def score(train, test):
    """Balanced accuracy of a CNN on the test part."""
    (x, y), (x_test, y_test) = train, test
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 32),
        nn.ReLU(),
        nn.Linear(32, 2),
    )
    adam = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(60):
        loss = F.cross_entropy(net(x), y)
        adam.zero_grad(), loss.backward(), adam.step()
    hit = (net(x_test).argmax(1) == y_test).double()
    return (hit[y_test == 0].mean() + hit[y_test == 1].mean()) / 2


before, after = [], []
for seed in range(5):
    torch.manual_seed(seed)
    x, y = torch.randn(500, 1, 8, 8), (torch.arange(500) < 50).long()
    train, test = split(*oversample(x, y))
    before.append(score(train, test))
    train, test = split(x, y)
    after.append(score(oversample(*train), test))
before, after = torch.stack(before), torch.stack(after)
assert before.min() > 0.8 and after.max() < 0.65
for name, s in (("oversample, then split", before), ("split, then oversample", after)):
    print(f"{name}: balanced accuracy {s.mean():.2f} ({s.min():.2f}-{s.max():.2f})")
print("5 seeds; the labels are random, 0.5 is the truth")
