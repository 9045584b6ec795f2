"""Partial convolution is right on average over the holes; zero filling is not.

Source: Liu and others, ECCV 2018, arXiv 1804.07723.
Shapes: x (N, C, H, W), mask (N, 1, H, W) with 1 where a pixel is seen.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def partial_conv2d(x, mask, weight, bias, stride=1, padding=0):
    window = torch.ones(1, 1, *weight.shape[2:])
    # Pixels of each window inside the image, and how many of them are seen.
    inside = F.conv2d(torch.ones_like(mask), window, None, stride, padding)
    seen = F.conv2d(mask, window, None, stride, padding)
    y = F.conv2d(x * mask, weight, None, stride, padding)
    y = y * inside / seen.clamp(min=1) + bias.view(-1, 1, 1)
    known = (seen > 0).double()  # the next layer's mask
    return y * known, known  # an empty window gives 0 and stays missing


bits = torch.arange(512)[:, None] >> torch.arange(9) & 1
masks = bits.view(512, 1, 3, 3).double()  # all patterns of seen and lost
count = bits.sum(1)
box, none = torch.ones(1, 1, 3, 3) / 9, torch.zeros(1)
edge = torch.tensor([-1.0, 0.0, 1.0]).expand(1, 1, 3, 3)
for seed in range(5):
    torch.manual_seed(seed)
    # A constant, averaged: exact through any holes. Zero filling: 0.7 * share.
    flat = torch.full((1, 1, 64, 64), 0.7)
    seen = (torch.rand_like(flat) >= 0.6).double()  # 60 % lost
    y, known = partial_conv2d(flat, seen, box, none)
    assert (y[known > 0] - 0.7).abs().max() < 1e-12 and known.mean() < 1
    assert F.conv2d(flat * seen, box).mean() < 0.35

    # Any image and filter: exact on average over all masks of n seen pixels.
    x, w, b = torch.randn(1, 1, 3, 3), torch.randn(1, 1, 3, 3), torch.randn(1)
    y, _ = partial_conv2d(x.expand(512, -1, -1, -1), masks, w, b)
    means = torch.stack([y[count == n].mean() for n in range(1, 10)])
    assert torch.allclose(means, F.conv2d(x, w, b).flatten(), atol=1e-12)
false_edge, _ = partial_conv2d(torch.full_like(masks, 0.7), masks, edge, none)
noise = [
    partial_conv2d(torch.eye(9).view(9, 1, 3, 3), m.expand(9, 1, 3, 3), box, none)
    for m in (masks[511:], masks[7:8])
]
full, third = (y.square().sum().item() for y, _ in noise)  # variance gain
assert false_edge.abs().max() > 1 and abs(third / full - 3) < 1e-12
print("flat 0.7, 60% lost, averaged: error < 1e-12; zeros give less than 0.35")
print("any filter: exact on average over the masks, n=5 images, < 1e-12")
print(f"single masks err: an edge of {false_edge.abs().max():.1f} on a flat image")
print(f"3 of 9 pixels seen: noise variance of an average times {third / full:.0f}")
