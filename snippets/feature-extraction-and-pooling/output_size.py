"""Size, weights and multiplications of a convolution follow from its settings.

Source: Dumoulin and Visin, arXiv 1603.07285 (2016).
Shapes: x (N, C_in, H, W) -> (N, C_out, H', W'), here H = W.
"""

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def output_size(size, kernel, stride=1, padding=0, dilation=1):
    reach = dilation * (kernel - 1) + 1  # first to last tap of the kernel
    return (size + 2 * padding - reach) // stride + 1  # rounds down


# "meta" tensors have a shape and no data, so every setting can be tried.
checked = 0
grid = product(range(1, 20), range(1, 6), range(1, 5), range(4), range(1, 4))
for size, k, s, p, d in grid:
    if output_size(size, k, s, p, d) < 1:
        continue  # the kernel is larger than the padded input
    x = torch.empty(1, 1, size, 1 + d * (k - 1), device="meta")  # (N, C, H, W)
    w = torch.empty(1, 1, k, k, device="meta")
    height = F.conv2d(x, w, None, s, p, d).shape[2]
    assert height == output_size(size, k, s, p, d)
    checked += 1
print(f"formula = library on {checked} settings")

# ResNet's first layer on two image sizes.
layer = nn.Conv2d(3, 64, 7, stride=2, padding=3, device="meta")
parameters = sum(p.numel() for p in layer.parameters())
assert parameters == 64 * (3 * 7 * 7 + 1)
for size in (224, 448):
    with FlopCounterMode(display=False) as counter:
        layer(torch.empty(1, 3, size, size, device="meta"))
    macs = counter.get_total_flops() // 2  # one multiply-add counts as 2
    side = output_size(size, 7, 2, 3)
    assert macs == side * side * 64 * 3 * 7 * 7
    print(f"{size} px: output {side} px, {parameters} weights, {macs:,} MACs")
