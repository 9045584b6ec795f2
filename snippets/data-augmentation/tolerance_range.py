"""Augmentation buys tolerance inside the range it sampled, not invariance.

Azulay and Weiss, JMLR 2019. Digits x (N, 1, 10, 10): 8x8 with a dark rim; labels
y (N,). One network sees turns up to 30 degrees, one sees sideways shifts up to 1 px.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, SEEDS = F.pad(torch.tensor(images / 16).view(-1, 1, 8, 8), [1] * 4), range(5)
y = torch.tensor(y)


def warp(x, degrees, pixels):  # one turn and one shift per image
    a, shift = torch.deg2rad(degrees), -2 * pixels / x.shape[-1]  # canvas is -1..1
    rows = [a.cos(), -a.sin(), shift, a.sin(), a.cos(), 0 * a]
    theta = torch.stack(rows, 1).view(-1, 2, 3)  # from output to input pixels
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


sweeps = torch.tensor([[0, 15, 30, 60, 90], [0, 0.5, 1, 2, 3]])  # degrees; pixels
limits = torch.tensor([[0, 0], [30, 0], [0, 1]])  # of three networks' training
accuracy = torch.zeros(len(SEEDS), 3, 2, 5)  # seed, network, sweep, strength
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    fit, test = torch.randperm(len(x)).split([1297, 500])
    for k, limit in enumerate(limits):
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128, 10),
        )
        adam = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(200):
            i = fit[torch.randint(len(fit), (32,))]
            degrees, pixels = (torch.rand(32, 2) * 2 - 1).mul(limit).T
            loss = F.cross_entropy(net(warp(x[i], degrees, pixels)), y[i])
            adam.zero_grad(), loss.backward(), adam.step()
        for j, n in torch.cartesian_prod(torch.arange(2), torch.arange(5)):
            move = torch.zeros(2, 500).index_fill(0, j, sweeps[j, n])
            right = net(warp(x[test], *move)).argmax(1) == y[test]
            accuracy[s, k, j, n] = right.double().mean()
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
for j, ax in enumerate(axes):
    ax.axvspan(0, limits[j + 1, j], color="0.88")  # what training showed
    ax.plot(sweeps[j], accuracy.mean(0)[0, j], "s--", label="plain")
    ax.plot(sweeps[j], accuracy.mean(0)[j + 1, j], "o-", label="augmented")
    ax.set_xlabel(["turn (degrees)", "shift (pixels)"][j], fontsize=13)
axes[0].set_ylabel("test accuracy", fontsize=13), axes[1].legend(fontsize=12)
plt.tight_layout(), plt.show()
for j, name in enumerate(["turn 30, 60, 90", "shift 1, 2, 3"]):
    plain, augmented = accuracy[:, 0, j, 2:], accuracy[:, j + 1, j, 2:]  # (seeds, 3)
    assert (augmented - plain)[:, 0].min() > 0.1  # at the edge of the range
    assert (augmented[:, 0] - augmented[:, 2]).min() > 0.3  # far outside it
    for who, a in [("plain    ", plain), ("augmented", augmented)]:
        print(name, who, *[f"{value:.2f}" for value in a.mean(0)])
print(f"mean of {len(SEEDS)} seeds")
