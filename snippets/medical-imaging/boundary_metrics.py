"""Equal Dice, unequal boundaries: a thin rim, a bite and a distant speck.

Dice counts pixels. Surface distances measure where they are, in millimeters: Hausdorff
the worst place, HD95 all but the worst 5 %, ASSD the average (Taha, Hanbury 2015).
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def surface(mask):
    """Foreground pixels with a background pixel above, below, left or right."""
    return mask & ~binary_erosion(mask)


def surface_distances(a, b, spacing):
    """From each surface pixel of a to the nearest surface pixel of b."""
    return distance_transform_edt(~surface(b), sampling=spacing)[surface(a)]


def boundary_metrics(a, b, spacing=(1.0, 1.0)):
    there, back = surface_distances(a, b, spacing), surface_distances(b, a, spacing)
    return {
        "HD": max(there.max(), back.max()),
        "HD95": max(np.percentile(there, 95), np.percentile(back, 95)),
        "ASSD": (there.sum() + back.sum()) / (len(there) + len(back)),
    }


def disk(y, x, r):
    return (yy - y) ** 2 + (xx - x) ** 2 <= r * r


yy, xx = np.mgrid[:96, :128]
truth = disk(48, 44, 30)
cases = {
    "thin rim": disk(48, 44, 26.5),
    "bite": truth & ~disk(48, 73, 21),
    "speck": truth | disk(48, 108, 15.8),
}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.5))
rows = {}
for ax, (name, mask) in zip(axes, cases.items()):
    d, j = dice(truth, mask), iou(truth, mask)
    rows[name] = {"Dice": d, "IoU": j, **boundary_metrics(truth, mask)}
    assert abs(j - d / (2 - d)) < 1e-12 and abs(d - 0.88) < 0.015
    print(f"{name:9s}", ", ".join(f"{k} {v:.2f}" for k, v in rows[name].items()))
    ax.imshow(mask, cmap="Blues", vmax=2)
    ax.contour(truth, [0.5], colors="k", linewidths=1.2)
    ax.set_title(f"{name}\nDice {d:.2f}, HD {rows[name]['HD']:.0f}")
    ax.set_axis_off()
assert rows["speck"]["HD"] > 2 * rows["bite"]["HD"] > 8 * rows["thin rim"]["HD"]
plt.tight_layout()
plt.show()
