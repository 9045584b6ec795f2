"""Small batches add up to the big batch's gradient, if each loss has the right weight
and no layer averages over the batch.

PyTorch adds to .grad. Small CNN on scikit-learn's digits (1797, 1, 8, 8).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = (torch.tensor(v) for v in load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16


def gradient(net, parts, weight):
    """Sum of the gradients of weight(part) * mean loss of the part."""
    net.zero_grad()
    for part in parts:
        loss = F.cross_entropy(net(images[part]), labels[part])
        (weight(part) * loss).backward()  # adds to .grad, frees this part's activations
    return torch.cat([p.grad.flatten() for p in net.parameters()])


def difference(norm, weight, seed):
    """Relative difference between accumulated and big-batch gradient."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3),
        norm,
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(72, 10),
    )
    batch = torch.randperm(len(images))[:64]
    whole = gradient(net, [batch], lambda part: 1)
    parts = gradient(net, batch.split([10, 20, 30, 4]), weight)  # unequal sizes
    return ((parts - whole).norm() / whole.norm()).item()


results = {
    "weighted by size": [nn.Identity(), lambda part: len(part) / 64],
    "divided by 4": [nn.Identity(), lambda part: 1 / 4],
    "BatchNorm": [nn.BatchNorm2d(8), lambda part: len(part) / 64],
    "GroupNorm": [nn.GroupNorm(2, 8), lambda part: len(part) / 64],
}
for name, (norm, weight) in results.items():
    off = [difference(norm, weight, seed) for seed in range(5)]
    if name in ("weighted by size", "GroupNorm"):
        assert max(off) < 1e-12
        print(f"{name:16}  < 1e-12")
    else:
        assert min(off) > (0.2 if name == "divided by 4" else 0.002)
        print(f"{name:16}  {min(off):.2f} to {max(off):.2f}")
print("relative difference to the big batch's gradient, n = 5 seeds")
