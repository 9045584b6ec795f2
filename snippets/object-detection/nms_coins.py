"""NMS turns thousands of hits into one box per coin, if its threshold fits.

A one-layer detector: disk-shaped filters of nine radii slide over a photograph of
24 coins (scikit-image). Each response above 0.18 is a box with a score.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data

torch.set_default_dtype(torch.float64)


def iou(a, b):  # (N, 4) and (M, 4) as x1, y1, x2, y2 -> (N, M)
    top_left = torch.maximum(a[:, None, :2], b[:, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[:, 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(-1)
    area_a, area_b = ((c[:, 2:] - c[:, :2]).prod(-1) for c in (a, b))
    return inter / (area_a[:, None] + area_b - inter)


def nms(boxes, scores, threshold):
    keep, left = [], scores.argsort(descending=True, stable=True)
    while len(left):
        keep.append(left[0].item())
        overlap = iou(boxes[left[:1]], boxes[left[1:]])[0]
        left = left[1:][~(overlap > threshold)]
    return keep


photo = torch.tensor(data.coins() / 255)[None]  # (1, 303, 384)
boxes, scores = [], []
for r in range(14, 32, 2):
    reach = round(1.3 * r)
    away = torch.arange(-reach, reach + 1.0)
    away = torch.hypot(away[:, None], away)  # distance from the window's center
    disk, ring = (away <= r).double(), ((away > r) & (away <= reach)).double()
    kernel = disk / disk.sum() - ring / ring.sum()  # mean inside - mean around
    padded = F.pad(photo, [reach] * 4, mode="replicate")
    response = F.conv2d(padded, kernel[None, None], stride=4)[0]
    y, x = (response > 0.18).nonzero(as_tuple=True)
    boxes.append(torch.stack([4 * x - r, 4 * y - r, 4 * x + r, 4 * y + r], 1).double())
    scores.append(response[y, x])
boxes, scores = torch.cat(boxes), torch.cat(scores)

best, loose = nms(boxes, scores, 0.1), nms(boxes, scores, 0.5)
print(f"{len(boxes)} hits, {len(loose)} after NMS at 0.5, {len(best)} at 0.1")
assert len(best) == 24 and len(loose) > 48
some = range(0, len(boxes), 32)
panels = {"hits, 1 in 32": some, "NMS at 0.5": loose}
panels |= {"NMS at 0.3": nms(boxes, scores, 0.3), "NMS at 0.1": best}
small, gray = F.avg_pool2d(photo, 3)[0], plt.get_cmap("gray", 24)
axes = plt.subplots(2, 2, figsize=(5, 4.2), layout="tight")[1].flat
for ax, (title, chosen) in zip(axes, panels.items()):
    ax.imshow(small.numpy(), cmap=gray, extent=(0, 384, 303, 0), interpolation="none")
    x1, y1, x2, y2 = boxes[list(chosen)].T
    x = torch.stack([x1, x2, x2, x1, x1, x1 * torch.nan], 1)  # NaN lifts the pen
    y = torch.stack([y1, y1, y2, y2, y1, y1 * torch.nan], 1)
    ax.plot(x.flatten(), y.flatten(), color="yellow", lw=1)
    ax.set_title(f"{title}: {len(chosen)}", fontsize=11)
    ax.set(xlim=(0, 384), ylim=(303, 0))
    ax.axis("off")
plt.show()
