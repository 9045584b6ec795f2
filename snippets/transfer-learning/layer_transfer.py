"""Copied early layers are as good as trained ones; a late one, frozen, is not.

Yosinski et al., "How transferable are features in deep neural networks?",
NeurIPS 2014. Digits 0-6 to 7-9, randomly shifted, (N, 1, 12, 12).
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
    def conv(inputs, outputs):
        layer = nn.Conv2d(inputs, outputs, 3, padding=1)
        return nn.Sequential(layer, nn.MaxPool2d(2), nn.ReLU())

    dense = nn.Sequential(nn.Flatten(), nn.Linear(144, 32), nn.ReLU())
    return nn.Sequential(conv(1, 8), conv(8, 16), dense, nn.Linear(32, classes))


def train(net, x, y, steps):
    learned = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=5e-3)
    for _ in range(steps):
        i = torch.randint(len(x), (32,))
        optimizer.zero_grad()
        F.cross_entropy(net(shifted(x[i])), y[i]).backward()
        optimizer.step()


scores = torch.zeros(2, len(SEEDS), 4)  # copied or random, seed, frozen layers
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    order = torch.randperm(len(images))
    x, y = images[order], labels[order]
    source = cnn(7)
    train(source, x[y < 7], y[y < 7], 250)
    train_x, test_x = x[y >= 7].chunk(2)
    train_y, test_y = (y[y >= 7] - 7).chunk(2)
    test_x = shifted(test_x)
    for kind in (0, 1):
        for n in range(4):
            net = cnn(3)
            if kind == 0:
                net[:n].load_state_dict(source[:n].state_dict())
            net[:n].requires_grad_(False)  # the first n stay
            train(net, train_x, train_y, 120)
            hits = net(test_x).argmax(1) == test_y
            scores[kind, s, n] = hits.double().mean()

copied, random = scores  # (seed, frozen layers)
assert (copied - random)[:, 2:].min() > 0.05  # learned beats random
assert (copied[:, 2] - copied[:, 0]).mean().abs() < 0.05  # two come free
assert (copied[:, 0] - copied[:, 3]).min() > 0.05  # the third costs
plt.figure(figsize=(5, 4))
print(f"0 to 3 frozen layers, mean accuracy of {len(SEEDS)} seeds")
for runs, name, style in ((copied, "copied", "o-"), (random, "random", "s--")):
    mean = runs.mean(0)
    print(name, *(f"{m:.2f}" for m in mean))
    spread = (mean - runs.amin(0), runs.amax(0) - mean)
    plt.errorbar(range(4), mean, spread, fmt=style, capsize=4, label=name)
plt.xticks(range(4), ("none", "conv 1", "conv 1, 2", "conv 1, 2\n+ dense"))
plt.xlabel("frozen layers")
plt.ylabel("test accuracy (mean, min to max)")
plt.legend()
plt.show()
