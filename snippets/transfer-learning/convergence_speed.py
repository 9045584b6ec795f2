"""Pretraining speeds up learning; with all the labels the lead then fades.

He, Girshick and Dollar, "Rethinking ImageNet Pre-training", ICCV 2019.
Source: digits 0-6. Target: 7-9. Images (N, 1, 12, 12), randomly shifted.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
SEEDS = range(5)
pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
images = F.pad(pixels.view(-1, 1, 8, 8) / 16, (2, 2, 2, 2))


def shifted(x):  # each image by up to 2 pixels; the margin is empty
    moves = torch.randint(-2, 3, (len(x), 2)).tolist()
    return torch.stack([a.roll(m, (1, 2)) for a, m in zip(x, moves)])


def cnn(classes):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, classes),
    )


def accuracy(net, x, y):
    with torch.no_grad():
        return (net(x).argmax(1) == y).double().mean().item()


def train(net, x, y, steps, test=None):
    """Return the accuracy at every 20th step."""
    learned = [p for p in net.parameters() if p.requires_grad]
    optimizer, curve = torch.optim.Adam(learned, lr=5e-3), []
    for n in range(steps + 1):
        if test and n % 20 == 0:
            curve.append(accuracy(net, *test))
        i = torch.randint(len(x), (32,))
        optimizer.zero_grad()
        F.cross_entropy(net(shifted(x[i])), y[i]).backward()
        optimizer.step()
    return torch.tensor(curve)


recipes = ("scratch", "frozen random", "frozen", "fine-tune")
curves = torch.zeros(4, len(SEEDS), 11)  # recipe, seed, test
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    order = torch.randperm(len(images))
    x, y = images[order], labels[order]
    train_x, test_x = x[y >= 7].chunk(2)  # about 270 images each
    train_y, test_y = (y[y >= 7] - 7).chunk(2)
    source, test = cnn(7), (shifted(test_x), test_y)
    train(source, x[y < 7], y[y < 7], 250)
    for r, recipe in enumerate(recipes):
        net = cnn(3)  # a new random head in every case
        if recipe in ("frozen", "fine-tune"):
            net[:-1].load_state_dict(source[:-1].state_dict())
        net[:-1].requires_grad_("frozen" not in recipe)
        curves[r, s] = train(net, train_x, train_y, 200, test)

lead = curves[3] - curves[0]  # (seed, test)
early = lead[:, 1:4].mean(1)  # tests after 20, 40 and 60 steps
assert early.min() > 0.08  # on every seed
assert lead[:, -1].mean().abs() < 0.05  # gone after 200 steps
plt.figure(figsize=(5, 4))
print(f"accuracy after 20 and 200 steps, {len(early)} seeds")
for r, (recipe, style) in enumerate(zip(recipes, ("--", ":", "-.", "-"))):
    mean, low, high = curves[r].mean(0), curves[r].amin(0), curves[r].amax(0)
    print(f"{recipe:<13} {mean[1]:.2f} {mean[-1]:.2f}")
    plt.plot(range(0, 201, 20), mean, style, label=recipe, color=f"C{r}")
    plt.fill_between(range(0, 201, 20), low, high, alpha=0.15, color=f"C{r}")
print(f"lead at 20-60 steps: {early.min():.2f} to {early.max():.2f}")
plt.xlabel("training steps on the target")
plt.ylabel("test accuracy (mean, min to max)")
plt.legend()
plt.show()
