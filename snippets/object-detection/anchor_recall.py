"""Scales and aspect ratios buy recall, up to a ceiling that the IoU threshold sets.

300 random objects a seed in a 608 x 608 image: side sqrt(w * h) log-uniform in 48-480
pixels, ratio h / w log-uniform in 1/3-3, place uniform. Anchors as in Faster R-CNN (Ren
et al. 2015), stride 16. Recall: the share of objects whose best anchor has the IoU.
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)


def grid_anchors(sides, ratios, stride=16, size=608):
    """Anchors x1, y1, x2, y2 (N, 4) with area side^2 and ratio h / w in each cell."""
    side, ratio = torch.tensor(sides)[:, None], torch.tensor(ratios)
    wh = torch.stack([side / ratio.sqrt(), side * ratio.sqrt()], -1).reshape(-1, 2)
    axis = torch.arange(stride / 2, size, stride)
    center = torch.cartesian_prod(axis, axis).flip(1)[:, None]  # (cells, 1, 2) x, y
    return torch.cat([center - wh / 2, center + wh / 2], -1).reshape(-1, 4)


def iou(a, b):
    top_left = torch.maximum(a[:, None, :2], b[:, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[:, 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(-1)
    area_a, area_b = ((c[:, 2:] - c[:, :2]).prod(-1) for c in (a, b))
    return inter / (area_a[:, None] + area_b - inter)


def objects(seed, n=300, size=608):
    g = torch.Generator().manual_seed(seed)
    side = 48 * 10 ** torch.rand(n, generator=g)
    ratio = 3 ** (2 * torch.rand(n, generator=g) - 1)
    wh = torch.stack([side / ratio.sqrt(), side * ratio.sqrt()], 1).clamp(max=size)
    corner = torch.rand(n, 2, generator=g) * (size - wh)
    return torch.cat([corner, corner + wh], 1)


three, ratios = [128.0, 256.0, 512.0], [0.5, 1.0, 2.0]
families = {"1 scale": ([256.0], [1.0]), "3 scales": (three, [1.0])}
families["3 scales x 3 ratios"] = (three, ratios)
families["4 scales x 3 ratios"] = ([64.0] + three, ratios)
truth, previous = torch.cat([objects(seed) for seed in range(5)]), 0
area_root = (truth[:, 2:] - truth[:, :2]).prod(1).sqrt()
edges = 48 * 10 ** torch.linspace(0, 1, 9)  # eight classes of size
plt.figure(figsize=(6, 3.6))
print("recall, 5 seeds      IoU 0.5         IoU 0.7")
for (name, family), style in zip(families.items(), ("o:", "s-.", "^--", "D-")):
    best = iou(grid_anchors(*family), truth).amax(0)  # (1500,)
    low, high = ((best >= t).double().view(5, 300).mean(1) for t in (0.5, 0.7))
    print(f"{name:20} {low.min():.2f} to {low.max():.2f}", end="")
    print(f"    {high.min():.2f} to {high.max():.2f}")
    assert (low > previous + 0.1).all() and high.max() < 0.6
    previous = low
    size = torch.bucketize(area_root, edges[1:-1])
    curve = [(best[size == k] >= 0.5).double().mean() for k in range(8)]
    plt.semilogx((edges[1:] * edges[:-1]).sqrt(), curve, style, label=name)
assert low.min() > 0.95
plt.xticks([64, 128, 256, 512], [64, 128, 256, 512])
plt.minorticks_off()
plt.xlabel("object size, sqrt(width x height), in pixels")
plt.ylabel("recall at IoU 0.5")
plt.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncol=2)
plt.show()
