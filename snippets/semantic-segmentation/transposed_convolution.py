"""A transposed convolution is a convolution's matrix transposed, not its inverse.

Sources: Dumoulin, Visin, arXiv 1603.07285 (2016); Odena and others, Distill 2016.
Shapes: (1, 1, 8, 8) -> conv, stride 2 -> (1, 1, 4, 4) -> transposed -> (1, 1, 8, 8).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
kernel = torch.randn(1, 1, 4, 4)
pixels = torch.eye(64).view(64, 1, 8, 8)  # one image for each pixel
M = F.conv2d(pixels, kernel, stride=2, padding=1).view(64, 16).T  # (16, 64)
cells = torch.eye(16).view(16, 1, 4, 4)
T = F.conv_transpose2d(cells, kernel, stride=2, padding=1).view(16, 64).T  # (64, 16)
assert torch.allclose(T, M.T)
assert (M @ T - torch.eye(16)).abs().max() > 0.5  # down after up: not the identity
print("matrix of the transposed convolution = transposed matrix; not its inverse")

# With the tent kernel it is bilinear interpolation: FCN starts its layers there.
tent = torch.tensor([0.25, 0.75, 0.75, 0.25])
x = torch.randn(1, 1, 6, 6)
up = F.conv_transpose2d(x, (tent[:, None] * tent)[None, None], stride=2, padding=1)
bilinear = F.interpolate(x, scale_factor=2, mode="bilinear")
assert torch.allclose(up[..., 1:-1, 1:-1], bilinear[..., 1:-1, 1:-1])
print("tent kernel: equals bilinear x2 except on the border, difference < 1e-8")

fig, axes = plt.subplots(1, 3, figsize=(7, 2.7), layout="constrained")
for ax, k in zip(axes, (2, 3, 4)):  # how many kernel taps reach each output pixel
    ones = torch.ones(1, 1, 8, 8)
    taps = F.conv_transpose2d(ones, torch.ones(1, 1, k, k), stride=2)[0, 0, 4:10, 4:10]
    counts = sorted(set(taps.flatten().int().tolist()))
    assert (len(counts) == 1) == (k % 2 == 0)  # even only if 2 divides k
    print(f"kernel {k}, stride 2: taps on an output pixel: {counts}")
    ax.imshow(taps.numpy(), cmap="Blues", vmin=0, vmax=6)
    for i in range(6):
        for j in range(6):
            ax.text(j, i, f"{taps[i, j]:.0f}", ha="center", va="center", fontsize=12)
    ax.set(title=f"kernel {k}, stride 2", xticks=[], yticks=[])
plt.show()
