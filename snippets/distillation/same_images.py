"""On the teacher's own images, soft targets do not beat the labels.

Teacher and student see the same n labeled images; equal steps for all students.
S = 5 seeds, C = 3 kinds of target, all trained side by side (groups of a network):
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


def ece(p, y, bins=15):  # expected calibration error
    confidence, guess = p.max(1)
    gap = confidence - (guess == y).double()
    index = (confidence * bins).long().clamp(max=bins - 1)
    return torch.zeros(bins).index_add(0, index, gap).abs().sum() / len(y)


def scores(z):  # logits (N, S, C, 10) -> accuracy (S, C), mean ECE (C)
    p = z.softmax(3)
    errors = [[ece(q, test[:, s]) for q in p[:, s].unbind(1)] for s in range(S)]
    right = p.argmax(3) == test[..., None]
    return right.double().mean(0), torch.tensor(errors).mean(0)


test, names = y[1200:], ("hard labels", "soft, T=1", "soft, T=4")
print(f"mean accuracy (min-max) and calibration error of {S} seeds")
for n in (100, 600):
    rows = torch.arange(n)[:, None].expand(-1, S)
    teacher = fit(cnn(S, 32), rows, hard[:, :, None], [1.0], 120)
    z = logits(teacher, 1, x)[:, :, 0]
    targets = torch.stack([hard, z.softmax(2), (z / 4).softmax(2)], 2)
    student = fit(cnn(S * 3, 3), rows, targets, [1.0, 1.0, 4.0], 120)
    accuracy, error = scores(logits(student, 3, x[1200:]))
    best, teacher_error = scores(z[1200:, :, None])
    assert (accuracy.mean(0)[1:] < accuracy.mean(0)[0] + 0.02).all()
    print(f"n={n}: teacher {best.mean():.2f}, ECE {teacher_error.item():.2f}")
    for a, e, name in zip(accuracy.T, error, names):
        a = f"{a.mean():.2f} ({a.min():.2f}-{a.max():.2f})"
        print(f"  {name}: {a}, ECE {e:.2f}")
