"""Equalization by exact ranks cancels any increasing tone curve. Levels that were
rounded or clipped away do not come back, and a shadow stays.

Images (H, W) with values from 0 to 1.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.measure import block_reduce


def equalize(image):
    """Each pixel becomes the share of pixels that are not brighter than it: the CDF."""
    values, place, count = np.unique(image, return_inverse=True, return_counts=True)
    return (count.cumsum() / image.size)[place].reshape(image.shape)


photo = data.camera()[::2, ::2] / 255  # (256, 256)
column = np.linspace(0, 1, 256)
changed = {
    "gain 0.4": 0.4 * photo,
    "gamma 2.2": photo**2.2,
    "sigmoid": 1 / (1 + np.exp(4 - 9 * photo)),
    "gamma 2.2, 8 bits": np.round(255 * photo**2.2) / 255,
    "gamma 2.2 and gain 0.1, 8 bits": np.round(25.5 * photo**2.2) / 255,
    "gain 2, clipped": np.minimum(2 * photo, 1),
    "shadow on one side": photo * np.where(column < 0.5, 0.3, 1),
    "inverted": 1 - photo,
}
before, after = {}, {}
for name, image in changed.items():
    before[name] = np.abs(image - photo).mean()
    after[name] = np.abs(equalize(image) - equalize(photo)).mean()
for name in ("gain 0.4", "gamma 2.2", "sigmoid"):  # increasing: the ranks are the same
    assert before[name] > 0.1 and after[name] == 0
for name in ("gamma 2.2 and gain 0.1, 8 bits", "gain 2, clipped", "shadow on one side"):
    assert after[name] > 0.02
print("mean difference to the photo, before and after both are equalized")
for name, image in changed.items():
    levels = len(np.unique(image))
    print(f"{name:31} {before[name]:.2f} -> {after[name]:.2f}, {levels} levels")

dark = changed["gamma 2.2 and gain 0.1, 8 bits"]
panels = {
    "dark, 8 bits": dark,
    "equalized": equalize(dark),
    "shadow, equalized": equalize(changed["shadow on one side"]),
}
figure, axes = plt.subplots(2, 3, figsize=(7, 4), height_ratios=(2, 1))
for (title, image), (top, bottom) in zip(panels.items(), axes.T):
    small = np.round(block_reduce(image, 2, np.mean) * 15) / 15  # a small file
    top.imshow(small, cmap="gray", vmin=0, vmax=1, interpolation="none")
    top.set_title(title), top.set_axis_off()
    bottom.hist(image.ravel(), bins=32, range=(0, 1), color="0.4")
    bottom.set(xticks=(0, 1), yticks=(), xlabel="value")
axes[1, 0].set_ylabel("pixels")
plt.tight_layout(), plt.show()
