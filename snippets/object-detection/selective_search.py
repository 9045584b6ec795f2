"""Selective search: merging similar neighbors proposes every coin with few boxes.

After Uijlings et al. (2013), with three of its four similarities: start from small
segments (Felzenszwalb and Huttenlocher 2004), merge the most similar neighbors until
one is left, and propose the box of every segment on the way. Nothing is learned.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import color, data, segmentation, transform


def similarity(a, b, total):  # of two segments (size, histogram, box)
    low, high = np.minimum(a[2][:2], b[2][:2]), np.maximum(a[2][2:], b[2][2:])
    look = np.minimum(a[1], b[1]).sum()  # histograms that share
    small = 1 - (a[0] + b[0]) / total  # small ones first
    fill = 1 - ((high - low).prod() - a[0] - b[0]) / total  # no gap in their box
    return look + small + fill


def selective_search(photo):
    """Boxes x1, y1, x2, y2 (N, 4): first the starting segments, then each merger."""
    label = segmentation.felzenszwalb(photo, scale=50, sigma=0.8, min_size=20)
    parts, level = [], np.minimum(photo * 8, 7).astype(int)  # 8 levels a channel
    for k in range(label.max() + 1):
        y, x = (label == k).nonzero()
        bins = [np.bincount(c, minlength=8) / len(c) / 3 for c in level[y, x].T]
        box = np.array([x.min(), y.min(), x.max() + 1.0, y.max() + 1.0])
        parts.append((len(x), np.concatenate(bins), box))
    score = {}
    for a, b in ((label[1:], label[:-1]), (label[:, 1:], label[:, :-1])):
        for i, j in set(zip(np.minimum(a, b)[a != b], np.maximum(a, b)[a != b])):
            score[i, j] = similarity(parts[i], parts[j], label.size)
    while score:
        i, j = max(score, key=score.get)
        (n, h, b), (m, g, c) = parts[i], parts[j]
        box = np.r_[np.minimum(b[:2], c[:2]), np.maximum(b[2:], c[2:])]
        parts.append((n + m, (n * h + m * g) / (n + m), box))
        near = {k for p in score if i in p or j in p for k in p} - {i, j}
        score = {p: s for p, s in score.items() if not {i, j} & set(p)}
        new = len(parts) - 1
        score |= {(k, new): similarity(parts[k], parts[-1], label.size) for k in near}
    return np.array([box for _, _, box in parts]), label.max() + 1


def best_iou(boxes, truth):  # (N, 4), (M, 4) -> (M,)
    inter = np.minimum(boxes[:, None, 2:], truth[:, 2:])
    inter = (inter - np.maximum(boxes[:, None, :2], truth[:, :2])).clip(0).prod(-1)
    area, want = ((b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, truth))
    return (inter / (area[:, None] + want - inter)).max(0)


# the circles around the 24 coins, x, y and radius in pixels of the photograph
x, y, r = (
    np.array(
        """
44 56 22 100 56 20 156 52 24 216 52 22 276 52 20 336 44 28 44 124 20 104 124 20
152 128 20 204 124 20 272 120 24 336 124 20 44 196 20 100 196 22 156 196 20 212 192 24
272 196 24 348 184 30 48 260 28 172 260 28 300 264 26 112 264 22 244 264 24 360 268 22
""".split(),
        float,
    )
    .reshape(-1, 3)
    .T
    / 2
)
coins = np.stack([x - r, y - r, x + r, y + r], 1)
rocket = np.array([[312.0, 114, 342, 400]]) / 2
rng = np.random.default_rng(0)
print("median best IoU   proposals   found  before merging  as many at random")
for name, truth in (("coins", coins), ("rocket", rocket)):
    photo = getattr(data, name)()
    photo = photo if photo.ndim == 3 else color.gray2rgb(photo)
    photo = transform.rescale(photo, 0.5, channel_axis=-1, anti_aliasing=True)
    boxes, start = selective_search(photo)
    n, corner = len(np.unique(boxes, axis=0)), photo.shape[1::-1]
    best, before = best_iou(boxes, truth), best_iou(boxes[:start], truth)
    draws = np.sort(rng.random((20, n, 2, 2)) * corner, 2).reshape(20, n, 4)
    chance = np.median([best_iou(draw, truth) for draw in draws])
    medians = np.median(best), np.median(before), chance
    print(f"{name:17} {n:9}", "".join(f"{m:12.2f}" for m in medians))
    assert medians[0] > medians[1] + 0.05 and medians[0] > chance + 0.1
    if name == "coins":
        assert best.min() > 0.7
        overlap = np.array([best_iou(b[None], truth) for b in boxes])  # (N, 24)
        gray, chosen = photo[..., 0], boxes[overlap.argmax(0)]
        before_boxes = boxes[overlap[:start].argmax(0)]
axes = plt.subplots(1, 2, figsize=(6.4, 2.9), layout="tight")[1]
panels = ("the best starting boxes", before_boxes), ("the best proposals", chosen)
for ax, (title, drawn) in zip(axes, panels):
    ax.imshow(gray, cmap=plt.get_cmap("gray", 9), interpolation="none")
    for x1, y1, x2, y2 in drawn:
        ax.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color="yellow", lw=1.5)
    ax.set_title(title)
    ax.axis("off")
plt.show()
