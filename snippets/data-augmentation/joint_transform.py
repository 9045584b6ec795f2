"""Boxes and masks must move with the pixels, and masks only with nearest neighbor.

Image (512, 512, 3); mask (512, 512): 2 on the face, else 0; box x1, y1, x2, y2 with
the far edges exclusive, so that x2 - x1 is the width.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from skimage import data


def mask_box(mask):
    """The tight box around the nonzero pixels."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def mirror_box(box, width):
    x1, y1, x2, y2 = box
    return width - x2, y1, width - x1, y2


def rotate_box(box, degrees, height, width):
    """The upright box around the four corners, turned about the image's center."""
    x1, y1, x2, y2 = box
    a, center = np.deg2rad(degrees), np.array([width, height]) / 2
    corners = np.array([(x1, y1), (x1, y2), (x2, y1), (x2, y2)]) - center
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])  # y points down
    corners = corners @ turn.T + center
    return *corners.min(0), *corners.max(0)


photo, (y, x) = data.astronaut(), np.mgrid[:512, :512]
mask = 2 * (((x - 224) / 48) ** 2 + ((y - 122) / 62) ** 2 < 1)  # an oval face
box, moved = mask_box(mask), mirror_box(mask_box(mask), 512)
assert moved == mask_box(mask[:, ::-1])
invented, looser = [], []
for degrees in (10, 20, 40, 50, 30):
    linear = rotate(mask.astype(float), degrees, order=1, reshape=False)
    nearest = rotate(mask, degrees, order=0, reshape=False)
    invented.append(int((linear.round() == 1).sum()))  # class 1 never was there
    assert set(np.unique(nearest)) == {0, 2}
    hull, tight = rotate_box(box, degrees, 512, 512), mask_box(nearest)
    sizes = [np.subtract(b[2:], b[:2]).prod() for b in (hull, tight)]
    looser.append(sizes[0] / sizes[1])
assert min(invented) > 100 and min(looser) > 1.1

fig, axes = plt.subplots(1, 2, figsize=(7, 4))
views = [photo[:, ::-1], rotate(photo, 30, order=1, reshape=False)]
boxes = [("mirror", moved, box), ("turn by 30°", tight, hull)]
for ax, view, (title, good, bad) in zip(axes, views, boxes):
    ax.imshow(view[::4, ::4] // 16 * 16, extent=(0, 512, 512, 0), interpolation="none")
    ax.set_title(title, fontsize=16), ax.axis("off")
    for (x1, y1, x2, y2), color, style in [(good, "lime", "-"), (bad, "red", "--")]:
        ax.add_patch(
            plt.Rectangle(
                (x1, y1), x2 - x1, y2 - y1, fill=False, lw=3, color=color, ls=style
            )
        )
plt.tight_layout(), plt.show()
print(f"mirror: x1, x2 = {box[0]}, {box[2]} -> {moved[0]}, {moved[2]}")
print(f"pixels of an invented class, bilinear: {min(invented)} or more; nearest: 0")
print(f"area, turned box / tight box: {min(looser):.1f} to {max(looser):.1f}")
