"""Dilation widens the field at no cost in weights, but equal rates leave holes.

Sources: Yu, Koltun, arXiv 1511.07122 (ICLR 2016); Wang and others, 1702.08502 (HDC).
Shapes: x (1, 1, 33, 33); three 3x3 layers of ones, gradient of the center output.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def footprint(rates, size=33):
    """Number of paths from each pixel to the center output: (size, size)."""
    x = torch.zeros(1, 1, size, size, requires_grad=True)
    y = x
    for rate in rates:
        y = F.conv2d(y, torch.ones(1, 1, 3, 3), padding=rate, dilation=rate)
    (paths,) = torch.autograd.grad(y[0, 0, size // 2, size // 2], x)
    return paths[0, 0]


expected = {(1, 1, 1): 49, (1, 2, 4): 225, (4, 4, 4): 49, (1, 2, 9): 441}
fig, axes = plt.subplots(1, 4, figsize=(7, 2.3), layout="constrained")
for ax, (rates, seen) in zip(axes, expected.items()):
    paths = footprint(rates)
    used = paths > 0
    width = int(used.any(0).nonzero().max() - used.any(0).nonzero().min()) + 1
    assert width == 1 + 2 * sum(rates) and used.sum() == seen
    share = seen / width**2
    print(f"rates {rates}: field {width:2}, pixels seen {seen:3}", end=" ")
    print(f"of {width**2:3} ({share:.0%}), weights {3 * 9}")
    ax.imshow(paths.sqrt().numpy(), cmap="gray_r")
    title = ", ".join(map(str, rates))
    ax.set(title=f"{title}\nfield {width}, {share:.0%} seen", xticks=[], yticks=[])
plt.show()
