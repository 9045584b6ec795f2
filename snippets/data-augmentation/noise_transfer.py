"""Noise injection helps against that noise; help against another is not assured.

Geirhos and others, NeurIPS 2018. Digits x (N, 1, 8, 8), labels y (N,), 60 training
images per class; networks trained on clean, Gaussian or speckle-noised images.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, y, SEEDS = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(y), range(5)


def gaussian(x):  # added, alike everywhere
    return x + 0.4 * torch.randn_like(x)


def speckle(x):  # multiplied: black stays black
    return x * (1 + 0.8 * torch.randn_like(x))


def salt(x):  # and pepper: a fifth of the pixels turn black or white
    r = torch.rand_like(x)
    return torch.where(r < 0.1, 0.0, torch.where(r > 0.9, 1.0, x))


noises = dict(clean=nn.Identity(), Gaussian=gaussian, speckle=speckle, salt=salt)
accuracy = torch.zeros(len(SEEDS), 3, 4)
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    fit, test = torch.randperm(len(x)).split([600, len(x) - 600])
    for k, noise in enumerate(list(noises.values())[:3]):
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, 10),
        )
        adam = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(250):
            i = fit[torch.randint(600, (32,))]
            loss = F.cross_entropy(net(noise(x[i])), y[i])
            adam.zero_grad(), loss.backward(), adam.step()
        for j, change in enumerate(noises.values()):
            right = net(change(x[test])).argmax(1) == y[test]
            accuracy[s, k, j] = right.double().mean()
mean, gain = accuracy.mean(0).numpy(), accuracy - accuracy[:, :1]  # against clean
plt.figure(figsize=(6.4, 3.5))
for k, hatch in enumerate(["", "//", "xx"]):
    plt.bar(
        [j + 0.27 * (k - 1) for j in range(4)],
        mean[k],
        0.27,
        hatch=hatch,
        color="0.8",
        edgecolor="black",
        label=f"trained on {list(noises)[k]}",
    )
plt.xticks(range(4), noises, fontsize=13), plt.ylabel("test accuracy", fontsize=13)
plt.ylim(0.4, 1.25), plt.yticks([0.4, 0.6, 0.8, 1.0])
plt.legend(ncols=2, fontsize=11), plt.tight_layout(), plt.show()
assert gain[:, 1, 1].mean() > 0.03 and gain[:, 2, 2].min() > 0.03  # its own noise
assert gain[:, 1, 3].mean() > 0.01 and gain[:, 2, 3].mean() < -0.02  # another noise
for k in (1, 2):
    change = [f"{name} {g:+.2f}" for name, g in zip(noises, gain.mean(0)[k])]
    print(f"trained on {list(noises)[k]:8}: {', '.join(change)}")
print(f"change of accuracy against clean training, {len(SEEDS)} seeds")
