"""U-Net's loss weights grow in thin gaps between cells, where Dice sees nothing.

w = w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)) on background, with the distances d1, d2
to the nearest and second nearest cell, w0 = 10, sigma = 5 (Ronneberger and others).
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import distance_transform_edt, label


def weight_map(cells, w0=10.0, sigma=5.0):
    """cells: (H, W) integers, 0 is background, each cell has its own number."""
    background = cells == 0
    share = background.mean()  # w_c: both classes weigh the same in total
    weights = np.where(background, 0.5 / share, 0.5 / (1 - share))
    numbers = np.unique(cells[~background])
    if len(numbers) > 1:
        d = np.stack([distance_transform_edt(cells != n) for n in numbers])
        d1, d2 = np.sort(d, axis=0)[:2]
        weights += background * w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return weights


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


yy, xx = np.mgrid[:64, :88]
cells = np.zeros((64, 88), int)
disks = [(20, 20, 12), (20, 46, 12), (45, 33, 12), (46, 70, 10)]
for n, (y, x, r) in enumerate(disks, 1):
    cells[(yy - y) ** 2 + (xx - x) ** 2 <= r * r] = n
weights = weight_map(cells)
gap, lonely = weights[20, 33], weights[5, 80]  # between two cells; far from all
truth = cells > 0
filled = truth | (weights > 9)  # a prediction that closes the thin gaps
count_true, count_filled = label(truth)[1], label(filled)[1]
assert gap > 5 * lonely and (weights[truth] < 2).all()
assert dice(truth, filled) > 0.97 and count_filled < count_true
print(f"weight in the thinnest gap {gap:.1f}, far from all cells {lonely:.1f}")
print(
    f"gaps filled: Dice {dice(truth, filled):.3f}, cells {count_true} -> {count_filled}"
)

fig, axes = plt.subplots(1, 2, figsize=(7, 2.7))
axes[0].imshow(filled, cmap="Blues", vmax=2)
axes[0].contour(truth, [0.5], colors="k", linewidths=1.2)
axes[0].set_title(f"gaps filled: Dice {dice(truth, filled):.3f}")
shown = axes[1].imshow(weights, cmap="magma")
axes[1].set_title("weight of each pixel")
fig.colorbar(shown, ax=axes[1], fraction=0.04)
for ax in axes:
    ax.set_axis_off()
plt.tight_layout()
plt.show()
