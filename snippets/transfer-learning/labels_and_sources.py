"""Near source: transfer beats scratch. Far source: freezing loses to scratch.

Target: digits 7-9, shifted; 2 to 50 labels per class. Near source: shifted
digits 0-6. Far source: the same digits, never shifted. (N, 1, 12, 12).
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
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(144, classes),
    )


def train(net, x, y, steps, augment=False):
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(steps):
        i = torch.randint(len(x), (16,))
        optimizer.zero_grad()
        F.cross_entropy(net(shifted(x[i]) if augment else x[i]), y[i]).backward()
        optimizer.step()


budgets, recipes = (2, 5, 20, 50), ("scratch", "frozen", "fine-tune")
scores = torch.zeros(len(SEEDS), 2, 3, 4)  # seed, source, recipe, labels
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    order = torch.randperm(len(images))
    x, y = images[order], labels[order]
    moved, test = shifted(x), (y >= 7).nonzero()[-250:, 0]
    for a in (0, 1):  # near, far
        source = cnn(7)
        train(source, x[y < 7], y[y < 7], 250, augment=a == 0)
        for b, k in enumerate(budgets):
            few = torch.cat([(y == c).nonzero()[:k, 0] for c in (7, 8, 9)])
            few_x, few_y = moved[few], y[few] - 7
            for r, recipe in enumerate(recipes):
                net = cnn(3)
                if recipe != "scratch":
                    net[:-1].load_state_dict(source[:-1].state_dict())
                if recipe == "frozen":  # its features are computed once
                    train(net[-1], net[:-1](few_x).detach(), few_y, 150)
                elif recipe == "fine-tune" or a == 0:
                    train(net, few_x, few_y, 150)
                hits = net(moved[test]).argmax(1) == y[test] - 7
                scores[s, a, r, b] = hits.double().mean()
scores[:, 1, 0] = scores[:, 0, 0]  # scratch knows no source: trained once

gain = (scores - scores[:, :, :1]).mean(0)  # over scratch
assert gain[0, 1:, :2].min() > 0.02  # near: both recipes, 2 and 5 labels
assert gain[0, 2, 3] > gain[0, 1, 3] + 0.01  # 50 labels: fine-tuning leads
assert gain[1, 1, 2:].max() < -0.03  # far: freezing costs, 20 and 50 labels
axes = plt.subplots(2, 1, figsize=(5.6, 7), sharex=True)[1]
for a, axis in enumerate(axes):
    title = ("near", "far")[a] + " source"
    print(f"{title}, {len(SEEDS)} seeds; labels per class {budgets}")
    for r, recipe in enumerate(recipes):
        runs = scores[:, a, r]
        print(f"  {recipe:<9}", *(f"{m:.2f}" for m in runs.mean(0)))
        style = ("s--", "^:", "o-")[r]
        axis.semilogx(budgets, runs.mean(0), style, label=recipe)
        axis.fill_between(budgets, runs.amin(0), runs.amax(0), alpha=0.15)
    axis.set(title=title, ylabel="test accuracy", ylim=(0.25, 1))
axes[0].legend(loc="lower right")
axes[1].set_xticks(budgets, budgets)
axes[1].minorticks_off()
axes[1].set_xlabel("labels per class (lines: mean, bands: min to max)")
plt.show()
