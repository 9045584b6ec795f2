"""Integrated gradients sum to f(x) - f(baseline), gradient times input does not; and a
pixel that equals its baseline gets zero, so the baseline decides what can be seen.

Sundararajan, Taly and Yan, ICML 2017. One CNN a seed: images x (N, SEEDS, 8, 8),
attributions of the same shape, score = probability of the true class (N, SEEDS).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = 5
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]
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
for i in torch.randint(1200, (80, 100)):
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()


def gradient(f, x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]


def integrated_gradients(f, x, baseline, steps):
    """Mean gradient at the midpoints of the straight path, times the way."""
    total = 0
    for t in range(steps):
        total = total + gradient(f, baseline + (t + 0.5) / steps * (x - baseline))
    return (x - baseline) * total / steps


test, truth = x[-100:], y[-100:, :, None]
f = lambda z: net(z).softmax(2).gather(2, truth)[..., 0]
black, white = torch.zeros_like(test), torch.ones_like(test)


def gap(attribution, baseline):  # mean miss of completeness, per network
    goal = f(test) - f(baseline)
    return (attribution.sum((2, 3)) - goal).abs().mean(0).detach()


plain = gap(test * gradient(f, test), black)
print("mean |sum of attributions - (f(x) - f(baseline))|, worst of 5 networks")
print(f"  gradient x input: {plain.max():.2f} (best network {plain.min():.2f})")
errors = {}
for steps in 4, 16, 64:
    errors[steps] = gap(integrated_gradients(f, test, black, steps), black)
    bound = 10 ** errors[steps].max().log10().ceil()
    print(f"  integrated, {steps:2} steps: < {bound:g}")
assert plain.min() > 0.5 and errors[64].max() < 0.01
assert (errors[64] < errors[4] / 4).all()

ink = {}
for name, baseline in ("black", black), ("white", white):
    size = integrated_gradients(f, test, baseline, 64).abs()
    off = (size * (test == 0)).sum((0, 2, 3)) / size.sum((0, 2, 3))
    ink[name] = off
    print(
        f"{name} baseline: share of attribution on black pixels {off.mean():.2f} "
        f"({off.min():.2f} to {off.max():.2f})"
    )
assert (ink["black"] == 0).all() and ink["white"].min() > 0.3
