"""Nine anchors fit a cat's head, but none in the whole image fits a rocket.

Faster R-CNN's kind of anchors, 3 scales x 3 ratios at stride 16 (here 64, 128 and 256
pixels). The object boxes were drawn by hand on two photographs from scikit-image.
"""

import matplotlib.pyplot as plt
import torch
from skimage import color, data, transform


def iou(a, b):  # (N, 4) and (M, 4) as x1, y1, x2, y2 -> (N, M)
    top_left = torch.maximum(a[:, None, :2], b[:, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[:, 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(-1)
    area_a, area_b = ((c[:, 2:] - c[:, :2]).prod(-1) for c in (a, b))
    return inter / (area_a[:, None] + area_b - inter)


def nine_anchors(width, height, stride=16):
    """Anchors x1, y1, x2, y2 by cell: (cells, 9, 4). Ratio is height / width."""
    side, ratio = torch.tensor([64.0, 128, 256])[:, None], torch.tensor([0.5, 1, 2])
    wh = torch.stack([side / ratio.sqrt(), side * ratio.sqrt()], -1).reshape(9, 2)
    x, y = (torch.arange(stride / 2, end, stride) for end in (width, height))
    center = torch.cartesian_prod(x, y)[:, None]  # (cells, 1, 2)
    return torch.cat([center - wh / 2, center + wh / 2], -1)


def kind(overlap):  # Faster R-CNN's thresholds
    return "positive" if overlap >= 0.7 else "negative" if overlap < 0.3 else "ignored"


def draw(ax, box, **style):
    ax.add_patch(plt.Rectangle(box[:2], *(box[2:] - box[:2]), **style))


styles = {"positive": ("-", "#7CFC00"), "ignored": ("--", "orange")}
styles["negative"] = (":", "#ff6666")
objects = {"chelsea": (105.0, 1, 375, 299), "rocket": (312.0, 114, 342, 400)}
best = []
for ax, name in zip(plt.subplots(2, figsize=(5, 7.2), layout="tight")[1], objects):
    photo, box = color.rgb2gray(getattr(data, name)()), torch.tensor([objects[name]])
    height, width = photo.shape
    anchors = nine_anchors(width, height)
    score = iou(anchors.flatten(0, 1), box).view(-1, 9)  # (cells, 9)
    best.append(score.max().item())
    shift = (anchors[:, 0, :2] + anchors[:, 0, 2:] - box[:, :2] - box[:, 2:]) / 2
    cell = shift.norm(dim=1).argmin()  # nearest to the object's center
    small = transform.rescale(photo, 0.4, anti_aliasing=True)
    gray, extent = plt.get_cmap("gray", 48), (0, width, height, 0)
    ax.imshow(small, cmap=gray, extent=extent, interpolation="none")
    draw(ax, box[0], fill=False, ec="white", lw=4)
    kinds = [kind(value) for value in score[cell]]
    for k, (x1, y1, x2, y2) in enumerate(anchors[cell]):
        line, ink = styles[kinds[k]]
        draw(ax, anchors[cell, k], fill=False, ec=ink, ls=line, lw=2)
        x, y = [(x1, (y1 + y2) / 2), (x1, y1), ((x1 + x2) / 2, y1)][k % 3]
        text = ax.text(x, max(y, 18), f"{score[cell, k]:.2f}", color=ink, fontsize=9)
        text.set_bbox({"fc": "black", "pad": 1, "lw": 0})
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    title = ", ".join(f"{kinds.count(name)} {name}" for name in styles)
    ax.set_title(title, fontsize=11)
    print(f"{name}: {title}; best of all {score.numel()} anchors {best[-1]:.2f}")
assert best[0] >= 0.7 and best[1] < 0.3
plt.show()
