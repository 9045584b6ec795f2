"""No map of stride 32, however well predicted, can draw what is thinner than that.

The best IoU of any mask that is constant on s x s cells, computed exactly. FCN's
paper asks the same of PASCAL VOC. Masks (H, W) bool from scikit-image pictures.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from skimage import data, filters


def best_coarse_mask(mask, s):
    """The mask, constant on s x s cells, with the largest IoU; and that IoU."""
    h, w = mask.shape
    inside = mask.reshape(h // s, s, w // s, s).sum((1, 3))  # (H / s, W / s)
    order = inside.ravel().argsort(kind="stable")[::-1]  # fullest cells first: for a
    shared = inside.ravel()[order].cumsum()  # given area they share the most pixels
    area = s * s * np.arange(1, len(order) + 1)
    iou = shared / (area + mask.sum() - shared)
    chosen = np.zeros(inside.size, bool)
    chosen[order[: iou.argmax() + 1]] = True
    return np.kron(chosen.reshape(inside.shape), np.ones((s, s), bool)), iou.max()


coins, horse, page = data.coins()[:288], ~data.horse()[:320, :384], data.page()[:160]
bright = coins > filters.threshold_local(coins, 151, method="mean")
filled = ndimage.binary_fill_holes(bright)
masks = {
    "coins": ndimage.binary_opening(filled, iterations=3),
    "horse": horse,
    "letters": page < filters.threshold_local(page, 35, offset=15),
}
strides = 4, 8, 16, 32
print("best IoU at stride" + "".join(f"{s:6}" for s in strides))
for name, mask in masks.items():
    row = np.array([best_coarse_mask(mask, s)[1] for s in strides])
    print(f"{name:18}" + "".join(f"{value:6.2f}" for value in row))
    assert (np.diff(row) < -0.02).all()  # coarser is worse, for every mask
    assert row[0] < 0.5 if name == "letters" else row[0] > 0.9

fig, axes = plt.subplots(1, 4, figsize=(7, 2.4), layout="constrained")
gray = (coins // 16 / 16)[:192:2, 192::2]  # few gray levels keep the figure light
for ax, s in zip(axes, (1, 8, 16, 32)):
    mask, iou = best_coarse_mask(masks["coins"], s)
    red = 0.5 * gray + 0.5 * mask[:192:2, 192::2]
    ax.imshow(np.dstack([red, 0.8 * gray, 0.8 * gray]), interpolation="none")
    ax.set_title(f"stride {s}\nIoU {iou:.2f}", fontsize=12)
    ax.axis("off")
plt.show()
