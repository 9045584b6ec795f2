"""A watershed finds 24 coins; Otsu's threshold also counts 24, in a wrong mask.

Source: Vincent, Soille, watersheds by immersion, IEEE TPAMI 1991, in scikit-image.
Shapes: photograph (303, 384) uint8 -> labels (303, 384), one number a coin.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from skimage import data, filters, measure, morphology, segmentation

photo = data.coins()
count = 24  # by eye


def labels_of(mask):  # connected components, specks and crumbs removed
    labels = measure.label(mask)
    sizes = np.bincount(labels.ravel())
    return measure.label(np.where(sizes[labels] > 200, labels, 0) > 0)


otsu = labels_of(ndimage.binary_fill_holes(photo > filters.threshold_otsu(photo)))

markers = np.zeros_like(photo, dtype=int)  # certain pixels only
markers[photo < 30], markers[photo > 150] = 1, 2
basins = segmentation.watershed(filters.sobel(photo), markers)  # flood the edges
semantic = ndimage.binary_fill_holes(basins == 2)
instances = labels_of(semantic)

cells = segmentation.slic(photo, 120, compactness=0.1, channel_axis=None)
areas = [np.bincount(labels.ravel())[1:] for labels in (otsu, instances)]
for name, area in (("Otsu's threshold", areas[0]), ("watershed", areas[1])):
    print(f"{name}: {len(area)} regions of {area.min()} to {area.max()} px")
print(f"superpixels: {cells.max()}, without any class")
assert instances.max() == count and areas[0].max() > 2 * areas[1].max()
grown = measure.label(morphology.dilation(semantic, morphology.disk(9))).max()
assert grown < 12
print(f"the same coins grown until they touch: {grown} regions")

instances = np.r_[0, 1 + np.random.default_rng(1).permutation(count)][instances]
small = photo // 16 / 16  # few gray levels keep the figure light
edges = segmentation.find_boundaries(cells)
panels = {
    "superpixels: regions": (np.where(edges, 1.3, small), "gray"),
    "Otsu: bright or dark": (otsu > 0, "gray"),
    "semantic: coin or not": (semantic, "cividis"),
    "instances: which coin": (instances, "nipy_spectral"),
}
fig, axes = plt.subplots(2, 2, figsize=(6, 5.2), layout="constrained")
for ax, (title, (picture, cmap)) in zip(axes.flat, panels.items()):
    ax.imshow(picture[::2, ::2], cmap=cmap, interpolation="none")
    ax.set_title(title, fontsize=12)
    ax.axis("off")
for region in measure.regionprops(instances):
    row, column = np.array(region.centroid) / 2
    style = {"ha": "center", "va": "center", "fontsize": 9, "color": "white"}
    style["bbox"] = {"facecolor": "black", "pad": 1}
    axes[1, 1].text(column, row, region.label, **style)
plt.show()
