"""One mask per box separates what one threshold for the whole picture fuses.

Coins on uneven ground (scikit-image). Semantic: Otsu's threshold for the picture, then
connected components. Instances: a box per coin, then Otsu's threshold inside each box.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage import color, data, filters, measure, morphology, segmentation

torch.set_default_dtype(torch.float64)
image = data.coins()[:300, :384]
photo = torch.tensor(image / 255)[None]  # (1, 300, 384)

found, coins = [], []
for r in range(14, 32, 2):  # detector: nine disk filters
    reach = round(1.3 * r)
    away = torch.arange(-reach, reach + 1.0)
    away = torch.hypot(away[:, None], away)
    disk, ring = (away <= r).double(), ((away > r) & (away <= reach)).double()
    kernel = (disk / disk.sum() - ring / ring.sum())[None, None]
    padded = F.pad(photo, [reach] * 4, mode="replicate")
    response = F.conv2d(padded, kernel, stride=4)
    hits = (response[0] > 0.18).nonzero().tolist()
    found += [(response[0, y, x].item(), 4 * y, 4 * x, r) for y, x in hits]
for _, y, x, r in sorted(found, reverse=True):  # best first, if its place is new
    if all(np.hypot(y - b, x - a) > max(r, s) for b, a, s in coins):
        coins.append((y, x, r))


def bright(part):  # above Otsu's threshold, holes filled
    return ndimage.binary_fill_holes(part > filters.threshold_otsu(part))


components = measure.label(bright(image))
instances = np.zeros(image.shape, int)
for k, (y, x, r) in enumerate(coins, 1):
    m = round(1.25 * r)
    box = np.s_[max(y - m, 0) : y + m + 1, max(x - m, 0) : x + m + 1]
    parts = measure.label(bright(image[box]))
    mask = parts == np.bincount(parts[parts > 0]).argmax()  # the largest part
    instances[box][mask & (instances[box] == 0)] = k

# Reference by another method: watershed of the edges from pixels that are sure.
seeds = np.where(image < 30, 1, np.where(image > 150, 2, 0))
sure = segmentation.watershed(filters.sobel(image), seeds) == 2
truth = measure.label(morphology.remove_small_objects(sure, max_size=9))


def recall(labels, at=0.9):  # share of true coins with a segment of IoU above 0.9
    both = np.histogram2d(truth.ravel(), labels.ravel(), [range(26), range(999)])[0]
    union = both.sum(1, keepdims=True) + both.sum(0) - both
    return ((both / np.maximum(union, 1))[1:25, 1:].max(1) > at).sum()


pictures = {"one threshold": components, "one per box": instances}
for name, labels in pictures.items():
    good = f"{recall(labels)} of {truth.max()} coins at IoU > 0.9"
    print(f"{name}: {labels.max()} segments, {good}")
assert truth.max() == instances.max() == recall(instances) == 24
assert recall(components) < 24 and components.max() > 48
axes = plt.subplots(1, 2, figsize=(7, 2.9), layout="tight")[1]
colors = plt.get_cmap("tab10").colors
for ax, (name, labels) in zip(axes, pictures.items()):
    picture = color.label2rgb(labels, image // 24 * 24, colors, alpha=0.5)[::2, ::2]
    ax.imshow(picture, interpolation="none")
    ax.set_title(f"{name}: {labels.max()} segments", fontsize=12)
    ax.axis("off")
plt.show()
