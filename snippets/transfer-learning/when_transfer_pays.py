"""Five labels per class: transfer pays if the source taught an invariance.

Source: digits 0-6. Target: 7-9. All images centered, or all shifted.
Images are (N, 1, 12, 12). Compare Raghu et al., "Transfusion", 2019.
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


recipes = ("scratch", "frozen", "fine-tune", "scratch + shifts", "fine-tune + shifts")
scores = torch.zeros(2, len(SEEDS), 5)  # centered or shifted, seed, recipe
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    order = torch.randperm(len(images))
    x, y = images[order], labels[order]
    few = torch.cat([(y == c).nonzero()[:5, 0] for c in (7, 8, 9)])
    test = (y >= 7).nonzero()[-300:, 0]
    for v, seen in enumerate((x, shifted(x))):  # one fixed shift per image
        source = cnn(7)
        train(source, x[y < 7], y[y < 7], 250, augment=v == 1)
        for r, recipe in enumerate(recipes):
            net, few_x, few_y = cnn(3), seen[few], y[few] - 7
            if "scratch" not in recipe:
                net[:-1].load_state_dict(source[:-1].state_dict())
            if recipe == "frozen":  # its features are computed once
                train(net[-1], net[:-1](few_x).detach(), few_y, 150)
            else:
                train(net, few_x, few_y, 150, augment="shifts" in recipe)
            hits = net(seen[test]).argmax(1) == y[test] - 7
            scores[v, s, r] = hits.double().mean()

gain = (scores[:, :, 2] - scores[:, :, 0]).mean(1)  # fine-tune over scratch
assert gain[0].abs() < 0.04 < gain[1]  # centered: nothing; shifted: a gain
assert (scores[1, :, 3:] - scores[1, :, :1]).mean(0).min() > 0.1  # shifts: more
plt.figure(figsize=(5, 4))
for v, (view, offset) in enumerate((("centered", -0.2), ("shifted", 0.2))):
    runs = scores[v].numpy()
    mean, low, high = runs.mean(0), runs.min(0), runs.max(0)
    at = [r + offset for r in range(5)]
    plt.barh(
        at,
        mean,
        0.4,
        xerr=(mean - low, high - mean),
        capsize=3,
        hatch=("", "//")[v],
        label=f"{view} images",
    )
    print(f"{view}: mean accuracy of {len(SEEDS)} seeds, min to max")
    for recipe, *numbers in zip(recipes, mean, low, high):
        print(f"  {recipe:<18}", *(f"{n:.2f}" for n in numbers))
plt.yticks(range(5), recipes)
plt.gca().invert_yaxis()
plt.xlabel("test accuracy, 5 labels per class")
plt.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2)
plt.show()
