"""Many small gradient steps (PGD) find worse points in the same box than one big step
(FGSM); random noise of that size finds none.

Goodfellow and others, ICLR 2015; Madry and others, ICLR 2018. One CNN for each seed,
side by side: images x (N, SEEDS, 8, 8), logits (N, SEEDS, 10), labels y (N, SEEDS).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = SEEDS = 5
split = torch.rand(len(X), S).argsort(0)  # another one for each seed
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]


def grouped_cnns():  # groups=S: the networks share no weight
    return nn.Sequential(
        nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
        nn.ReLU(),
        nn.Conv2d(8 * S, 32 * S, 4, groups=S),
        nn.ReLU(),
        nn.Conv2d(32 * S, 10 * S, 1, groups=S),
        nn.Unflatten(1, (S, 10)),
        nn.Flatten(2),
    )


def loss(net, x, y):  # summed, so each image has its own gradient
    return F.cross_entropy(net(x).flatten(0, 1), y.flatten(), reduction="sum")


def fgsm(net, x, y, eps):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(net, x, y), x)
    return (x + eps * gradient.sign()).clamp(0, 1).detach()


def pgd(net, x, y, eps, step, steps, start):
    z = (x + start).clamp(0, 1)
    for _ in range(steps):
        z.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(net, z, y), z)
        z = z.detach() + step * gradient.sign()
        z = z.clamp(x - eps, x + eps).clamp(0, 1)  # project: box, then pixel range
    return z


net = grouped_cnns()
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(1200, (100, 100)):
    error = loss(net, x[i], y[i]) / len(i)
    adam.zero_grad(), error.backward(), adam.step()
x, y = x[-200:], y[-200:]  # test
print(f"accuracy, {SEEDS} seeds   random noise   FGSM             PGD-20")
for eps in (0.05, 0.1, 0.15, 0.5):
    start = torch.empty_like(x).uniform_(-eps, eps)
    noisy = (x + eps * start.sign()).clamp(0, 1)
    attacked = noisy, fgsm(net, x, y, eps), pgd(net, x, y, eps, eps / 8, 20, start)
    assert max((z - x).abs().max() for z in attacked) <= eps + 1e-12
    a = torch.stack([(net(z).argmax(2) == y).double().mean(0) for z in attacked])
    row = [f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in a]
    print(f"eps {eps:.2f}              {'  '.join(row)}")
    if eps == 0.15:  # beyond about 0.3 the noise itself hides the digit
        assert a[0].min() > a[1].max() + 0.3 and (a[2] < a[1] - 0.01).all()
        assert loss(net, attacked[2], y) > 1.05 * loss(net, attacked[1], y)
        series = {"image": x, "noise": noisy, "FGSM": attacked[1], "PGD": attacked[2]}
assert a[2].max() == 0  # with eps 0.5 any image can become mid-gray
right = [(net(z).argmax(2) == y)[:, 0] for z in series.values()]
n = (right[0] & right[1] & ~right[2] & ~right[3]).nonzero()[0, 0]  # the first such
figure, axes = plt.subplots(2, 4, figsize=(7, 4))
for (name, z), (top, below) in zip(series.items(), axes.T):
    top.imshow(z[n, 0].numpy(), cmap="gray", vmin=0, vmax=1)
    top.set_title(f"{name}: {net(z)[n, 0].argmax()}"), below.set_xlabel("change x 4")
    below.imshow(4 * (z - x)[n, 0].numpy(), cmap="RdBu", vmin=-1, vmax=1)
plt.setp(axes, xticks=[], yticks=[]), plt.tight_layout(), plt.show()
