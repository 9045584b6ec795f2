"""Cutout and CutMix buy tolerance of occlusion; in the clear Cutout costs a little.

Digits x (N, 1, 8, 8), labels y (N,), 100 training images; occluded: 4 x 4 black."""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, y, SEEDS = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(y), range(5)
KINDS = "none", "Cutout", "mixup", "CutMix"


def square(x, side):  # True inside one random square per image
    row, column = torch.randint(9 - side, (2, len(x), 1, 1, 1))
    r, c = torch.arange(8).view(8, 1) - row, torch.arange(8) - column
    return (r >= 0) & (r < side) & (c >= 0) & (c < side)


def augment(kind, x):  # new images, index of the partner mixed in, its share
    partner, share = torch.randperm(len(x)), torch.rand(()).item()
    if kind == "mixup":
        return (1 - share) * x + share * x[partner], partner, share
    if kind == "CutMix":  # the share follows from whole pixels
        side = round(8 * share**0.5)
        return torch.where(square(x, side), x[partner], x), partner, side**2 / 64
    return x * ~square(x, 4 if kind == "Cutout" else 0), partner, 0.0


accuracy = torch.zeros(len(SEEDS), len(KINDS), 2)  # clean, occluded
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    fit, test, _ = torch.randperm(len(x)).split([100, 800, 897])
    for k, kind in enumerate(KINDS):
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
        for _ in range(300):
            i = fit[torch.randint(len(fit), (32,))]
            mixed, partner, share = augment(kind, x[i])
            z, a, b = net(mixed), y[i], y[i[partner]]
            loss = (1 - share) * F.cross_entropy(z, a) + share * F.cross_entropy(z, b)
            adam.zero_grad(), loss.backward(), adam.step()
        for j, view in enumerate([x[test], x[test] * ~square(x[test], 4)]):
            accuracy[s, k, j] = (net(view).argmax(1) == y[test]).double().mean()
gain, mean = accuracy - accuracy[:, :1], accuracy.mean(0)
plt.rcParams.update({"font.size": 14, "figure.figsize": (6.4, 3.4)})
for j, name in enumerate(["clean test", "occluded test"]):
    plt.bar(
        [k + 0.4 * j for k in range(4)],
        mean[:, j].tolist(),
        0.4,
        label=name,
        color=["0.9", "0.6"][j],
        edgecolor="black",
    )
plt.xticks([k + 0.2 for k in range(4)], KINDS), plt.yticks([0, 0.5, 1])
plt.ylim(0, 1.25), plt.ylabel("accuracy"), plt.legend(ncols=2), plt.show()
assert gain[:, 1, 1].min() > 0.15 and gain[:, 3, 1].mean() > 0.08  # occluded
assert gain[:, 1, 0].mean() < 0 and gain[:, 2:, 0].mean(0).abs().max() < 0.05
for kind, (clean, occluded) in zip(KINDS, mean):
    print(f"{kind:6}  clean {clean:.2f}, occluded {occluded:.2f}")
print(f"mean of {len(SEEDS)} seeds")
