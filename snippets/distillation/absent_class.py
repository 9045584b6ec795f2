"""A student learns a class it never sees, from the small soft probabilities.

Hinton, Vinyals, Dean, 2015, left the digit 3 out of the student's images.
S = 5 seeds, C = 5 kinds of target, all trained side by side (groups of a network):
images x (N, S, 8, 8), labels y (N, S), targets (N, S, C, 10).
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
hard, seeds = F.one_hot(y, 10).double(), torch.arange(S)


def cnn(M, c):  # M separate CNNs of c channels: (B, M, 8, 8) -> (B, M, 10)
    return nn.Sequential(
        nn.Conv2d(M, c * M, 4, 2, 1, groups=M),
        nn.LeakyReLU(0.1),
        nn.Conv2d(c * M, 10 * M, 4, groups=M),
        nn.Unflatten(1, (M, 10)),
        nn.Flatten(2),
    )


def fit(net, rows, targets, temperatures, steps):
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    T = torch.tensor(temperatures)[:, None]  # (C, 1), one for each kind of target
    for _ in range(steps):
        i = rows[torch.randint(len(rows), (50,))]  # rows (n, S) of the images
        images = x[i, seeds].repeat_interleave(len(T), 1)  # (50, S * C, 8, 8)
        logp = (net(images).unflatten(1, (S, -1)) / T).log_softmax(3)
        loss = -(T**2 * targets[i, seeds] * logp).sum(3).mean(0).sum()  # KL + constant
        adam.zero_grad(), loss.backward(), adam.step()
    return net


def logits(net, C, x):  # (N, S, 8, 8) -> (N, S, C, 10)
    return net(x.repeat_interleave(C, 1)).detach().unflatten(1, (S, C))


def level(p):  # keeps the largest probability, makes all others equal
    top = p.amax(-1, keepdim=True)
    return torch.where(p == top, top, (1 - top) / 9)


every = torch.arange(600)[:, None].expand(-1, S)
teacher = fit(cnn(S, 32), every, hard[:, :, None], [1.0], 150)
z = logits(teacher, 1, x)[:, :, 0]
# Rows (500, S) of images without a 3, new to the teacher.
no_3 = torch.stack([600 + t.nonzero()[:500, 0] for t in (y[600:1200] != 3).T], 1)
soft = [(z / T).softmax(2) for T in (1, 4, 10)]
targets = torch.stack([hard, level(soft[1]), *soft], 2)
student = fit(cnn(S * 5, 3), no_3, targets, [1.0, 4.0, 1.0, 4.0, 10.0], 150)
test = y[1200:, :, None]
right = logits(student, 5, x[1200:]).argmax(3) == test
three, rest = ((right & m).sum(0) / m.sum(0) for m in (test == 3, test != 3))  # (S, C)
assert (three[:, :2] == 0).all()
assert (three[:, 3] - three[:, 2]).mean() > 0.2 and (rest.mean(0) > 0.85).all()
names = "hard labels", "T=4, leveled", "soft, T=1", "soft, T=4", "soft, T=10"
print(f"accuracy on the 3s (min-max), and on other digits, n={S} seeds")
for name, a, b in zip(names, three.T, rest.T):
    a = f"{a.mean():.2f} ({a.min():.2f}-{a.max():.2f})"
    print(f"{name}: {a}, others {b.mean():.2f}")
