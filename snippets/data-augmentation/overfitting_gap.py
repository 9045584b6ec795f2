"""Augmentation narrows the gap between training and test, if trained long enough.

Digits x (N, 1, 8, 8) pushed off center once by up to a pixel, as a careless camera
would; labels y (N,). 100 training images, which augmentation pushes anew.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(y)
SEEDS, CHECKS, EVERY = range(5), 8, 100


def push(x, pixels=1.0):  # each image by its own random part of a pixel
    theta = torch.eye(2, 3).repeat(len(x), 1, 1)
    theta[:, :, 2] = (torch.rand(len(x), 2) * 2 - 1) * pixels * 2 / x.shape[-1]
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


accuracy = torch.zeros(len(SEEDS), 2, CHECKS, 2)  # seed, network, time, train/test
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    world = push(x)
    fit, test, _ = torch.randperm(len(x)).split([100, 800, 897])
    for k, augment in enumerate([lambda x: x, push]):
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, 10),
        )
        adam = torch.optim.Adam(net.parameters(), 5e-3)
        for step in range(CHECKS * EVERY):
            i = fit[torch.randint(100, (32,))]
            loss = F.cross_entropy(net(augment(world[i])), y[i])
            adam.zero_grad(), loss.backward(), adam.step()
            if (step + 1) % EVERY == 0:
                for j, part in enumerate([fit, test]):
                    right = net(world[part]).argmax(1) == y[part]
                    accuracy[s, k, step // EVERY, j] = right.double().mean()

plt.figure(figsize=(6.4, 3.6))
steps = range(EVERY, CHECKS * EVERY + 1, EVERY)
for k, color in enumerate(["tab:red", "tab:blue"]):
    for j, style in enumerate(["--", "o-"]):
        plt.plot(
            steps,
            accuracy.mean(0)[k, :, j],
            style,
            color=color,
            label=["plain, ", "augmented, "][k] + ["training", "test"][j],
        )
plt.xlabel("training steps", fontsize=13), plt.ylabel("accuracy", fontsize=13)
plt.legend(fontsize=11), plt.tight_layout(), plt.show()
early, late = accuracy[:, :, 0], accuracy[:, :, -1]  # seed, network, train/test
gain, gap = late[:, 1, 1] - late[:, 0, 1], late[:, :, 0] - late[:, :, 1]
assert gain.mean() > 0.02 and (gap[:, 1] < gap[:, 0]).all()
assert (early[:, 1, 1] - early[:, 0, 1]).mean() < -0.02  # at first it only slows
for when, a in [(EVERY, early), (CHECKS * EVERY, late)]:
    (p, q), (r, t) = a.mean(0)
    print(
        f"step {when}: plain train {p:.2f} test {q:.2f}, "
        f"augmented train {r:.2f} test {t:.2f}"
    )
print(f"final test gain {gain.min():.2f} to {gain.max():.2f}, {len(SEEDS)} seeds")
