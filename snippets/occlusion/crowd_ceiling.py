"""In a crowd NMS loses true objects even when every box is perfect; no score helps.

Kept boxes overlap pairwise by at most the threshold. So the largest set of objects that
do so is a ceiling on recall, for every order of the scores. Boxes: (N, 4).
"""

import matplotlib.pyplot as plt
import torch
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
        left = left[1:][iou(boxes[left[:1]], boxes[left[1:]])[0] <= threshold]
    return keep


def ceiling(clash):
    """Size of the largest set without a clash: leave out a box, or take it."""
    rest = clash.sum(1)
    if not len(clash) or rest.max() == 0:
        return len(clash)
    worst = rest.argmax()
    others = torch.arange(len(clash)) != worst
    free = others & ~clash[worst]
    return max(ceiling(clash[others][:, others]), 1 + ceiling(clash[free][:, free]))


def crowd(n=20, size=128):
    corner, side = (size - 42) * torch.rand(n, 2), 34 + 8 * torch.rand(n, 1)
    return torch.cat([corner, corner + side], 1)


print("threshold  found, perfect boxes  most possible      boxes kept of 3 noisy ones")
result = {}
for limit in (0.3, 0.5, 0.7):
    rows = []
    for seed in range(5):
        torch.manual_seed(seed)
        for _ in range(6):  # crowds
            truth = crowd()
            clash = (iou(truth, truth) > limit) & ~torch.eye(20, dtype=torch.bool)
            found, most = len(nms(truth, torch.rand(20), limit)), ceiling(clash)
            assert found <= most
            noisy = truth.repeat(3, 1) + 2 * torch.randn(60, 4)
            kept = len(nms(noisy, torch.rand(60), limit))
            rows.append([found / 20, most / 20, kept / 20])
    r = result[limit] = torch.tensor(rows).view(5, 6, 3).mean(1)  # seed, column
    cells = "     ".join(f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in r.T)
    print(f"{limit}       {cells}")
assert result[0.5][:, 1].max() < 0.85 and result[0.7][:, 2].min() > 1

photo, g = torch.tensor(data.coins()[14:74, 304:364] / 255), torch.arange(128)
torch.manual_seed(1)
truth, scene = crowd(), torch.full((128, 128), 0.2)
for x1, y1, x2, _ in truth.round().long().tolist():  # later coins lie on top
    side = x2 - x1
    coin = torch.nn.functional.interpolate(photo[None, None], (side, side), mode="area")
    d = torch.arange(side) - (side - 1) / 2
    disk, place = d[:, None] ** 2 + d**2 < (side / 2) ** 2, scene[y1 : y1 + side, x1:x2]
    place[disk] = coin[0, 0][disk]
keep = nms(truth, torch.arange(20.0), 0.5)  # the top coin has the best score
plt.figure(figsize=(4.6, 4.6)), plt.axis("off")
plt.imshow(scene.numpy(), cmap="gray", vmax=1, interpolation="none")
for k, (x1, y1, x2, y2) in enumerate(truth.tolist()):
    style = ("#7bdcff", "-") if k in keep else ("#ff9d3c", "--")
    plt.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], style[1], color=style[0], lw=2)
plt.title(f"20 coins, {len(keep)} boxes after NMS at 0.5")
plt.tight_layout(), plt.show()
