"""To notice that accuracy fell from 0.95 to 0.93 takes hundreds of labeled requests. A
sequential test needs about half; looking again and again at a fixed test cries wolf.

Wald's sequential probability ratio test (1945), error rates 5 % and 5 %.
"""

import numpy as np
from scipy.stats import binom

GOOD, BAD = 0.05, 0.07  # error rates of the old model and of a faulty new one


def fixed_size(alpha=0.05, beta=0.05):
    """Smallest n, and critical count, of the one-sided exact binomial test."""
    for n in range(100, 10_000, 10):
        critical = int(binom.ppf(1 - alpha, n, GOOD)) + 1  # alarm at this many errors
        if binom.sf(critical - 1, n, BAD) >= 1 - beta:
            return n, critical


def sprt(errors, alpha=0.05, beta=0.05):
    """Per row: is it an alarm, and after how many requests. errors (runs, n) bool."""
    step = np.where(errors, np.log(BAD / GOOD), np.log((1 - BAD) / (1 - GOOD)))
    ratio = step.cumsum(1)
    up = ratio >= np.log((1 - beta) / alpha)
    down = ratio <= np.log(beta / (1 - alpha))
    stop = (up | down).argmax(1)
    assert (up | down).any(1).all()  # every run has ended
    return up[np.arange(len(up)), stop], stop + 1


def peeking(errors, every=50, alpha=0.05):
    """Per row: did any look at the running fixed-size test say "significant"?"""
    n = np.arange(every, errors.shape[1] + 1, every)
    return (binom.sf(errors.cumsum(1)[:, n - 1] - 1, n, GOOD) < alpha).any(1)


n, critical = fixed_size()
print(f"fixed size: {n} requests, alarm at {critical} errors or more")
rows = []
for seed in range(5):
    rng = np.random.default_rng(seed)
    good, bad = (rng.random((400, 8000)) < p for p in (GOOD, BAD))
    (false, _), (found, took) = sprt(good), sprt(bad)
    rows.append(
        [
            false.mean(),
            found.mean(),
            took.mean(),
            np.quantile(took, 0.9),
            peeking(good[:, :n]).mean(),
        ]
    )
low, high = np.min(rows, 0), np.max(rows, 0)
print("5 seeds, 400 releases each (min-max)")
for k, name in enumerate(["sequential: false alarms", "sequential: faults found"]):
    print(f"  {name}    {low[k]:.2f}-{high[k]:.2f}")
print(f"  requests to a verdict on a fault, mean   {low[2]:.0f}-{high[2]:.0f}")
print(f"  90 % of the verdicts within              {low[3]:.0f}-{high[3]:.0f}")
print(f"  fixed test looked at every 50: false alarms {low[4]:.2f}-{high[4]:.2f}")
assert high[0] < 0.1 and low[1] > 0.9 and high[2] < 0.65 * n and low[4] > 0.15
