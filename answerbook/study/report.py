"""The forest plot of a result; answerbook.pages.studies writes the words around it."""

import io
import re
import textwrap

import numpy as np

from answerbook.model import VERDICTS
from answerbook.study.statistics import verdict

COLORS = {"holds": "#1b7837", "fails": "#b2182b", "open": "#555555"}
INK, ARM = "#222222", "#2166ac"


def forest_plot(result: dict) -> bytes:
    """The arms' means and the claims' differences with their 95 % intervals as one SVG.

    Above, the first metric of all arms. Below, one panel for each metric with claims: the difference, and
    as a dashed line the threshold that its interval must lie above. The same result gives the same bytes.
    """
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    metric = next(iter(result["metrics"]))
    panels = {name: _rows(result, name) for name in result["metrics"]}
    panels = {name: rows for name, rows in panels.items() if rows}
    heights = [len(result["arms"])] + [1.4 * len(rows) for rows in panels.values()]
    style = {"svg.hashsalt": result["study"], "font.size": 9, "text.color": INK, "axes.labelcolor": INK}
    with plt.rc_context(style):
        size = (7, 0.9 * len(heights) + 0.3 * sum(heights))
        fig, axes = plt.subplots(len(heights), 1, figsize=size, height_ratios=heights, layout="constrained")
        for row, arm in enumerate(result["arms"].values()):
            values = np.array(arm["values"][metric])
            _bar(axes[0], row, values.mean(), arm["intervals"][metric], ARM)
        _labels(axes[0], list(result["arms"]))
        axes[0].set_xlabel(f"{metric} ({result['metrics'][metric]} is better)")
        for axis, (name, rows) in zip(axes[1:], panels.items(), strict=True):
            for row, (_, part, threshold) in enumerate(rows):
                word = verdict(*part["interval"], threshold)
                _bar(axis, row, part["difference"], part["interval"], COLORS[word])
                axis.plot([threshold] * 2, [row - 0.4, row + 0.4], "--", color=INK, lw=1)
                axis.text(
                    1.02,
                    row,
                    VERDICTS[word].name,
                    color=COLORS[word],
                    va="center",
                    transform=axis.get_yaxis_transform(),
                )
            _labels(axis, [text for text, *_ in rows])
            axis.axvline(0, color="#999999", lw=0.8, zorder=0)
            axis.set_xlabel(f"difference in {name}, better to the right; dashed: the margin")
        buffer = io.StringIO()
        fig.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
        plt.close(fig)
    text = re.sub(r"<!DOCTYPE.*?>\s*", "", buffer.getvalue(), flags=re.DOTALL)  # EPUB forbids it
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL).encode()


def _rows(result: dict, metric: str) -> list[tuple]:
    rows = []
    for claim in result["claims"].values():
        for condition in ("with", "without"):
            if claim["metric"] == metric and condition in claim:
                part = claim[condition]
                text = "\n".join(textwrap.wrap(f"{part['arm']} − {part['rival']}", 44))
                rows.append((text, part, claim["threshold"]))
    return rows


def _bar(axis, row: int, mean: float, ends, color: str) -> None:
    axis.plot(ends, [row, row], "-", color=color, lw=2.5, solid_capstyle="butt")
    axis.plot(mean, row, "o", color=color, ms=6)


def _labels(axis, names: list[str]) -> None:
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="#e5e5e5", lw=0.6)
    axis.set_axisbelow(True)
