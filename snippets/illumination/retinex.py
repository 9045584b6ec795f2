"""Retinex normalization (log minus its local mean) removes a gain exactly and a
smooth light nearly; a shadow's edge stays as a halo.

After Jobson, Rahman and Woodell, 1997, with the log taken before the blur. Images (H,
W), linear light.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.measure import block_reduce


def retinex(image, sigma=12):
    """log(reflectance * light) minus its local mean: slowly varying light drops out."""
    z = np.log(image)
    return z - gaussian_filter(z, sigma, mode="reflect")


photo = (data.camera()[::2, ::2] / 255 * 0.98 + 0.02) ** 2.2  # (256, 256), linear light
row, column = np.mgrid[:256, :256] / 255
light = {
    "gain 0.2": np.full_like(photo, 0.2),
    "ramp": np.exp(-3 * row),  # falls to a twentieth
    "lamp": 0.05 + np.exp(-4 * ((row - 0.5) ** 2 + (column - 0.5) ** 2)),
    "shadow": np.where(column + row / 4 < 0.6, 0.15, 1),
}
edge = np.abs(column + row / 4 - 0.6) * 255 < 24  # within two sigma of it
change, left = {}, {}
print("mean change of the log image and of its Retinex, in units of their own spread")
for name, l in light.items():
    error = np.abs(retinex(l * photo) - retinex(photo))
    change[name] = np.abs(np.log(l)).mean() / np.log(photo).std()
    left[name] = error.mean() / retinex(photo).std()
    print(f"{name:8} {change[name]:.2f} -> {left[name]:.2f}")
halo = error[edge].sum() / error.sum()  # of the last light, the shadow
coarse = [gaussian_filter(z, 12).std() for z in (np.log(photo), retinex(photo))]
lost = 1 - coarse[1] / coarse[0]
print(f"shadow: {halo:.2f} of what is left lies within two sigma of its edge")
print(f"price: {lost:.2f} of the photo's own coarse shading is gone as well")
assert left["gain 0.2"] < 1e-9 and left["ramp"] < 0.05 and left["lamp"] < 0.05
assert change["shadow"] > 0.3 and left["shadow"] > 0.05 and error.max() > 0.8
assert halo > 0.9 and edge.mean() < 0.2 and lost > 0.7

figure, axes = plt.subplots(1, 4, figsize=(7, 2.1))
for name, panels in zip(("ramp", "shadow"), (axes[:2], axes[2:])):
    seen = (light[name] * photo) ** (1 / 2.2), retinex(light[name] * photo) / 4 + 0.5
    for panel, image, title in zip(panels, seen, (name, "Retinex")):
        small = block_reduce(image.clip(0, 1), 2, np.mean)
        small = np.round(small * 15) / 15  # a small file
        panel.imshow(small, cmap="gray", vmin=0, vmax=1, interpolation="none")
        panel.set_title(title), panel.set_axis_off()
plt.tight_layout(), plt.show()
