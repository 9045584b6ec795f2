"""SimCLR's features beat random ones; its augmentations choose what is ignored.

Chen and others, arXiv 2002.05709. Digits x (N, 1, 8, 8), labels y (N,) only for
the probe. Encoder output h (N, 128), projector output z (N, 32)."""

from itertools import product

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(y)


def view(x, upside_down):  # turn up to 25 degrees, shift up to 1 px, zoom
    n = len(x)
    a = torch.rand(n) * 50 - 25 + 180 * upside_down * torch.randint(2, (n,))
    zoom, (dx, dy) = torch.rand(n) * 0.5 + 0.75, torch.rand(2, n) * 0.5 - 0.25
    sin, cos = zoom * a.deg2rad().sin(), zoom * a.deg2rad().cos()
    theta = torch.stack([cos, -sin, dx, sin, cos, dy], 1).view(n, 2, 3)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def nt_xent(z, tau=0.5):  # z (2N, d): the views of image i are rows i and N + i
    z = F.normalize(z, dim=1)
    s = (z @ z.T / tau).fill_diagonal_(-torch.inf)
    return F.cross_entropy(s, torch.arange(len(z)).roll(len(z) // 2))


def probe(f, fit, test):  # linear classifier on frozen features
    f = (f - f[pool].mean(0)) / (f[pool].std(0) + 1e-3)
    return LogisticRegression(max_iter=1000).fit(f[fit], y[fit]).score(f[test], y[test])


SEEDS, score = 5, torch.zeros(5, 3, 3)  # seed, network; h, z, z on 6 against 9
for seed, n in product(range(SEEDS), range(3)):
    torch.manual_seed(seed)  # the same split, first weights and probe labels
    pool, test = torch.randperm(len(x)).split([1297, 500])
    few = torch.cat([pool[y[pool] == c][:10] for c in range(10)])
    layers = [
        (nn.Conv2d(i, o, 3, stride=2, padding=1), nn.BatchNorm2d(o), nn.ReLU())
        for i, o in ((1, 16), (16, 32))
    ]
    net = nn.Sequential(*layers[0], *layers[1], nn.Flatten())
    projector = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 32))
    adam = torch.optim.Adam([*net.parameters(), *projector.parameters()], 6e-3)
    for _ in range(120):  # no labels in here
        batch = x[pool[torch.randint(1297, (32,))]].repeat(2, 1, 1, 1)
        h = net(view(batch, n == 2))
        if n:  # untrained: only the batch statistics move
            adam.zero_grad(), nt_xent(projector(h)).backward(), adam.step()
    h = net.eval()(x).detach()
    z, pair = projector(h).detach(), [i[(y[i] == 6) | (y[i] == 9)] for i in (few, test)]
    values = probe(h, few, test), probe(z, few, test), probe(z, *pair)
    score[seed, n] = torch.tensor(values)
h, z, z69 = score.unbind(2)  # each (seeds, 3)
gain = h[:, 1] - h[:, 0]
assert gain.min() > 0 and gain.mean() > 0.03 and (h[:, 1] > z[:, 1]).all()
assert (z69[:, 1] - z69[:, 2]).min() > 0.05  # a 6 upside down is a 9
for name, row in zip(("untrained", "SimCLR", "+ half turns"), score.mean(0)):
    print(f"{name:12}  h {row[0]:.2f}  z {row[1]:.2f}  z, 6 against 9 {row[2]:.2f}")
print(f"gain in h {gain.min():+.2f} to {gain.max():+.2f}, {SEEDS} seeds")
