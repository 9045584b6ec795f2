"""Random resized crop shows objects larger in training than at test, or not at all.

Touvron and others, NeurIPS 2019. The crop: 8 to 100 % of the image's area, sides in
a ratio of 3:4 to 4:3, resized to 224 x 224. Test: short side to 256, center 224.
"""

import math
import matplotlib.pyplot as plt
import numpy as np
from skimage import data

RUNS, CROPS = 5, 4000


def random_resized_crop(height, width, rng, area=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
    """Top, left, height and width of a crop; ten tries, then the whole image."""
    for _ in range(10):
        target = height * width * rng.uniform(*area)
        aspect = math.exp(rng.uniform(*np.log(ratio)))  # log: 3:4 as likely as 4:3
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = int(rng.integers(height - h + 1))
            return top, int(rng.integers(width - w + 1)), h, w
    return 0, 0, height, width


def share_inside(box, crop):
    """Share of the box's area inside the crop; both are top, left, height, width."""

    def overlap(a, size_a, b, size_b):
        return max(0, min(a + size_a, b + size_b) - max(a, b))

    down = overlap(box[0], box[2], crop[0], crop[2])
    return down * overlap(box[1], box[3], crop[1], crop[3]) / (box[2] * box[3])


photo, face = data.astronaut(), (70, 172, 110, 104)  # 512 x 512, face boxed by hand
ratios, lost = np.zeros((RUNS, 2)), np.zeros(RUNS)
for run in range(RUNS):
    rng = np.random.default_rng(run)
    for k, width in enumerate([682, 512]):  # a 4:3 photo, a square one
        crops = [random_resized_crop(512, width, rng) for _ in range(CROPS)]
        side = np.array([math.sqrt(h * w) for _, _, h, w in crops])
        ratios[run, k] = np.mean((256 / 512) / (224 / side))  # at test / in training
    lost[run] = np.mean([share_inside(face, crop) < 0.5 for crop in crops])

fig, axes = plt.subplots(1, 2, figsize=(7, 3.9))
kept = [c for c in crops if share_inside(face, c) >= 0.5]
gone = [c for c in crops if share_inside(face, c) < 0.5]
for ax, boxes, color in zip(axes, [kept, gone], ["lime", "red"]):
    ax.imshow(photo[::4, ::4] // 16 * 16, extent=(0, 512, 512, 0), interpolation="none")
    ax.set_title("face " + ("kept" if boxes is kept else "lost"), fontsize=16)
    ax.axis("off")
    for top, left, h, w in boxes[:4]:
        ax.add_patch(plt.Rectangle((left, top), w, h, fill=False, lw=3, color=color))
plt.tight_layout(), plt.show()

assert ratios.max() < 0.9 and lost.min() > 0.2
for name, r in zip(["4:3", "square"], ratios.T):
    print(
        f"{name} photo: object size at test / in training "
        f"{r.min():.2f} to {r.max():.2f}"
    )
print(f"crops with less than half of the face: {lost.min():.2f} to {lost.max():.2f}")
print(f"{RUNS} runs of {CROPS} crops")
