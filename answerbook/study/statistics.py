"""Intervals, verdicts and seeds: all that follows from values and code, and from nobody's wish."""

import hashlib
import math
from collections.abc import Collection

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999


def expanded_level(n: int, confidence: float = CONFIDENCE) -> float:
    """The level at which a percentile interval of ``n`` values really covers ``confidence``.

    Bootstrap percentiles are too narrow for few values: they behave like normal quantiles times the
    standard deviation with divisor n. Expanded, they match Student's t for symmetric data (T. Hesterberg,
    What Teachers Should Know about the Bootstrap, arXiv:1411.5279, "expanded percentile interval").
    """
    quantile = math.sqrt(n / (n - 1)) * stats.t.ppf((1 + confidence) / 2, n - 1)
    return 2 * stats.norm.cdf(quantile) - 1


def interval(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % bootstrap interval of the mean over the last axis.

    Args:
        differences: (..., n) paired differences, n >= 2.

    Returns:
        Its lower and upper end, each of shape (...). Always the same for the same values.
    """
    differences = np.asarray(differences, float)
    level = expanded_level(differences.shape[-1])
    result = stats.bootstrap(
        (differences,),
        np.mean,
        axis=-1,
        n_resamples=RESAMPLES,
        batch=100,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def chance(values: np.ndarray) -> float:
    """How large the mean of ``values`` (n,) may be by chance: half of Student's 95 % interval."""
    n = len(values)
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n))


def verdict(low: float, high: float, threshold: float) -> str:
    """ "holds" above the threshold, "fails" (does not hold here) below it, otherwise "open"."""
    if low > threshold:
        return "holds"
    return "fails" if high < threshold else "open"


def verdict_when(with_condition: str, without_condition: str) -> str:
    """The verdict on "holds when …" from those of both conditions.

    "holds-when" needs both: the effect with the condition, and none without it.
    """
    if (with_condition, without_condition) == ("holds", "fails"):
        return "holds-when"
    if with_condition == "fails":
        return "fails"
    return "holds" if (with_condition, without_condition) == ("holds", "holds") else "open"


def certification_seeds(digest: str, count: int, used: Collection[int]) -> list[int]:
    """The ``count`` seeds that follow from a study's code: nobody picks them.

    Args:
        digest: of the study's code.
        count: how many.
        used: seeds of tuning and of earlier certifications; none of them comes again.

    Returns:
        Different integers in [0, 2^31).
    """
    seeds, number = [], 0
    while len(seeds) < count:
        hashed = hashlib.sha256(f"{digest} {number}".encode()).digest()
        seed = int.from_bytes(hashed[:4], "big") >> 1
        if seed not in used and seed not in seeds:
            seeds.append(seed)
        number += 1
    return seeds
