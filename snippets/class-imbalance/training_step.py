"""Rare classes in one training loop: logit-adjusted loss, balanced sampler, or neither.

The loss: Menon and others, ICLR 2021. Digits 1, 8 and 9 keep 4 training images,
the others 60. Images (N, 1, 8, 8), logits (N, 10), labels (N,).
"""

from functools import partial

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.set_default_dtype(torch.float64)


def log_prior(labels, classes):
    """Log of the share of each class among the training labels: (classes,)."""
    counts = torch.bincount(labels, minlength=classes)
    return (counts / counts.sum()).log()


def adjusted_cross_entropy(logits, labels, log_prior, tau=1.0):
    """Train with this; predict with the plain logits."""
    return F.cross_entropy(logits + tau * log_prior, labels)


def balanced_sampler(labels):
    """Draws every class equally often, with replacement."""
    counts = torch.bincount(labels)
    return WeightedRandomSampler(1 / counts[labels], len(labels))


def train_epoch(model, loader, loss, optimizer):
    for images, labels in loader:
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()


@torch.no_grad()
def class_recall(model, images, labels, classes):
    """Share of each class that is found: (classes,); its mean is balanced accuracy."""
    hit = (model(images).argmax(1) == labels).double()
    found = torch.bincount(labels, hit, minlength=classes)
    return found / torch.bincount(labels, minlength=classes)


def split_digits(rare, few, many):
    """Training set with few images of each rare digit, and a test set of all others."""
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.tensor(images).view(-1, 1, 8, 8) / 16, torch.tensor(labels)
    order = torch.randperm(len(labels))
    sizes = [few if digit in rare else many for digit in range(10)]
    train = torch.cat([order[labels[order] == d][:n] for d, n in enumerate(sizes)])
    test = order[~torch.isin(order, train)]
    return TensorDataset(images[train], labels[train]), images[test], labels[test]


RARE, EPOCHS = [1, 8, 9], 24
torch.manual_seed(0)
train_set, test_images, test_labels = split_digits(RARE, few=4, many=60)
train_labels = train_set.tensors[1]
adjusted = partial(adjusted_cross_entropy, log_prior=log_prior(train_labels, 10))
methods = {
    "plain": (F.cross_entropy, None),
    "sampler": (F.cross_entropy, balanced_sampler(train_labels)),
    "adjusted": (adjusted, None),
}
curves = {}
for name, (loss, sampler) in methods.items():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    loader = DataLoader(train_set, 32, shuffle=sampler is None, sampler=sampler)
    curves[name] = []
    for _ in range(EPOCHS):
        train_epoch(model, loader, loss, optimizer)
        recall = class_recall(model, test_images, test_labels, 10)
        curves[name].append(recall[RARE].mean().item())
    print(
        f"{name:8s} rare recall at epoch 2: {curves[name][1]:.2f}, "
        f"at 24: {curves[name][-1]:.2f}"
    )

# plain training finds the rare digits late
assert min(curves["sampler"][1], curves["adjusted"][1]) > curves["plain"][1] + 0.2

# Figure
plt.figure(figsize=(6, 3.6))
for (name, curve), style in zip(curves.items(), ("k-", "C0--", "C1-.")):
    plt.plot(range(1, EPOCHS + 1), curve, style, lw=2, label=name)
plt.xlabel("epoch")
plt.ylabel("recall of the rare digits")
plt.ylim(0, 1)
plt.legend()
plt.show()
