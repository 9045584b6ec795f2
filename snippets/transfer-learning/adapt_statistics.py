"""Unlabeled target images repair some domain shifts, through batch norm.

Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation",
2016. Same ten digits, another camera; images are (N, 1, 8, 8).
"""

import copy

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
SEEDS = range(5)
pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
images = pixels.view(-1, 1, 8, 8) / 16


def adapt(net, x):
    """Replace running means and variances by those of x; no label is used."""
    net = copy.deepcopy(net)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # a plain average over the batches
    net.train()(x)
    return net.eval()


cameras = {
    "source": lambda x: x,
    "negative": lambda x: 1 - x,
    "fog": lambda x: 0.4 * x + 0.4 + 0.1 * torch.randn_like(x),
}
scores = torch.zeros(3, 2, len(SEEDS))  # camera, before or after, seed
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    order = torch.randperm(len(images))
    x, y = images[order], labels[order]
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(120):
        i = torch.randint(900, (32,))
        optimizer.zero_grad()
        F.cross_entropy(net(x[i]), y[i]).backward()
        optimizer.step()
    net.eval()
    for c, camera in enumerate(cameras.values()):
        seen = camera(x[900:])  # 400 to adapt to, the rest for the test
        for after, model in enumerate((net, adapt(net, seen[:400]))):
            hits = model(seen[400:]).argmax(1) == y[1300:]
            scores[c, after, s] = hits.double().mean()

gain = scores[:, 1] - scores[:, 0]  # (camera, seed)
assert gain[2].min() > 0.05  # fog: a gain on every seed
assert gain[0].mean().abs() < 0.02  # source: nothing to repair
assert scores[1, 1].mean() < 0.2  # negative: statistics cannot undo it
print(f"accuracy before and after adapting, mean of {len(SEEDS)} seeds")
axes = plt.subplots(2, 3, figsize=(5.6, 4.4))[1]
for (top, bottom), runs, (name, camera) in zip(axes.T, scores, cameras.items()):
    mean, low, high = (v.numpy() for v in (runs.mean(1), *runs.aminmax(dim=1)))
    print(f"{name:<8} {mean[0]:.2f} {mean[1]:.2f}")
    top.imshow(camera(images[4])[0].numpy(), cmap="gray", vmin=0, vmax=1)
    top.set_title(name, fontsize=14)
    top.axis("off")
    bottom.bar(["before", "after"], mean, capsize=4, yerr=(mean - low, high - mean))
    bottom.set(ylim=(0, 1), ylabel="accuracy" if name == "source" else "")
print(f"gain in fog: {gain[2].min():.2f} to {gain[2].max():.2f}")
plt.tight_layout()
plt.show()
