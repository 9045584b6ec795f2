"""Rounding the input stops a naive attack and falls to one that passes gradients
straight through (BPDA); random transformations fall to the mean over draws (EOT).

Athalye, Carlini, Wagner, ICML 2018. One CNN a seed: images x (N, SEEDS, 8, 8).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S, eps = 5, 0.15
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]


def undefended(z):  # no defense
    return z


def rounded(z):  # five gray levels; the gradient is zero
    return (z * 4).round() / 4


def straight_through(z):  # value: the defense; gradient: the identity's
    return z + (rounded(z) - z).detach()


def randomized(z):  # black and white exchanged or not; noise in any case
    z = 1 - z if torch.rand(()) < 0.5 else z
    return z + 0.1 * torch.randn_like(z)


def pgd(net, x, y, through, draws=1, steps=10):
    z = x.clone()
    for _ in range(steps):
        z.requires_grad_()
        f = torch.cat([net(through(z)) for _ in range(draws)]).flatten(0, 1)
        loss = F.cross_entropy(f, y.repeat(draws, 1).flatten(), reduction="sum")
        z = z.detach() + eps / 4 * torch.autograd.grad(loss, z)[0].sign()
        z = z.clamp(x - eps, x + eps).clamp(0, 1)
    return z


def train(defense):  # the network is trained behind its defense
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
    for i in torch.randint(1200, (200, 60)):
        loss = F.cross_entropy(net(defense(x[i])).flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return net


test, truth, mean = x[-100:], y[-100:], {}
for defense, naive, adaptive, draws in (
    (undefended, undefended, undefended, 1),
    (rounded, rounded, straight_through, 1),
    (randomized, undefended, randomized, 5),
):
    net, row = train(defense), []
    naively = pgd(net, test, truth, naive)
    adaptively = pgd(net, test, truth, adaptive, draws)
    for z in (test, naively, adaptively):  # accuracy over 9 draws of the defense
        right = sum((net(defense(z)).argmax(2) == truth).double() for _ in range(9)) / 9
        row.append(right.mean(0))
    mean[defense.__name__] = [v.mean() for v in row]
    texts = [f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in row]
    print(f"{defense.__name__:10} clean {texts[0]}", end="")
    print(f"  naive {texts[1]}  adaptive {texts[2]}")
assert mean["rounded"][1] > mean["undefended"][1] + 0.5 > mean["rounded"][2] + 0.5
clean, naive, adaptive = mean["randomized"]
assert clean > naive + 0.3 and clean > adaptive + 0.45
