"""What a page shows of a result: the forest plot, the table of arms, verdict lines, the protocol."""

import io
import re
import textwrap

import numpy as np

from answerbook.study.statistics import interval, verdict

WORDS = {"holds": "Holds", "fails": "Does not hold here", "open": "Open here", "holds-when": "Holds when"}
COLORS = {"holds": "#1b7837", "fails": "#b2182b", "open": "#555555"}
INK, ARM = "#222222", "#2166ac"


def number(value: float) -> str:
    """Three decimals with a sign that is not a hyphen; -0.000 is 0.000."""
    text = f"{value:.3f}"
    return (text[1:] if text == "-0.000" else text).replace("-", "−")


def signed(value: float) -> str:
    """As :func:`number`, with a plus sign above zero."""
    text = number(value)
    return text if text.startswith("−") or text == "0.000" else f"+{text}"


def _between(ends) -> str:
    return f"{signed(ends[0])} to {signed(ends[1])}"


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
            _bar(axes[0], row, values.mean(), interval(values), ARM)
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
                    WORDS[word],
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


def table_markdown(result: dict) -> str:
    """The arms: means with 95 % intervals over the units, chosen knobs, steps, what differs."""
    metrics = list(result["metrics"])
    lines = [
        f"| arm | {' | '.join(metrics)} | chosen | steps |",
        "|---|" + "--:|" * len(metrics) + "---|--:|",
    ]
    for name, arm in result["arms"].items():
        cells = []
        for metric in metrics:
            low, high = interval(np.array(arm["values"][metric], float))
            cells.append(f"{number(np.mean(arm['values'][metric]))} ({number(low)} to {number(high)})")
        extra = "".join(f" + {steps:,} for {what}" for what, steps in arm["shared_steps"].items() if steps)
        differs = "".join(f"<br>*{aspect}: {why}*" for aspect, why in arm["differs"].items())
        cells += [_knobs(arm), f"{arm['steps']:,.0f}{extra}"]
        lines.append(f"| {name}{differs} | {' | '.join(cells)} |")
    unit = f"{result['unit']}s"
    lines += [
        "",
        f"Mean over {len(result['units'])} {unit}, 95 % bootstrap interval over {unit} in parentheses.",
    ]
    return "\n".join(lines) + "\n"


def _knobs(arm: dict) -> str:
    text = ", ".join(f"{name} {value}" for name, value in arm["chosen"].items())
    return text.replace("_", " ") or "–"


def verdict_text(result: dict, claim_id: str) -> str:
    """A claim's verdict in one line without markup."""
    claim = result["claims"][claim_id]
    word = WORDS[claim["verdict"]]
    if claim["verdict"] == "holds-when":
        word = f"Holds {claim['when']}"
    parts = []
    for condition, start in (("with", ""), ("without", "otherwise ")):
        if part := claim.get(condition):
            count = f"better in {part['better_in']} of {len(result['units'])}"
            shown = f"{signed(part['difference'])} ({_between(part['interval'])}; {count})"
            parts.append(f"{start}{part['arm']} − {part['rival']}: {shown}")
    threshold = signed(claim["threshold"])
    text = f"{word}: {claim['sentence']} {claim['metric']}, {'; '.join(parts)}; margin {threshold}."
    refuted = claim["verdict"] == "fails" and claim["refutes"]
    return text + (f" Refutes: {claim['refutes']}" if refuted else "") + attempts_text(result, claim_id)


def verdict_markdown(result: dict, claim_id: str) -> str:
    """A claim's verdict as a line of Markdown, the word in bold."""
    word, rest = verdict_text(result, claim_id).split(": ", 1)
    return f"**{word}:** {rest}\n"


def attempts_text(result: dict, claim_id: str) -> str:
    """What earlier certifications of a claim gave, or nothing."""
    earlier = [entry["claims"][claim_id] for entry in result["history"] if claim_id in entry["claims"]]
    if not earlier:
        return ""
    gave = [f"{WORDS[c['verdict']].lower()} ({_between(c['with']['interval'])})" for c in earlier]
    return f" Certified {len(earlier) + 1} times; earlier: {', then '.join(gave)}."


def details_markdown(result: dict) -> str:
    """The protocol of this run: what is equal, skeptics, seeds, grids, curves, history, versions."""
    unit = result["unit"]
    lines = [
        f"- **Equal between arms:** {result['equal']}",
        *(f"- **A skeptic says** ({name}): {c['skeptic']}" for name, c in result["claims"].items()),
        f"- **Tuning {unit}s:** {_list(result['tuning'])}",
        f"- **Certification {unit}s:** {_list(result['units'])}"
        + (", from the SHA-256 of the study's code" if unit == "seed" else ""),
        f"- **Run:** {result['date']}, {result['cpu_seconds']:.0f} CPU s, torch {result['torch']}, "
        f"Python {result['python']}, {result['cpu']}; code `{result['digest'][:12]}`",
    ]
    for entry in result["history"]:
        gave = "; ".join(
            f"{name}: {WORDS[c['verdict']].lower()} ({_between(c['with']['interval'])})"
            for name, c in entry["claims"].items()
        )
        lines.append(f"- **Earlier certification** of {entry['date']}, code `{entry['digest'][:12]}`: {gave}")
    lines += [
        "",
        "| arm | candidate | validation, mean of tuning | last quarter gains |",
        "|---|---|--:|--:|",
    ]
    for name, arm in result["arms"].items():
        for row in arm["grid"]:
            chosen = row["knobs"] == arm["chosen"]
            scores = [score for score in row["scores"] if score is not None]
            mean = number(np.mean(scores)) if len(scores) == len(row["scores"]) else "not finite"
            knobs = _knobs({"chosen": row["knobs"]})
            edge = f" (edge: {', '.join(arm['edges'])})" if chosen and arm["edges"] else ""
            late = signed(np.mean(arm["late"])) if chosen and arm["late"] else ""
            lines.append(f"| {name} | {f'**{knobs}**' if chosen else knobs}{edge} | {mean} | {late} |")
    return "\n".join(lines) + "\n"


def _list(values: list) -> str:
    return ", ".join(map(str, values)) or "none"
