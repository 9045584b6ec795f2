"""Label smoothing makes a better teacher that tells less at high T.

Mueller, Kornblith, Hinton, NeurIPS 2019; Chandrasegaran and others, ICML 2022.
S = 5 seeds; targets (N, S, C, 10): C = 2 for the teachers (plain, smoothed),
C = 4 for the students (plain T=1, T=10, smoothed T=1, T=10), who see no 3.
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


def smooth(p, epsilon):
    return (1 - epsilon) * p + epsilon / p.shape[-1]


every = torch.arange(600)[:, None].expand(-1, S)
both = torch.stack([hard, smooth(hard, 0.3)], 2)
z = logits(fit(cnn(S * 2, 32), every, both, [1.0, 1.0], 200), 2, x)
soft = [(z[:, :, k] / T).softmax(2) for k in (0, 1) for T in (1, 10)]
# Rows (500, S) of the teachers' own images, without the 3s.
no_3 = torch.stack([t.nonzero()[:500, 0] for t in (y[:600] != 3).T], 1)
student = fit(cnn(S * 4, 3), no_3, torch.stack(soft, 2), [1.0, 10.0, 1.0, 10.0], 150)
test = y[1200:, :, None]
taught = (z[1200:].argmax(3) == test).double().mean(0)  # (S, 2)
right = logits(student, 4, x[1200:]).argmax(3) == test
three, rest = ((right & m).sum(0) / m.sum(0) for m in (test == 3, test != 3))  # (S, 4)
assert taught[:, 1].mean() > taught[:, 0].mean()  # the smoothed teacher is better
assert (three[:, 1] - three[:, 3]).mean() > 0.1  # and conveys less at T = 10
assert (three[:, 2] - three[:, 0]).mean() > 0.02  # but more at T = 1
for k, name in enumerate(("plain", "smoothed")):
    print(f"{name} teacher: {taught[:, k].mean():.2f} (mean of n={S} seeds)")
    for j, T in ((2 * k, 1), (2 * k + 1, 10)):
        a, b = three[:, j], rest[:, j].mean()
        print(f"  student at T={T}: on the 3s, never shown, {a.mean():.2f}", end=" ")
        print(f"({a.min():.2f}-{a.max():.2f}), others {b:.2f}")
