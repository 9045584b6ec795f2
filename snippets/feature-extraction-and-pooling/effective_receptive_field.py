"""The effective receptive field is a bump, narrower than the theoretical box.

Source: Luo, Li, Urtasun, Zemel, arXiv 1701.04128 (NeurIPS 2016).
Shapes: x (1, 8, S, S) -> depth times [3x3 convolution, ReLU], random weights.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
SEEDS = 20


def influence(depth, seed):
    """Squared gradient of the center unit, by input pixel: (field, field)."""
    torch.manual_seed(seed)
    layers = []
    for _ in range(depth):
        layers += [nn.Conv2d(8, 8, 3, bias=False), nn.ReLU()]  # no padding
        nn.init.kaiming_normal_(layers[-2].weight)
    field = 2 * depth + 1  # so the output is a single unit
    x = torch.randn(1, 8, field, field, requires_grad=True)
    nn.Sequential(*layers)(x).sum().backward()  # sum over 8 channels
    return x.grad[0].square().sum(0)


def core_width(m):
    """Side of the smallest centered square with 95 % of the influence."""
    c = len(m) // 2
    for r in range(c + 1):
        if m[c - r : c + r + 1, c - r : c + r + 1].sum() >= 0.95 * m.sum():
            return 2 * r + 1


fig, axes = plt.subplots(1, 3, figsize=(7, 2.9), layout="constrained")
ratios = []
for ax, depth in zip(axes, (5, 10, 20)):
    field = 2 * depth + 1
    maps = torch.stack([influence(depth, seed) for seed in range(SEEDS)])
    widths = [core_width(m) for m in maps]
    mean = sum(widths) / SEEDS
    ratios.append(mean / field)
    spread = f"{min(widths)} to {max(widths)}, n={SEEDS}"
    print(f"{depth} layers, field {field} px: 95 % in {mean:.1f} px ({spread})")

    ax.imshow(maps.mean(0).sqrt().numpy(), cmap="gray_r")
    low, high = depth - mean / 2, depth + mean / 2
    ax.plot([low, high, high, low, low], [low, low, high, high, low], lw=2)
    ax.set(title=f"{depth} layers: {field} px", xticks=[], yticks=[])
assert ratios[0] > ratios[1] + 0.1 and ratios[1] > ratios[2] + 0.1
plt.show()
