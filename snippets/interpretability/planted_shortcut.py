"""Occlusion finds a planted shortcut: digits whose label is also written into one pixel
of the top row; the accuracy without that pixel says how much hangs on it.

Occlusion: Zeiler and Fergus, ECCV 2014. One CNN a seed; classes 0 to 7, images
x (N, SEEDS, 8, 8), mark at row 0, column = class; maps (N, SEEDS, 8, 8).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(n_class=8, return_X_y=True))
S = 5
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]
x = x + 0.3 * torch.randn(x.shape)
x[:, :, 0].zero_()  # room for the mark
mark = F.one_hot(y, 8).double()  # (N, SEEDS, 8)
marked = x.clone()
marked[:, :, 0] = mark


def train(x):
    net = nn.Sequential(
        nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
        nn.ReLU(),
        nn.Conv2d(8 * S, 32 * S, 4, groups=S),
        nn.ReLU(),
        nn.Conv2d(32 * S, 8 * S, 1, groups=S),
        nn.Unflatten(1, (S, 8)),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for i in torch.randint(1000, (80, 80)):
        loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return lambda z: net(z).detach()


def occlusion(f, x, fill=0.0):
    """Drop of the score f(x) (N, S) when one pixel at a time is set to fill."""
    drop = torch.zeros_like(x)
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            covered = x.clone()
            covered[:, :, row, column] = fill
            drop[:, :, row, column] = f(x) - f(covered)
    return drop


test, clean, truth = marked[-200:], x[-200:], y[-200:]
wrong = clean.clone()
wrong[:, :, 0] = mark[-200:].roll(3, dims=2)  # says (label + 3) mod 8
hits, right = {}, {}
for name, data in ("marked", marked), ("clean", x):
    net = train(data)
    score = lambda z: net(z).gather(2, truth[..., None])[..., 0]
    peak = occlusion(score, test).flatten(2).argmax(2)  # row 0: index = column
    hits[name] = (peak == truth).double().mean(0)
    print(f"trained on {name} images:")
    print(
        f"  occlusion peaks at the mark in {hits[name].mean():.2f} of the images "
        f"({hits[name].min():.2f} to {hits[name].max():.2f}, n={S}; chance 0.02)"
    )
    for kind, z in ("right", test), ("no", clean), ("wrong", wrong):
        right[name, kind] = a = (net(z).argmax(2) == truth).double().mean(0)
        print(
            f"  accuracy with {kind:5} mark: {a.mean():.2f} "
            f"({a.min():.2f} to {a.max():.2f})"
        )
assert hits["marked"].min() > 0.7 and hits["clean"].max() < 0.3
assert right["marked", "wrong"].max() < 0.8 < right["clean", "wrong"].min()
