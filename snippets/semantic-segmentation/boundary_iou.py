"""The same 2 px error hardly moves the IoU of a large object; boundary IoU sees it.

Source: Cheng and others, arXiv 2103.16562 (CVPR 2021). Boundary IoU compares the
pixels of each mask within d of its contour. Shapes: masks (200, 200) bool.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage


def rim(mask, d):  # the mask's pixels that are at most d from a pixel outside it
    return mask & (ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] <= d)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def boundary_iou(a, b, d):
    return iou(rim(a, d), rim(b, d))


y, x = np.mgrid[:200, :200] - 99.5
angle = np.arctan2(y, x)


def blob(radius, waves):  # a disk whose outline goes in and out by `waves` pixels
    return np.hypot(y, x) < radius + waves * np.sin(12 * angle)


radii = (10, 20, 40, 80)
mask_iou, edge_iou = [], []
for radius in radii:
    truth, wavy = blob(radius, 0), blob(radius, 2)
    mask_iou.append(iou(truth, wavy))
    edge_iou.append(boundary_iou(truth, wavy, 3))
    print(f"radius {radius:2}: IoU {mask_iou[-1]:.2f}", end=", ")
    print(f"boundary IoU {edge_iou[-1]:.2f}")
assert (np.diff(mask_iou) > 0.01).all() and mask_iou[-1] > 0.96
assert max(edge_iou) < 0.55 and np.ptp(edge_iou) < 0.1

fig, axes = plt.subplots(1, 3, figsize=(7, 2.7), layout="constrained")
pairs = {"IoU": (truth, wavy), "boundary IoU": (rim(truth, 3), rim(wavy, 3))}
for ax, (title, (a, b)) in zip(axes, pairs.items()):  # the upper right quarter
    quarter = (a * 1 + b * 2)[15:100, 100:185]
    ax.imshow(quarter, cmap="Blues", vmax=4, interpolation="none")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{title} {iou(a, b):.2f}", fontsize=12)
axes[2].plot(radii, mask_iou, "o-", label="IoU")
axes[2].plot(radii, edge_iou, "s--", label="boundary IoU")
axes[2].set(xlabel="radius in px", ylim=(0.2, 1.02))
axes[2].legend(loc="center right")
plt.show()
