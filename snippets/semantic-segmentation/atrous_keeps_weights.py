"""Atrous convolution makes a trained classifier dense: same weights, every pixel.

Source: Chen and others, arXiv 1606.00915 (DeepLab). Drop a stride of 2 and dilate
all later kernels by 2. Shapes: x (1, 3, 64, 64) -> (1, 8, 16, 16) or (1, 8, 64, 64).
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def network(x, w, strides):
    """Four 3x3 layers; a stride that is left out becomes dilation of what follows."""
    dilation = 1
    for weight, stride, original in zip(w, strides, (2, 1, 2, 1)):
        x = F.conv2d(x, weight, None, stride, dilation, dilation).relu()
        dilation *= original // stride
        x = F.max_pool2d(F.pad(x, 4 * [dilation]), 3, 1, 0, dilation)  # dilated too
    return x


def naive(x, w):  # leaves the strides out and forgets the dilation
    for weight in w:
        x = F.max_pool2d(F.conv2d(x, weight, padding=1).relu(), 3, 1, 1)
    return x


for seed in range(5):
    torch.manual_seed(seed)
    x = torch.randn(1, 3, 64, 64)
    w = [torch.randn(8, c, 3, 3) / (3 * c**0.5) for c in (3, 8, 8, 8)]
    coarse = network(x, w, (2, 1, 2, 1))  # (1, 8, 16, 16): output stride 4
    half = network(x, w, (2, 1, 1, 1))  # (1, 8, 32, 32): output stride 2
    dense = network(x, w, (1, 1, 1, 1))  # (1, 8, 64, 64): output stride 1
    assert torch.allclose(half[..., ::2, ::2], coarse, atol=1e-12)
    assert torch.allclose(dense[..., ::4, ::4], coarse, atol=1e-12)
    error = (naive(x, w)[..., ::4, ::4] - coarse).abs().max() / coarse.abs().max()
    assert error > 0.2

print("seeds: 5; weights: the same 3 to 8 to 8 to 8 to 8 channels, 3x3")
for name, y in (("classifier", coarse), ("one atrous", half), ("all atrous", dense)):
    print(f"{name}: map {tuple(y.shape[2:])}, {y[0, 0].numel() // 256} x the cells")
print("shared cells agree, difference < 1e-12; without dilation they do not")
