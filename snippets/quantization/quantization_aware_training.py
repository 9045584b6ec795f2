"""2-bit weights: rounding after training fails, more training in float does not help;
with the straight-through gradient the network learns to live on the grid.

Bengio and others, 2013; Jacob and others, 2018. One CNN a seed: x (N, SEEDS, 8, 8),
weights (SEEDS * C, c, k, k) with one scale per output channel.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = 5  # seeds
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
trained = {n: w.detach().clone() for n, w in net.named_parameters()}


def rounded(w, bits=2):  # levels -1, 0, 1 times the scale; its gradient is zero
    top = 2 ** (bits - 1) - 1
    s = w.detach().flatten(1).abs().amax(1).view(-1, 1, 1, 1) / top
    return (w / s).round() * s


def straight_through(w):  # rounded forward, the identity backward
    return w + (rounded(w) - w).detach()


def as_float(w):
    return w


def forward(images, fake):
    weights = {n: fake(w) if w.dim() == 4 else w for n, w in net.named_parameters()}
    return torch.func.functional_call(net, weights, images)


def fine_tune(fake, steps=60):
    net.load_state_dict(trained)
    adam = torch.optim.Adam(net.parameters(), 5e-3)
    for i in torch.randint(1200, (steps, 100)):
        loss = F.cross_entropy(forward(x[i], fake).flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()


@torch.no_grad()
def accuracy(fake):
    return (forward(x[1200:], fake).argmax(2) == y[1200:]).double().mean(0)  # (S,)


results = {"float": accuracy(as_float), "PTQ: 2 bits, no training": accuracy(rounded)}
for name, fake in (
    ("2 bits after more float training", as_float),
    ("training through plain rounding", rounded),
    ("QAT: straight-through", straight_through),
):
    fine_tune(fake)
    results[name] = accuracy(rounded)
    if fake is rounded:
        moved = max(
            (w - trained[n]).abs().max()
            for n, w in net.named_parameters()
            if w.dim() == 4
        )
        print(f"plain rounding: weights moved by {moved:.0f}, only biases learned")
        assert moved == 0
for name, a in results.items():
    print(f"{name:32} {a.mean():.2f} ({a.min():.2f}-{a.max():.2f}, n={S})")
full, ptq, longer, plain, qat = results.values()
assert (qat > torch.stack([ptq, longer, plain]).max(0)[0]).all()
assert qat.mean() > ptq.mean() + 0.1 and qat.mean() > full.mean() - 0.1
