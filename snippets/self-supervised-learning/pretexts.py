"""Pretext features hardly beat random ones under a linear probe here.

Digits x (N, 1, 8, 8) -> features (N, 128). Labels y (N,): only probe and last row."""

from itertools import product

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(y)


def rotation(net, head, x):  # Gidaris 2018: turned by 0, 90, 180 or 270 degrees
    turned = [torch.rot90(part, k, (2, 3)) for k, part in enumerate(x.chunk(4))]
    return F.cross_entropy(head(net(torch.cat(turned))), torch.arange(32) // 8)


def position(net, head, x):  # Doersch 2015: two quarters; which way from a to b
    quarters = x.unfold(2, 4, 4).unfold(3, 4, 4).reshape(32, 4, 1, 4, 4)
    a, b = torch.rand(32, 4).argsort(1)[:, :2].T
    way = 3 * (b // 2 - a // 2 + 1) + b % 2 - a % 2 + 1  # 0 to 8, never 4
    pair = torch.cat([net(quarters[range(32), n]) for n in (a, b)], 1)  # (32, 64)
    return F.cross_entropy(head(pair), way)


def inpainting(net, head, x):  # Pathak 2016: what was in the hidden 4 x 4 square
    r, c = (torch.arange(8) - torch.randint(5, (2, 32, 1))) // 4  # 0 inside
    hole = (r == 0)[:, None, :, None] & (c == 0)[:, None, None]  # (32, 1, 8, 8)
    return F.mse_loss(head(net(x * ~hole)).view_as(x)[hole], x[hole])


ROWS = {
    "pixels": (None, 1),
    "random": (None, 1),
    "rotation": (rotation, 4),
    "position": (position, 9),
    "inpainting": (inpainting, 64),
    "labels": (None, 10),
}
SEEDS, score = 5, torch.zeros(5, len(ROWS))  # seed, row
for seed, n in product(range(SEEDS), range(len(ROWS))):
    torch.manual_seed(seed)  # for all rows the same split, weights, probe labels
    pool, test = torch.randperm(len(x)).split([1297, 500])
    layers = [
        (nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.MaxPool2d(2), nn.ReLU())
        for i, o in ((1, 16), (16, 32))
    ]
    net = nn.Sequential(*layers[0], *layers[1], nn.Flatten())
    task, out = list(ROWS.values())[n]
    head = nn.Linear(64 if task is position else 128, out)
    adam = torch.optim.Adam([*net.parameters(), *head.parameters()], 3e-3)
    for _ in range(200 if n else 0):
        i = pool[torch.randint(1297, (32,))]
        if n == 1:  # random: only the batch statistics move
            net(x[i])
            continue
        loss = task(net, head, x[i]) if task else F.cross_entropy(head(net(x[i])), y[i])
        adam.zero_grad(), loss.backward(), adam.step()
    f = net.eval()(x).detach() if n else x.flatten(1)
    f = (f - f[pool].mean(0)) / (f[pool].std(0) + 1e-3)
    for order in torch.rand(5, 1297, generator=torch.manual_seed(seed)).argsort(1):
        few = torch.cat([i[y[i] == c][:2] for i in [pool[order]] for c in range(10)])
        probe = LogisticRegression(max_iter=1000).fit(f[few], y[few])
        score[seed, n] += probe.score(f[test], y[test]) / 5
gain = score - score[:, 1:2]  # over the same network before training
assert gain[:, 2:5].mean(0).max() < 0.04 and gain[:, 3].mean() < -0.01  # little
assert (gain[:, 5:] - gain[:, :5]).min() > 0.15  # all labels beat every pretext
for name, a, g in zip(ROWS, score.T, gain.T):
    print(f"{name:10} {a.mean():.2f} {g.mean():+.2f}, {g.min():+.2f} to {g.max():+.2f}")
