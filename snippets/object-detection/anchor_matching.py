"""Positives are rare, and many objects get one only as the best of a bad lot.

Target assignment of Faster R-CNN (Ren et al. 2015) with its anchors on a feature
pyramid (Lin et al. 2017): one side of 8 strides for each stride 4 to 64, three ratios.
Scenes of 10 random objects: sides log-uniform in 16-480 pixels, h / w in 1/3-3.
"""

import torch

torch.set_default_dtype(torch.float64)


def iou(a, b):  # (N, 4) and (M, 4) as x1, y1, x2, y2 -> (N, M)
    top_left = torch.maximum(a[:, None, :2], b[:, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[:, 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(-1)
    area_a, area_b = ((c[:, 2:] - c[:, :2]).prod(-1) for c in (a, b))
    return inter / (area_a[:, None] + area_b - inter)


def match(anchors, boxes, high=0.7, low=0.3):
    """For each anchor 1 (object), 0 (background) or -1 (ignored), and its object."""
    overlap = iou(anchors, boxes)  # (N, M)
    best, owner = overlap.max(1)
    label = torch.full((len(anchors),), -1)
    label[best < low] = 0
    label[best >= high] = 1
    champion = (overlap == overlap.amax(0)) & (overlap > 0)  # best of each object
    label[champion.any(1)] = 1
    return label, owner


def pyramid_anchors(size=608):
    levels, ratio = [], torch.tensor([0.5, 1.0, 2.0])  # h / w
    for stride in (4, 8, 16, 32, 64):
        half = 4 * stride * torch.stack([1 / ratio.sqrt(), ratio.sqrt()], 1)  # (3, 2)
        axis = torch.arange(stride / 2, size, stride)
        center = torch.cartesian_prod(axis, axis)[:, None]  # (cells, 1, 2)
        levels.append(torch.cat([center - half, center + half], -1).reshape(-1, 4))
    return torch.cat(levels)


def scene(n=10, size=608):
    side, ratio = 16 * 30 ** torch.rand(n), 3 ** (2 * torch.rand(n) - 1)
    wh = torch.stack([side / ratio.sqrt(), side * ratio.sqrt()], 1).clamp(max=size)
    corner = torch.rand(n, 2) * (size - wh)
    return torch.cat([corner, corner + wh], 1)


anchors = pyramid_anchors()
share, rescued = [], []
for seed in range(20):
    torch.manual_seed(seed)
    boxes = scene()
    label, _ = match(anchors, boxes)
    share.append([(label == k).double().mean().item() for k in (1, -1, 0)])
    rescued.append((iou(anchors, boxes).amax(0) < 0.7).double().mean().item())
share, rescued = torch.tensor(share).T, torch.tensor(rescued)
assert share[0].max() < 0.001 and share[2].min() > 0.95 and rescued.mean() > 0.4
print(f"{len(anchors)} anchors, 10 objects; 20 scenes, mean (min to max)")
for name, s in zip(("positive", "ignored", "negative"), share):
    print(f"{name:9} {s.mean():7.2%} ({s.min():.2%} to {s.max():.2%})")
span = f"({rescued.min():.0%} to {rescued.max():.0%})"
print(f"objects without an anchor at IoU 0.7: {rescued.mean():.0%} {span}")
