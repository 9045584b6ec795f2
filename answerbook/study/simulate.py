"""How often the verdicts are wrong, and how small an effect they find: simulated studies."""

import itertools
import json
from pathlib import Path

import numpy as np

from answerbook.project import replace
from answerbook.study.statistics import interval

SHAPES = {  # of paired differences, each with mean 0 and standard deviation 1
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: (rng.gamma(4.0, size=size) - 4) / 2,  # skewness 1
}
EFFECTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # above the margin, in standard deviations


def rates(n: int, effect: float, shape: str = "normal", studies: int = 1000) -> dict[str, float]:
    """Shares of simulated studies by verdict.

    Args:
        n: pairs of a study.
        effect: true mean difference minus the threshold, in standard deviations of a difference.
        shape: of the differences, a key of ``SHAPES``.
        studies: how many are simulated; always the same ones.

    Returns:
        holds, fails, open: shares of the verdicts; covered: share of intervals with the true mean inside.
    """
    differences = SHAPES[shape](np.random.default_rng([n, studies]), (studies, n)) + effect
    low, high = interval(differences)
    shares = {"holds": low > 0, "fails": high < 0, "covered": (low <= effect) & (effect <= high)}
    shares = {name: round(float(share.mean()), 4) for name, share in shares.items()}
    return shares | {"open": round(1 - shares["holds"] - shares["fails"], 4)}


def write(root: Path) -> None:
    """Record errors, coverage and the power curve in ``studies/power.json``."""
    curve = []
    for n, shape, effect in itertools.product((10, 20), SHAPES, EFFECTS):
        studies = 1000 if effect else 10_000  # error rates and coverage are read at no effect
        row = {"n": n, "shape": shape, "effect": effect, "studies": studies}
        curve.append(row | rates(n, effect, shape, studies))
    text = ",\n ".join(map(json.dumps, curve))
    replace(Path(root, "studies", "power.json"), f"[\n {text}\n]\n".encode())
