"""Average pooling is a fixed depthwise convolution; max pooling is not one.

Source: the definitions; a trap in PyTorch's count_include_pad is shown too.
Shapes: x (2, 5, 9, 12) -> 3x3 windows, stride 3 -> (2, 5, 3, 4).
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
for seed in range(5):
    torch.manual_seed(seed)
    x = torch.randn(2, 5, 9, 12, requires_grad=True)
    weight = torch.full((5, 1, 3, 3), 1 / 9)  # one kernel per channel
    depthwise = F.conv2d(x, weight, stride=3, groups=5)
    assert torch.allclose(depthwise, F.avg_pool2d(x, 3))

    # A convolution is linear, so it commutes with a sign; a maximum does not.
    assert torch.allclose(F.avg_pool2d(-x, 3), -F.avg_pool2d(x, 3))
    assert (F.max_pool2d(-x, 3) + F.max_pool2d(x, 3)).abs().min() > 0.1

    # Backward: the mean spreads 1/9 to each pixel, the maximum picks one.
    (spread,) = torch.autograd.grad(F.avg_pool2d(x, 3).sum(), x)
    (picked,) = torch.autograd.grad(F.max_pool2d(x, 3).sum(), x)
    assert torch.allclose(spread, torch.full_like(x, 1 / 9))
    assert picked.unique().tolist() == [0, 1]
    assert (F.avg_pool2d(picked, 3) * 9).unique().numel() == 1  # one a window

pooled = F.avg_pool2d(torch.ones(1, 4, 4), 3, 1, padding=1)
no_pad = F.avg_pool2d(torch.ones(1, 4, 4), 3, 1, padding=1, count_include_pad=False)
assert torch.allclose(pooled[0, 0, 0], torch.tensor(4 / 9)) and no_pad.eq(1).all()
print("average pooling = depthwise convolution with weights 1/9 (5 seeds)")
print("max(-x) = -max(x) in no window, so max pooling is not linear")
print("gradient: 1/9 to every pixel, or 1 to one pixel of the window")
print(f"padded map of ones: corner {pooled[0, 0, 0]:.2f},", end=" ")
print(f"with count_include_pad=False {no_pad[0, 0, 0]:.2f}")
