"""IoU is relative: a shift by a third of its width costs any box half its IoU.

Intersection over union is Jaccard's index of two boxes' pixels.
"""

import matplotlib.pyplot as plt
import torch


def iou(a, b):
    """IoU (N, M) of boxes a (N, 4) with boxes b (M, 4), as x1, y1, x2, y2."""
    top_left = torch.maximum(a[:, None, :2], b[:, :2])  # (N, M, 2)
    bottom_right = torch.minimum(a[:, None, 2:], b[:, 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(-1)  # apart: 0, not (-)(-)
    area_a = (a[:, 2:] - a[:, :2]).prod(-1)
    area_b = (b[:, 2:] - b[:, :2]).prod(-1)
    return inter / (area_a[:, None] + area_b - inter)


def pixels(box, size=40):  # the box as a binary mask
    x1, y1, x2, y2 = box.int().tolist()
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


torch.manual_seed(0)
corners = torch.randint(0, 20, (50, 2)).double()
boxes = torch.cat([corners, corners + torch.randint(1, 20, (50, 2))], 1)
masks = [pixels(box) for box in boxes]
counted = torch.tensor(
    [[(p & q).sum() / (p | q).sum() for q in masks] for p in masks], dtype=torch.double
)
assert (iou(boxes, boxes) - counted).abs().max() < 1e-6
print("formula = pixel counting on 2500 pairs, difference < 1e-6")


def shifted(side, pixels):  # IoU of a square with itself moved to the right
    box = torch.tensor([[0.0, 0.0, side, side]])
    return iou(box, box + torch.tensor([pixels, 0, pixels, 0])).item()


for side in (30.0, 90.0, 300.0):
    assert abs(shifted(side, side / 3) - 1 / 2) < 1e-6
    print(f"{side:3.0f}-pixel box moved 10 pixels: IoU {shifted(side, 10.0):.2f}")

fig, axes = plt.subplots(1, 4, figsize=(7, 2.1))
for ax, target in zip(axes, (0.3, 0.5, 0.75, 0.95)):
    d = (1 - target) / (1 + target)  # solves IoU = (1 - d) / (1 + d)
    ax.add_patch(plt.Rectangle((0, 0), 1, 1, fc="#0b4f6c33", ec="#0b4f6c", lw=2))
    ax.add_patch(plt.Rectangle((d, 0), 1, 1, fc="none", ec="#9a4a00", lw=2, ls="--"))
    ax.set(xlim=(-0.1, 1.7), ylim=(-0.1, 1.1), aspect="equal")
    ax.set_title(f"IoU {shifted(1.0, d):.2f}\nshift {d:.0%}", fontsize=12)
    ax.axis("off")
plt.show()
