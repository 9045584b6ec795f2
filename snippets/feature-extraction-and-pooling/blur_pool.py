"""Blurring before subsampling makes pooling less sensitive to a 1 px shift.

Source: Zhang, arXiv 1904.11486 (ICML 2019), max pooling and MaxBlurPool.
Shapes: x (1, 1, 32, 32) -> (1, 1, 16, 16); borders are circular.
"""

import torch
import torch.nn.functional as F
from skimage import data

torch.set_default_dtype(torch.float64)
tap = torch.tensor([1.0, 2.0, 1.0]) / 4
KERNEL = (tap[:, None] * tap)[None, None]  # (1, 1, 3, 3), sums to 1


def blur_pool(x):
    x = F.pad(x, (0, 1, 0, 1), mode="circular")
    x = F.max_pool2d(x, 2, stride=1)  # maximum at every place ...
    x = F.pad(x, (1, 1, 1, 1), mode="circular")
    return F.conv2d(x, KERNEL, stride=2)  # ... then blur and keep every 2nd


def max_pool(x):
    return F.max_pool2d(x, 2)


def change(pool, x):
    """RMS change of the map by a 1 px shift, in its standard deviations."""
    y, moved = pool(x), pool(x.roll(1, dims=3))
    map_change = (moved - y).square().mean().sqrt() / y.std()
    mean_change = (moved.mean() - y.mean()).abs() / y.std()
    return map_change.item(), mean_change.item()


torch.manual_seed(0)
noise = torch.randn(20, 1, 1, 32, 32)
names = "camera", "coins", "brick", "grass", "gravel", "page", "text"
crops = [torch.from_numpy(getattr(data, n)()[50:150, 50:150] / 255) for n in names]
photos = torch.stack(crops)[:, None, None]  # (7, 1, 1, 100, 100)
for name, images in (("noise", noise), ("photos", photos)):
    hard = torch.tensor([change(max_pool, x) for x in images])  # (n, 2)
    soft = torch.tensor([change(blur_pool, x) for x in images])
    assert soft[:, 0].mean() < 0.8 * hard[:, 0].mean()
    assert soft[:, 1].max() < 1e-12 and hard[:, 1].median() > 1e-3
    better = (soft[:, 0] < hard[:, 0]).sum()
    print(f"{name}: the map changes by {hard[:, 0].mean():.2f} std, blurred", end=" ")
    print(f"by {soft[:, 0].mean():.2f}; blur better on {better} of {len(images)}")
print("mean of the map: changes with max pooling, with blur by < 1e-12")
# The classic 1-D example: the same signal, one step later.
x = torch.tensor([[0.0, 0, 1, 1, 0, 0, 1, 1]])
print("0011 0011 pooled by 2:", F.max_pool1d(x, 2).int().tolist()[0], end="; ")
print("shifted by 1:", F.max_pool1d(x.roll(1), 2).int().tolist()[0])
