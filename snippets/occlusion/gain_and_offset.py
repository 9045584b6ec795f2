"""Standardizing each image cancels gain and offset exactly, but not a shadow.

Digits x (N, S, 8, 8) on a gray ground. Fifteen CNNs side by side (groups), five seeds
each: raw pixels, standardized images, raw pixels with varied light in training.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S, G = 5, 15
split = torch.rand(len(X), S).argsort(0)  # another one for each seed
x, y = 0.3 + 0.7 * X.view(-1, 8, 8)[split] / 16, Y[split]


def standardize(x):
    return (x - x.mean((-2, -1), True)) / x.std((-2, -1), keepdim=True)


def shadow(x, depth, edge):  # columns before the edge keep a share of their light
    return x * torch.where(torch.arange(8) < edge, depth, 1.0)


def varied(x):  # gain, offset and a shadow at random
    gain, offset, depth = torch.rand(3, *x.shape[:2], 1, 1)
    edge = torch.randint(9, (*x.shape[:2], 1, 1))
    return shadow((0.2 + gain) * x + 0.4 * offset, 0.1 + 0.9 * depth, edge)


net = nn.Sequential(
    nn.Conv2d(G, 8 * G, 3, groups=G),
    nn.ReLU(),
    nn.Conv2d(8 * G, 16 * G, 3, 2, groups=G),
    nn.ReLU(),
    nn.Conv2d(16 * G, 10 * G, 2, groups=G),
    nn.Flatten(),
    nn.Unflatten(1, (G, 10)),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(1200, (100, 64)):
    inputs = torch.cat([x[i], standardize(x[i]), varied(x[i])], 1)
    loss = G * F.cross_entropy(net(inputs).flatten(0, 1), y[i].repeat(1, 3).flatten())
    adam.zero_grad(), loss.backward(), adam.step()

x, y, accuracy = x[-400:], y[-400:], {}
lights = {
    "unchanged": x,
    "gain 0.3, offset 0.5": 0.3 * x + 0.5,
    "gamma 2.2": x**2.2,
    "shadow 0.4": shadow(x, 0.4, 4),
}
print("light                  raw               standardized      raw, varied light")
for name, view in lights.items():
    answer = net(torch.cat([view, standardize(view), view], 1)).argmax(2)
    a = (answer == y.repeat(1, 3)).double().mean(0).view(3, S)
    accuracy[name] = a
    print(f"{name:21}", *(f" {v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in a))
plain, gain, gamma, shade = accuracy.values()
difference = standardize(lights["gain 0.3, offset 0.5"]) - standardize(x)
assert difference.abs().max() < 1e-12 and (gain[1] == plain[1]).all()
assert gain[0].mean() < plain[0].mean() - 0.05
assert (shade[:2].mean(1) < plain[:2].mean(1) - 0.3).all()
assert shade[2].mean() > shade[:2].mean(1).max() + 0.2
