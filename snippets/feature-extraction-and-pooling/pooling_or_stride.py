"""Pooling beats stride on shifted images, yet neither is shift-invariant.

Source: Springenberg and others, arXiv 1412.6806; Azulay and Weiss, JMLR 2019.
Shapes: digits x (N, 1, 12, 12), an 8x8 image with a 2 px border of zeros.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = load_digits(return_X_y=True)
images = F.pad(torch.from_numpy(images / 16).view(-1, 1, 8, 8), (2, 2, 2, 2))
labels = torch.from_numpy(labels)
SEEDS = 5


def network(pooling):
    stride, pool = (1, nn.MaxPool2d(2)) if pooling else (2, nn.Identity())
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, stride, padding=1),
        nn.ReLU(),
        pool,  # 6x6
        nn.Conv2d(12, 24, 3, stride, padding=1),
        nn.ReLU(),
        pool,  # 3x3
        nn.Flatten(),
        nn.Linear(24 * 9, 10),
    )


def accuracies(pooling, seed):
    torch.manual_seed(seed)
    train, test = torch.randperm(len(images)).split([900, 897])
    net = network(pooling)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(12):
        for batch in train[torch.randperm(900)].split(64):
            loss = F.cross_entropy(net(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def accuracy(pixels, axis):
        guess = net(images[test].roll(pixels, axis)).argmax(1)
        return (guess == labels[test]).double().mean().item()

    moves = [accuracy(pixels, axis) for pixels in (-1, 1) for axis in (2, 3)]
    return accuracy(0, 2), sum(moves) / 4


pooled, strided = (
    torch.tensor([accuracies(pooling, seed) for seed in range(SEEDS)])  # (n, 2)
    for pooling in (True, False)
)
clean_gap, moved_gap = (pooled - strided).mean(0)
assert abs(clean_gap) < 0.03 and moved_gap > 0.08
assert max(pooled[:, 1].max(), strided[:, 1].max()) < 0.75  # no invariance
for name, result in (("2x2 max pooling", pooled), ("stride 2", strided)):
    low, high = result[:, 1].aminmax()
    print(f"{name}: accuracy {result[:, 0].mean():.2f},", end=" ")
    print(f"moved by 1 px {result[:, 1].mean():.2f} ({low:.2f}-{high:.2f}, n={SEEDS})")
