"""Normalization cancels the gain of a dark image but not its photon noise: accuracy
falls with the light although the preprocessing is exactly invariant to gain.

Photon counts are Poisson: mean = variance. Five CNNs side by side: images (N, SEEDS,
8, 8).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
S = 5
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
split = torch.rand(len(X), S).argsort(0)
x, y = (0.1 + 0.8 * X / 16).view(-1, 8, 8)[split], Y[split]  # reflectance


def standardize(x):
    return (x - x.mean((2, 3), True)) / x.std((2, 3), keepdim=True).clamp(min=1e-9)


def train(photons):  # a range of light levels, in photons per white pixel
    net = nn.Sequential(  # groups=S: the networks share no weight
        nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
        nn.ReLU(),
        nn.Conv2d(8 * S, 32 * S, 4, groups=S),
        nn.ReLU(),
        nn.Conv2d(32 * S, 10 * S, 1, groups=S),
        nn.Unflatten(1, (S, 10)),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for i in torch.randint(1200, (100, 100)):
        light = torch.empty(100, S, 1, 1).uniform_(*photons).exp()
        f = net(standardize(torch.poisson(light * x[i])))
        loss = F.cross_entropy(f.flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return net


def accuracy(net, images):
    with torch.no_grad():
        return (net(standardize(images)).argmax(2) == truth).double().mean(0)


test, truth = x[1200:], y[1200:]
bright, dark = train((6.9, 7)), train((1, 7))  # exp(1) = 3 and exp(7) = 1100 photons
rows = {}
print(f"photons: gain only; with noise; trained with noise (n={S}, lowest to highest)")
for light in (1000, 100, 30, 10, 3):
    photo = torch.poisson(light * test)
    rows[light] = torch.stack(
        [accuracy(bright, light * test), accuracy(bright, photo), accuracy(dark, photo)]
    )
    cells = [f"{a.mean():.2f} ({a.min():.2f} to {a.max():.2f})" for a in rows[light]]
    print(f"{light:4}:", *cells)
gain_only, noisy, trained = torch.stack(list(rows.values())).transpose(0, 1)
assert (gain_only - gain_only[0]).abs().max() < 0.005  # the invariance is real
assert (noisy[4] < noisy[0] - 0.2).all() and (noisy[3] < noisy[0] - 0.05).all()
assert 0 < (trained - noisy)[4].mean() < 0.15  # it helps, but lost light stays lost
