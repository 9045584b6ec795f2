"""Modality dropout keeps a joint network useful when half of its input is gone.

Source: Neverova and others (ModDrop), 2016, whole modalities dropped at random.
Shapes: 5 seeds S at once; top and bottom half of a digit, each (S, N, 32).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
S, N, H, train, test = 5, 800, 24, slice(400), slice(400, 800)
digits, labels = map(torch.from_numpy, load_digits(return_X_y=True))


def start(*shape):
    return ((1 / shape[0]) ** 0.5 * torch.randn(S, *shape)).requires_grad_()


def net(w, halves):  # each half has its own encoder; joined before the classifier
    hidden = [(x @ m).relu() for x, m in zip(halves, w)]
    return (torch.cat(hidden, 2) @ w[2]).relu() @ w[3]


def drop_one(halves, p):  # a sample loses at most one half, each with chance p / 2
    u = torch.rand(*halves[0].shape[:2], 1)
    return [halves[0] * (u >= p / 2), halves[1] * (u < 1 - p / 2)]


torch.manual_seed(0)
pick = torch.stack([torch.randperm(len(labels))[:N] for _ in range(S)])
y, pixels = labels[pick], digits[pick] / 16
top, bottom = pixels.split(32, 2)
inputs = {"both": [top, bottom], "top": [top, 0 * bottom], "bottom": [0 * top, bottom]}
table = {}
for how in ("top", "bottom", "both", "dropout"):  # what is there in training
    w = [start(32, H), start(32, H), start(2 * H, H), start(H, 10)]
    optimizer = torch.optim.Adam(w, 0.01)
    for _ in range(100):
        x = [half[:, train] for half in inputs.get(how, inputs["both"])]
        x = drop_one(x, 2 / 3) if how == "dropout" else x
        loss = F.cross_entropy(net(w, x).flatten(0, 1), y[:, train].flatten())
        optimizer.zero_grad()
        (S * loss).backward()
        optimizer.step()
    for there, x in inputs.items():
        hit = net(w, [half[:, test] for half in x]).argmax(2) == y[:, test]
        table[how, there] = hit.double().mean(1)
half = torch.stack(
    [
        torch.stack([table[how, x] for how in ("both", "dropout", x)])
        for x in ("top", "bottom")
    ]
)
assert (half[:, 1] > half[:, 0] + 0.2).all() and (half[:, 2] - half[:, 1]).mean() < 0.06
assert (table["dropout", "both"] > table["both", "both"] - 0.03).all()
print("test accuracy with: both halves, top only, bottom only (n=5)")
for how in ("top", "bottom", "both", "dropout"):
    row = [table[how, there] for there in inputs]
    cells = [f"{r.mean():.2f} ({r.min():.2f}-{r.max():.2f})" for r in row]
    print(f"trained with {how}: " + ", ".join(cells))
