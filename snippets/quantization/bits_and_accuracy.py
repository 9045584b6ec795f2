"""Weights of 8 bits cost no accuracy here and 4 bits little; rounding to 2 bits ruins
the network, with one scale for the whole tensor more than with one per output channel.

Krishnamoorthi, 2018. One CNN a seed: x (N, SEEDS, 8, 8), weights (SEEDS * C, c, k, k).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = SEEDS = 5
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]

net = nn.Sequential(  # groups=S: the networks share no weight
    nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
    nn.ReLU(),
    nn.Conv2d(8 * S, 16 * S, 3, groups=S),
    nn.ReLU(),
    nn.Conv2d(16 * S, 10 * S, 2, groups=S),
    nn.Unflatten(1, (S, 10)),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(1200, (120, 100)):
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()


def quantized(w, bits, scales):  # symmetric: zero point 0, levels -top to top
    top = 2 ** (bits - 1) - 1
    s = w.view(scales, -1).abs().amax(1).view(-1, 1) / top
    return ((w.view(scales, -1) / s).round() * s).view_as(w)


@torch.no_grad()
def accuracy(bits, per_channel):
    weights = {}
    for name, w in net.named_parameters():
        if bits and w.dim() == 4:  # biases stay
            w = quantized(w, bits, len(w) if per_channel else S)
        weights[name] = w
    f = torch.func.functional_call(net, weights, x[1200:])
    return (f.argmax(2) == y[1200:]).double().mean(0)  # (SEEDS,)


full, bits = accuracy(None, None), [8, 6, 5, 4, 3, 2]
print(f"{SEEDS} seeds, float: {full.mean():.2f} ({full.min():.2f}-{full.max():.2f})")
curves = {}
for name in ("tensor", "channel"):
    curves[name] = torch.stack([accuracy(b, name == "channel") for b in bits])
for b, t, c in zip(bits, curves["tensor"], curves["channel"]):
    print(
        f"{b} bits: per tensor {t.mean():.2f} ({t.min():.2f}-{t.max():.2f}), "
        f"per channel {c.mean():.2f} ({c.min():.2f}-{c.max():.2f})"
    )
tensor, channel = curves.values()
assert (tensor[0] - full).abs().max() < 0.01 and (channel[0] - full).abs().max() < 0.01
assert channel[5].mean() > tensor[5].mean() + 0.1
assert channel[5].max() < full.min() - 0.05 and tensor[5].max() < full.min() - 0.2

figure, axis = plt.subplots(figsize=(6, 3.4))
for (name, curve), mark in zip(curves.items(), ("s--", "o-")):
    mean = curve.mean(1)
    axis.errorbar(
        bits,
        mean,
        (mean - curve.min(1)[0], curve.max(1)[0] - mean),
        fmt=mark,
        capsize=3,
        label=f"one scale per {name}",
    )
axis.axhline(full.mean(), color="k", lw=1, label="float")
axis.set_xlabel("bits per weight"), axis.set_ylabel("accuracy"), axis.grid(alpha=0.3)
axis.invert_xaxis(), axis.legend(), plt.tight_layout(), plt.show()
