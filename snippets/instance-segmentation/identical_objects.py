"""A plain CNN gives identical objects identical features; coordinates tell them apart.

Why a per-pixel classifier cannot number instances (the starting point of SOLO, Wang et
al. 2020). Two equal squares on a torus, so that no border gives a position away.
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
SIDE, HALF = 32, 16


def scenes(n):  # (n, 1, 32, 32): the right square is the left one, moved by 16
    y, x = torch.randint(2, 8, (2, n, 1))
    rows, columns = ((torch.arange(SIDE) - v) % SIDE < 6 for v in (y, x))
    square = (rows[:, :, None] & columns[:, None])[:, None]  # (n, 1, 32, 32)
    image = square * torch.rand(n, 1, SIDE, SIDE)
    return image + image.roll(HALF, -1), square[:, 0]


def network(channels):
    ring = dict(kernel_size=3, padding=1, padding_mode="circular")
    return nn.Sequential(
        nn.Conv2d(channels, 16, **ring),
        nn.ReLU(),
        nn.Conv2d(16, 16, **ring),
        nn.ReLU(),
        nn.Conv2d(16, 16, **ring),
        nn.ReLU(),
    )


def pixels(net, with_x, n=20):  # features of the left and of the right squares
    image, left = scenes(n)
    x = torch.linspace(-1, 1, SIDE).expand(n, 1, SIDE, SIDE)
    with torch.no_grad():
        features = net(torch.cat([image, x], 1) if with_x else image).movedim(1, 3)
    return features[left], features.roll(-HALF, 2)[left]  # (36 n, 16) each


def told_apart(net, with_x):
    """Accuracy of a linear readout "left or right?", fitted and tested on 20 scenes."""
    (a, b), (c, d) = pixels(net, with_x), pixels(net, with_x)
    one = torch.ones(len(a), 1)
    A = torch.cat([torch.cat([a, one], 1), torch.cat([b, one], 1)])
    y = torch.cat([-one, one])
    w = torch.linalg.solve(A.T @ A + 1e-6 * torch.eye(17), A.T @ y)
    said_right = [torch.cat([z, one], 1) @ w > 1e-3 for z in (c, d)]
    hits = torch.cat([~said_right[0], said_right[1]]).double().mean().item()
    return hits, (c - d).abs().max().item()


for with_x, name in enumerate(("image alone", "with an x channel")):
    hits, gaps = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        hit, gap = told_apart(network(1 + with_x), with_x)
        hits.append(hit), gaps.append(gap)
    assert min(hits) > 0.8 if with_x else max(gaps) < 1e-12 and set(hits) == {0.5}
    same = "differ" if min(gaps) > 1e-3 else "agree to < 1e-12"
    share = f"{min(hits):.0%} to {max(hits):.0%}"
    print(f"{name}: features {same}, {share} right (5 seeds)")
