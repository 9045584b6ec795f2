"""Adversarial training makes a network more robust at the budget it trained with, and
pays in clean accuracy, the more the larger the budget.

Madry and others, ICLR 2018; Tsipras and others, ICLR 2019. One CNN a seed:
images x (N, SEEDS, 8, 8), logits (N, SEEDS, 10), labels y (N, SEEDS).
"""

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


def pgd(net, x, y, eps, steps):
    z = (x + eps * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
    for _ in range(steps):
        f = net(z.requires_grad_()).flatten(0, 1)
        loss = F.cross_entropy(f, y.flatten(), reduction="sum")
        z = z.detach() + 2.5 * eps / steps * torch.autograd.grad(loss, z)[0].sign()
        z = z.clamp(x - eps, x + eps).clamp(0, 1)
    return z


def train(eps, updates=120, steps=3):
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
    for i in torch.randint(1200, (updates, 60)):
        z = pgd(net, x[i], y[i], eps, steps) if eps else x[i]  # fresh in each step
        loss = F.cross_entropy(net(z).flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return net


test, truth = x[-200:], y[-200:]
rows = []
for eps in (0, 0.1, 0.2):
    net = train(eps)
    images = [test] + [pgd(net, test, truth, e, 20) for e in (0.1, 0.2)]
    right = [(net(z).argmax(2) == truth).double().mean(0) for z in images]
    rows.append(torch.stack(right))
rows = torch.stack(rows)  # (training, attack, SEEDS)
print(f"accuracy, {SEEDS} seeds       clean          PGD-20, 0.1    PGD-20, 0.2")
for name, row in zip(("ordinary", "trained at 0.1", "trained at 0.2"), rows):
    print(f"{name:24}", *(f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in row))
cost = (rows[0, 0] - rows[1:, 0]) * 100
for eps, c in zip((0.1, 0.2), cost):
    spread = f"({c.min():.1f} to {c.max():.1f})"
    print(f"clean points lost at {eps}: {c.mean():.1f} {spread}")
means = rows.mean(2)  # a single network may fail to train at 0.2
assert (rows[1, 1] > rows[0, 1] + 0.05).all() and means[2, 2] > means[0, 2] + 0.1
assert cost[1].mean() > cost[0].mean() + 3 and means[2, 1] < means[1, 1]
