"""Pixel accuracy rewards the background; mean IoU is one count over the data set.

Source: Everingham and others, PASCAL VOC, IJCV 2010 (and Long and others, 1411.4038).
Shapes: label maps (images, H, W) of integers; 255 marks pixels left out.
"""

import numpy as np

IGNORE = 255


def confusion(truth, predicted, classes):  # rows: truth, columns: prediction
    keep = truth != IGNORE
    index = classes * truth[keep].astype(int) + predicted[keep]
    return np.bincount(index, minlength=classes**2).reshape(classes, classes)


def iou_per_class(m):
    hit = np.diag(m)
    with np.errstate(invalid="ignore"):
        return hit / (m.sum(0) + m.sum(1) - hit)  # NaN: class nowhere


truth = np.zeros((100, 20, 20), np.uint8)
truth[:, 8:11, 8:11] += 1  # 9 of 400 pixels: 2 % foreground
m = confusion(truth, np.zeros_like(truth), 2)
accuracy, iou = np.trace(m) / m.sum(), iou_per_class(m)
assert accuracy > 0.97 and iou[1] == 0 and np.nanmean(iou) < 0.5
print(f"all background: pixel accuracy {accuracy:.2f}", end=", ")
print(f"IoU of the object {iou[1]:.2f}, mean IoU {np.nanmean(iou):.2f}")

# One large object (400 px) and nine small ones (16 px). A finds the large, B the small.
truth = np.zeros((10, 32, 32), np.uint8)
truth[0, 4:24, 4:24] += 1
truth[1:, 8:12, 8:12] += 1
large = truth * (np.arange(10) == 0)[:, None, None]
small = truth - large
result = {}
for name, predicted in (("A", large), ("B", small)):
    pooled = iou_per_class(confusion(truth, predicted, 2))[1]
    pairs = zip(truth, predicted)
    each = np.mean([iou_per_class(confusion(t, p, 2))[1] for t, p in pairs])
    result[name] = pooled, each
    print(f"{name}: IoU over the data set {pooled:.2f}, mean of images {each:.2f}")
assert result["A"][0] > result["B"][0] + 0.4  # one count: the large object decides
assert result["A"][1] < result["B"][1] - 0.4  # mean of images: the small ones do

truth[:, 30:] = IGNORE  # unlabeled rows
noisy = large.copy()
noisy[:, 30:] += 1  # whatever is said there
assert (confusion(truth, noisy, 2) == confusion(truth, large, 2)).all()
print("pixels marked 255 count neither as right nor as wrong")
