"""Min-max stretching is undone by one hot pixel; percentiles withstand what they cut.

Images (H, W) with values from 0 to 1. Five draws of the hot pixels.
"""

import numpy as np
from skimage import data


def stretch(image, cut=0.0):
    """Map the percentiles cut and 100 - cut to 0 and 1, linearly; clip the rest."""
    low, high = np.percentile(image, (cut, 100 - cut))
    return np.clip((image - low) / (high - low), 0, 1)


photo = data.camera()[::2, ::2] / 255  # (256, 256)
flat = 0.45 + 0.1 * photo  # fog: a tenth of the contrast
assert np.abs(stretch(flat) - stretch(photo)).max() < 1e-12  # gain and offset cancel

contrast = {}  # (share of hot pixels, percentile) -> one value a seed
for share in (0, 1 / photo.size, 0.005, 0.02):
    for cut in (0, 1):
        for seed in range(5):
            hot = np.random.default_rng(seed).permutation(photo.size)
            hot = hot[: round(share * photo.size)]
            image = flat.copy()
            image.flat[hot] = 1  # a defect or a glint
            good = np.delete(stretch(image, cut), hot)
            contrast.setdefault((share, cut), []).append(good.std())
assert min(contrast[0, 0]) > 5 * max(contrast[1 / photo.size, 0])
assert min(contrast[0.005, 1]) > 0.9 * max(contrast[0, 1])
assert max(contrast[0.02, 1]) < 0.4 * min(contrast[0, 1])
print(f"standard deviation: photo {photo.std():.2f}, in fog {flat.std():.2f}")
for share in (0, 1 / photo.size, 0.005, 0.02):
    minmax, percentile = (np.mean(contrast[share, cut]) for cut in (0, 1))
    print(
        f"hot pixels {round(share * photo.size):4}: min-max {minmax:.2f}, "
        f"1st to 99th percentile {percentile:.2f} (n=5)"
    )
