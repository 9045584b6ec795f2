"""Defensive distillation hides the gradient and leaves the weakness.

Papernot and others, S&P 2016 (the defense); Carlini, Wagner, S&P 2017 (its break).
One CNN a seed: images x (N, SEEDS, 8, 8), logits (N, SEEDS, 10), targets as logits.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S, T = 5, 100  # seeds; temperature of the defense
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]


def train(target, T, lr):  # groups=S: the networks share no weight
    net = nn.Sequential(
        nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
        nn.ReLU(),
        nn.Conv2d(8 * S, 32 * S, 4, groups=S),
        nn.ReLU(),
        nn.Conv2d(32 * S, 10 * S, 1, groups=S),
        nn.Unflatten(1, (S, 10)),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters(), lr)
    for _ in range(8):
        for i in torch.randperm(1200).split(100):
            loss = -(target[i] * (net(x[i]) / T).log_softmax(2)).sum(2).mean()
            adam.zero_grad(), loss.backward(), adam.step()
    return net


def gradient(net, z, y, T):
    z = z.clone().requires_grad_()
    loss = F.cross_entropy((net(z) / T).flatten(0, 1), y.flatten(), reduction="sum")
    return torch.autograd.grad(loss, z)[0]


def pgd(net, x, y, eps, T, steps=10):
    z = x
    for _ in range(steps):
        z = z + 2.5 * eps / steps * gradient(net, z, y, T).sign()
        z = z.clamp(x - eps, x + eps).clamp(0, 1)
    return z


hard = F.one_hot(y, 10).double()
plain, teacher = train(hard, 1, 1e-2), train(hard, T, 4e-2)
student = train((teacher(x).detach() / T).softmax(2), T, 4e-2)
x, y = x[-200:].float(), y[-200:]  # test, in the precision networks are served in
plain, student = plain.float(), student.float()
zero = (gradient(student, x, y, 1).abs().amax((2, 3)) == 0).double().mean(0)
budgets, curves = (0, 0.05, 0.1, 0.15, 0.2), []
for name, target, source, t, style in (
    ("undistilled, PGD", plain, plain, 1, "k-o"),
    ("distilled, naive PGD", student, student, 1, "C0--s"),
    ("distilled, transferred PGD", student, plain, 1, "C1-.^"),
    ("distilled, PGD on logits / T", student, student, T, "C3:D"),
):
    images = [pgd(source, x, y, eps, t) for eps in budgets]
    hits = [(target(z).argmax(2) == y).double().mean(0) for z in images]
    curves.append(torch.stack(hits))  # (budgets, S)
    plt.plot(budgets, curves[-1].mean(1), style, label=name)
    v = curves[-1][2]
    print(
        f"{name:29} clean {hits[0].mean():.2f}, eps 0.1: {v.mean():.2f} "
        f"({v.min():.2f} to {v.max():.2f}, n={S})"
    )
_, naive, transferred, adaptive = curves
print("test images whose gradient is exactly zero: over 60% on every seed")
assert zero.min() > 0.6 and (naive[2] > adaptive[2] + 0.2).all()
assert (naive[2] > transferred[2] + 0.05).all() and adaptive[4].mean() < 0.1
plt.xlabel("eps (largest change of a pixel)"), plt.ylabel("accuracy")
plt.legend(), plt.ylim(0, 1.02), plt.show()
