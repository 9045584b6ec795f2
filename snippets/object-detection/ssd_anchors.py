"""SSD300 looks at 8,732 anchors: six maps, four or six boxes per cell.

Sizes, steps and ratios of SSD300 for PASCAL VOC (Liu et al. 2016), in pixels. Each
cell gets a square of side s, one of side sqrt(s * s_next), and for each ratio r a wide
and a tall box of the small square's area: s * sqrt(r) by s / sqrt(r), and reversed.
"""

import torch

MAPS = (38, 19, 10, 5, 3, 1)  # cells per side
STEPS = (8, 16, 32, 64, 100, 300)  # pixels between cell centers
SIDES = (30, 60, 111, 162, 213, 264, 315)
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))


def shapes(k):
    """Widths and heights of the anchors of map k: (A, 2)."""
    side, larger = SIDES[k], (SIDES[k] * SIDES[k + 1]) ** 0.5
    wh = [(side, side), (larger, larger)]
    for ratio in RATIOS[k]:
        long, short = side * ratio**0.5, side / ratio**0.5
        wh += [(long, short), (short, long)]
    return torch.tensor(wh, dtype=torch.float64)


def ssd_anchors():
    """All anchors as x1, y1, x2, y2 (N, 4); rows of cells first, then the shapes."""
    levels = []
    for k, size in enumerate(MAPS):
        axis = (torch.arange(size, dtype=torch.float64) + 0.5) * STEPS[k]
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        center = torch.stack([x, y], -1).reshape(-1, 1, 2)  # (cells, 1, 2)
        half = shapes(k) / 2  # (A, 2)
        levels.append(torch.cat([center - half, center + half], -1).reshape(-1, 4))
    return levels


print("map      per cell  anchors  sides in pixels")
levels = ssd_anchors()
for k, level in enumerate(levels):
    size, longest = MAPS[k], (level[:, 2:] - level[:, :2]).max()
    print(f"{size:2} x {size:2}      {len(shapes(k))}      {len(level):4}", end="")
    print(f"   {(level[:, 2:] - level[:, :2]).min():3.0f} to {longest:3.0f}")
total = sum(len(level) for level in levels)
assert total == 38**2 * 4 + 19**2 * 6 + 10**2 * 6 + 5**2 * 6 + 3**2 * 4 + 4 == 8732
share = len(levels[0]) / total
assert share > 0.6
print(f"total {total}; the finest map holds {share:.0%} of them")
