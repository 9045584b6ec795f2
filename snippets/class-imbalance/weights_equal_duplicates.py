"""A class weight of k equals k copies of each image, until batch norm sees the batch.

PyTorch's weighted mean divides by the sum of the weights, not by N: so both give the
same loss and the same gradient. Batch (12, 1, 8, 8): 10 images of class 0, 2 of 1.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


def weighted_mean_ce(z, y, weight):
    """What F.cross_entropy(z, y, weight) computes; z (N, C), y (N,), weight (C,)."""
    log_p = z.log_softmax(1)[torch.arange(len(y)), y]
    return -(weight[y] * log_p).sum() / weight[y].sum()


def gradient(model, loss):
    """All gradients of the loss in one vector."""
    parts = torch.autograd.grad(loss, model.parameters())
    return torch.cat([part.flatten() for part in parts])


def network(norm):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)
    )


torch.manual_seed(0)
y = torch.tensor([0] * 10 + [1] * 2)
x = torch.randn(12, 1, 8, 8) + 2 * y.view(-1, 1, 1, 1)  # class 1 is brighter
weight = torch.tensor([1.0, 5.0])
copies = torch.tensor([1, 5])[y]  # of each image
many_x, many_y = x.repeat_interleave(copies, 0), y.repeat_interleave(copies)

gaps = {}
for name, norm in (("without", nn.Identity()), ("with", nn.BatchNorm2d(4))):
    model = network(norm)
    by_weight = gradient(model, weighted_mean_ce(model(x), y, weight))
    by_copies = gradient(model, F.cross_entropy(model(many_x), many_y))
    gaps[name] = ((by_weight - by_copies).norm() / by_copies.norm()).item()
assert gaps["without"] < 1e-12
assert gaps["with"] > 0.1
print("without batch norm the gradients are equal within 1e-12")
print("with batch norm they differ by more than 10 %")
