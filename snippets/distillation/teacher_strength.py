"""A better teacher does not make a better student of 50 images.

After Cho, Hariharan, ICCV 2019. Teachers of 3 and of 32 channels, students of 3.
S = 5 seeds; students C = 6: two teachers times three temperatures, side by side:
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


every, few = torch.arange(650)[:, None].expand(-1, S).split([600, 50])
test, TS = y[1200:, :, None], (1.0, 4.0, 16.0)
z = [fit(cnn(S, c), every, hard[:, :, None], [1.0], 200) for c in (3, 32)]
z = torch.cat([logits(net, 1, x) for net in z], 2)  # (N, S, 2, 10): small, large
targets = torch.stack([(z[:, :, k] / T).softmax(2) for k in (0, 1) for T in TS], 2)
student = logits(fit(cnn(S * 6, 3), few, targets, [*TS, *TS], 120), 6, x[1200:])
right = (student.argmax(3) == test).double().mean(0).view(S, 2, 3)
same = student.unflatten(2, (2, 3)).argmax(4) == z[1200:].argmax(3)[..., None]
taught = (z[1200:].argmax(3) == test).double().mean(0)  # (S, 2)
top = z[600:1200].softmax(3).amax(3).mean((0, 1))
assert (taught[:, 1] - taught[:, 0]).mean() > 0.01
assert (right[:, 1] - right[:, 0]).mean(0).max() < 0.02  # at no temperature
assert (right[:, 1, 2] - right[:, 1, 0]).mean() > 0.02  # T rescues the large one
for k, name in enumerate(("3 channels", "32 channels")):
    print(f"teacher of {name}: {taught[:, k].mean():.2f},", end=" ")
    print(f"mean top probability {top[k]:.2f} (n={S} seeds)")
    for j, T in enumerate(TS):
        a, agree = right[:, k, j], same[:, :, k, j].double().mean()
        print(f"  student at T={T:.0f}: {a.mean():.2f}", end=" ")
        print(f"({a.min():.2f}-{a.max():.2f}), agrees with its teacher: {agree:.2f}")
