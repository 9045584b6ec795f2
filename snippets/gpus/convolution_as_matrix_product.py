"""A convolution is a matrix product; channels-last makes its rows contiguous.

Chellapilla and others 2006; cuDNN (Chetlur and others 2014) forms the patches in
fast memory instead. Shapes: x (N, C, H, W), weight (O, C, k, k).
"""

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

torch.set_default_dtype(torch.float64)


def patches(x, k, pad):
    """Every k x k window as a row: (N*H*W, C*k*k), for stride 1 and odd k."""
    x = F.pad(x, (pad,) * 4)
    windows = x.unfold(2, k, 1).unfold(3, k, 1)  # (N, C, H, W, k, k), a view
    rows = windows.permute(0, 2, 3, 1, 4, 5)
    return rows.reshape(-1, x.shape[1] * k * k)  # here the copy is made


for seed in range(5):
    torch.manual_seed(seed)
    x, weight = torch.randn(4, 16, 14, 14), torch.randn(32, 16, 3, 3)
    with FlopCounterMode(display=False) as conv_ops:
        y = F.conv2d(x, weight, padding=1)  # (4, 32, 14, 14)
    with FlopCounterMode(display=False) as matmul_ops:
        rows = patches(x, 3, 1) @ weight.flatten(1).T  # (784, 144) @ (144, 32)
    as_images = rows.view(4, 14, 14, 32).permute(0, 3, 1, 2)
    assert (y - as_images).abs().max() < 1e-12
    assert conv_ops.get_total_flops() == matmul_ops.get_total_flops()
    growth = patches(x, 3, 1).numel() / x.numel()

    # Channels-last: same shape, same numbers, channels of a pixel side by side.
    last = x.to(memory_format=torch.channels_last)
    assert last.shape == x.shape and torch.equal(last, x)
    matrix = last.permute(0, 2, 3, 1).reshape(-1, 16)  # the pixels as rows
    assert matrix.data_ptr() == last.data_ptr()  # a view: 1x1 conv needs no copy
    copied = x.permute(0, 2, 3, 1).reshape(-1, 16)
    assert copied.data_ptr() != x.data_ptr()
    w1 = torch.randn(32, 16, 1, 1)
    z = (matrix @ w1.flatten(1).T).view(4, 14, 14, 32).permute(0, 3, 1, 2)
    assert (z - F.conv2d(x, w1)).abs().max() < 1e-12
    out = F.conv2d(last, w1.to(memory_format=torch.channels_last))
    assert out.is_contiguous(memory_format=torch.channels_last)

print(f"operations, both ways: {conv_ops.get_total_flops():,}")
print(f"patch matrix: {growth:.0f} times the values of the input")
print("strides (N, C, H, W), channels first:", x.stride())
print("strides (N, C, H, W), channels last: ", last.stride())
print("largest difference < 1e-12, 5 seeds")
