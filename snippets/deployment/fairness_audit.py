"""Scores that are calibrated in each of two groups still give them different error
rates when base rates differ; equalizing false alarms then makes the precision differ.

Chouldechova, 2017: FPR = prior / (1 - prior) (1 - PPV) / PPV (1 - FNR), an identity.
Simulated scores p (20_000,) per group, labels drawn with exactly these probabilities.
"""

import numpy as np


def audit(p, y, threshold):
    """Share of positives, calibration gap, FPR, FNR, precision (PPV)."""
    alarm = p >= threshold
    bins = np.minimum((p * 10).astype(int), 9)
    n = np.bincount(bins, minlength=10)
    gap = np.abs(np.bincount(bins, p - y, minlength=10)).sum() / n.sum()
    return y.mean(), gap, alarm[~y].mean(), 1 - alarm[y].mean(), y[alarm].mean()


same, adjusted = [], []
for seed in range(5):
    rng = np.random.default_rng(seed)
    groups = []
    for a, b in ((2, 6), (4, 4)):  # mean scores 0.25 and 0.50
        p = rng.beta(a, b, 20_000)
        groups.append((p, rng.random(20_000) < p))
    same.append([audit(p, y, 0.5) for p, y in groups])
    target = same[-1][0][2]  # the false positive rate of the first group
    p, y = groups[1]
    strict = np.quantile(p[~y], 1 - target)
    adjusted.append([same[-1][0], audit(p, y, strict)])

same, adjusted = np.array(same), np.array(adjusted)  # (seeds, groups, measures)
prior, gap, fpr, fnr, ppv = np.moveaxis(np.concatenate([same, adjusted]), 2, 0)
identity = prior / (1 - prior) * (1 - ppv) / ppv * (1 - fnr)
assert np.abs(identity - fpr).max() < 1e-9
assert gap.max() < 0.02
assert (same[:, 1, 2] > 3 * same[:, 0, 2]).all()
assert (np.abs(adjusted[:, 1, 2] - adjusted[:, 0, 2]) < 0.001).all()
assert (adjusted[:, 1, 4] > adjusted[:, 0, 4] + 0.1).all()  # precision
print("5 seeds, means         prior  calibration gap  FPR   FNR   precision")
for name, table in (("one threshold", same), ("equal FPR", adjusted)):
    for group, row in zip("AB", table.mean(0)):
        print(
            f"{name:14s} group {group}  {row[0]:.2f}   < 0.02"
            f"           {row[2]:.2f}  {row[3]:.2f}  {row[4]:.2f}"
        )
