"""CutMix must take its label from the pixels pasted, not from the number drawn.

Yun and others, ICCV 2019: draw lam, cut a box of area 1 - lam around a random
center, clip it at the border. Images (H, W, 3); the box: top, bottom, left, right.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.transform import resize


def cutmix_box(height, width, lam, rng):
    """A box of share 1 - lam of the image before clipping."""
    cut = np.sqrt(1 - lam)
    h, w = int(height * cut), int(width * cut)
    y, x = rng.integers(height), rng.integers(width)  # the center, anywhere
    top, bottom = np.clip([y - h // 2, y + h // 2], 0, height)
    left, right = np.clip([x - w // 2, x + w // 2], 0, width)
    return top, bottom, left, right


SIZE, DRAWS, SEEDS = 224, 2000, 5
errors, shares = np.zeros(SEEDS), np.zeros(SEEDS)
for seed in range(SEEDS):
    rng = np.random.default_rng(seed)
    nominal = rng.uniform(size=DRAWS)  # Beta(1, 1), the paper's choice for ImageNet
    boxes = [cutmix_box(SIZE, SIZE, lam, rng) for lam in nominal]
    actual = np.array([1 - (b - t) * (r - l) / SIZE**2 for t, b, l, r in boxes])
    assert (actual >= nominal - 1e-9).all()  # clipping only ever shrinks the box
    errors[seed], shares[seed] = (actual - nominal).mean(), 1 - actual.mean()

cat, cup = (
    resize(im, (112, 112), anti_aliasing=True)
    for im in (data.chelsea()[:300, 75:375], data.coffee()[:, 100:500])
)
rng = np.random.default_rng(2)
top, bottom, left, right = cutmix_box(112, 112, 0.5, rng)
pasted = cat.copy()
pasted[top:bottom, left:right] = cup[top:bottom, left:right]
true = 1 - (bottom - top) * (right - left) / 112**2
fig, (picture, chart) = plt.subplots(1, 2, figsize=(7, 3.7))
picture.imshow(np.round(pasted * 15) / 15, interpolation="none")
picture.axis("off")
picture.set_title(f"drawn 0.50 cat\npixels {true:.2f} cat", fontsize=14)
chart.plot(nominal[:300], actual[:300], ".", ms=5), chart.plot([0, 1], [0, 1], "k--")
chart.set_xlabel("share of cat drawn", fontsize=13)
chart.set_ylabel("share of cat in the pixels", fontsize=13)
plt.tight_layout(), plt.show()

assert errors.min() > 0.1
print(f"mean share pasted: drawn 0.50, real {shares.min():.2f} to {shares.max():.2f}")
print(f"mean error of the label drawn: {errors.min():.2f} to {errors.max():.2f}")
print(f"{SEEDS} seeds of {DRAWS} boxes")
