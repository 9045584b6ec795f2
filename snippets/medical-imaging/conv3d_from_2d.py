"""A 3D convolution is a sum of 2D convolutions over neighboring slices.

So slices as channels (2.5D) give the first 3D layer at one depth, no more: the depth
axis is gone. Weights grow by 3, memory by the number of slices.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


def conv3d_loop(x, w):
    """x (C, D, H, W), w (O, C, k, k, k) -> (O, D-k+1, H-k+1, W-k+1)."""
    k = w.shape[-1]
    d, h, v = (n - k + 1 for n in x.shape[1:])
    y = torch.zeros(len(w), d, h, v)
    for z, i, j in itertools.product(range(k), repeat=3):
        window = x[:, z : z + d, i : i + h, j : j + v]  # (C, d, h, v)
        y += torch.einsum("oc,cdhv->odhv", w[:, :, z, i, j], window)
    return y


def conv3d_from_2d(x, w):
    """The same: slice z is the sum of k 2D convolutions of the slices z ... z+k-1."""
    k = w.shape[2]
    slices = [
        sum(F.conv2d(x[:, z + s], w[:, :, s]) for s in range(k))
        for z in range(x.shape[1] - k + 1)
    ]
    return torch.stack(slices, 1)


torch.manual_seed(0)
x, w = torch.randn(2, 9, 16, 16), torch.randn(4, 2, 3, 3, 3)
y = F.conv3d(x[None], w)[0]  # (4, 7, 14, 14)
assert (conv3d_loop(x, w) - y).abs().max() < 1e-12
assert (conv3d_from_2d(x, w) - y).abs().max() < 1e-12
as_channels = F.conv2d(x[:, 3:6].flatten(0, 1), w.flatten(1, 2))  # 2.5D: 3 slices
assert (as_channels - y[:, 3]).abs().max() < 1e-12
print("loop, sum of 2D convolutions and conv3d agree: < 1e-12")
print("2.5D on slices 3 to 5 is depth 3 of the 3D layer: < 1e-12")

flat, solid = nn.Conv2d(32, 32, 3, bias=False), nn.Conv3d(32, 32, 3, bias=False)
ratio = solid.weight.numel() / flat.weight.numel()
memory = 128**3 * 32 * 4 / 2**20  # one map of 32 channels, float32, in MiB
assert ratio == 3.0
print(f"weights of 3x3x3 / 3x3: {ratio:.0f}")
print(f"one 32-channel map: 128 x 128 {memory / 128:.0f} MiB, 128^3 {memory:.0f} MiB")
