"""A 28 x 28 mask caps the boundary of a large object, however good the network.

The best that Mask R-CNN's mask head can do: the true silhouette of a horse
(scikit-image) averaged to M x M, then resized to the box and cut at 0.5.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage import data

torch.set_default_dtype(torch.float64)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def boundary(mask, width):  # the mask's pixels within `width` of its outline
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return mask & (depth <= width)


def boundary_iou(a, b, share=0.02):  # Cheng et al. 2021: 2 % of the diagonal
    width = share * np.hypot(*a.shape)
    return iou(boundary(a, width), boundary(b, width))


def through(mask, m):  # M x M target and back
    small = F.adaptive_avg_pool2d(torch.tensor(mask)[None, None].double(), m)
    back = F.interpolate(small, size=mask.shape, mode="bilinear")
    return back[0, 0].numpy() >= 0.5


horse = ~data.horse()
rows, columns = np.nonzero(horse.any(1))[0], np.nonzero(horse.any(0))[0]
horse = horse[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # its box
print(f"box of {horse.shape[1]} x {horse.shape[0]} pixels")
print("  M   IoU  boundary IoU")
scores, results = {}, {}
for m in (14, 28, 56, 112):
    results[m] = through(horse, m)
    scores[m] = iou(results[m], horse), boundary_iou(results[m], horse)
    print(f"{m:3}  {scores[m][0]:.2f}  {scores[m][1]:12.2f}")
assert 0.9 < scores[28][0] < 0.95 and scores[28][1] < 0.75 and scores[112][1] > 0.9

axes = plt.subplots(1, 3, figsize=(7, 2.3), layout="tight")[1]
colors = [[255, 255, 255], [154, 74, 0], [120, 170, 200], [90, 90, 90]]
for ax, m in zip(axes, (14, 28, 56)):  # white, missed, added, right
    code = np.select([horse & results[m], results[m], horse], [3, 2, 1])
    ax.imshow(np.array(colors, np.uint8)[code[::2, ::2]], interpolation="none")
    ax.set_title(f"{m} x {m}: IoU {scores[m][0]:.2f}", fontsize=11)
    ax.axis("off")
plt.show()
