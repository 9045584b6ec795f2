"""Cutting where the ink runs thin works until characters touch.

Lines of 8 handwritten digits (scikit-learn), each trimmed to its ink, with a fixed gap
of columns. The cutter knows no shapes: it cuts wherever the vertical projection, the
ink per column, is at most a threshold. A line counts if it falls into 8 pieces.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
glyphs = [torch.tensor(g[:, g.any(0)]) / 16 for g in load_digits().images]  # (8, w)


def line(gap, generator, n=8):
    """Image (8, W) of n random digits; gap -1 lets neighbors overlap by one column."""
    picks = torch.randint(len(glyphs), (n,), generator=generator).tolist()
    image, x = torch.zeros(8, 100), 1
    for glyph in (glyphs[i] for i in picks):
        place = image[:, x : x + glyph.shape[1]]
        place.copy_(torch.maximum(place, glyph))
        x += glyph.shape[1] + gap
    return image[:, : x - gap + 1]


def cuts(image, threshold):
    """First columns of the runs with more ink than the threshold."""
    ink = image.sum(0) > threshold
    return (ink[1:] & ~ink[:-1]).nonzero()[:, 0] + 1


gaps, thresholds = (2, 1, 0, -1), (0, 0.5, 1, 1.5, 2)
share = torch.zeros(5, len(gaps), len(thresholds))
for seed in range(5):
    generator = torch.Generator().manual_seed(seed)
    for i, gap in enumerate(gaps):
        for image in [line(gap, generator) for _ in range(100)]:
            pieces = torch.tensor([len(cuts(image, t)) for t in thresholds])
            share[seed, i] += (pieces == 8) / 100
print("share of lines in 8 pieces, mean of 5 seeds (500 lines a gap)")
print("threshold" + "".join(f"{t:5}" for t in thresholds))
for gap, s in zip(gaps, share.mean(0)):
    print(f"gap {gap:5}" + "".join(f"{v:5.2f}" for v in s))
assert share[:, :2].min() > 0.9  # a gap: any threshold
assert share[:, 2, 0].max() < 0.05 and share[:, 2, 4].min() > 0.7  # touching
assert share[:, 3].max() < 0.15  # overlapping: none

fig, axes = plt.subplots(3, 1, figsize=(6, 4.6), layout="constrained")
for ax, gap in zip(axes, (2, 0, -1)):
    image = line(gap, torch.Generator().manual_seed(0))
    ax.imshow(1 - image.numpy(), cmap="gray", extent=(0, image.shape[1], 8, 0))
    ax.stairs(16 - image.sum(0).numpy(), baseline=16, fill=True)  # ink per column
    for x in cuts(image, 1).tolist():
        ax.axvline(x, color="tab:red", ls="--")
    ax.set(title=f"gap {gap}: {len(cuts(image, 1))} pieces")
    ax.set(xlim=(0, 72), ylim=(16.5, -0.5), xticks=[], yticks=[])
plt.show()
