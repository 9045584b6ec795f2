"""What a page shows of a study: its figure, the table of arms, a verdict for each claim, the protocol.

All of it comes from the result file, so that a page cannot say more than the run. Needs no torch.
"""

from statistics import fmean

from answerbook.model import VERDICTS


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


def table_markdown(result: dict) -> str:
    """The arms: means with 95 % intervals over the units, chosen knobs, steps, what differs."""
    metrics = list(result["metrics"])
    lines = [
        f"| arm | {' | '.join(metrics)} | chosen | steps |",
        "|---|" + "---|" * len(metrics) + "---|---|",
    ]
    for name, arm in result["arms"].items():
        cells = []
        for metric in metrics:
            low, high = arm["intervals"][metric]
            cells.append(f"{number(fmean(arm['values'][metric]))} ({number(low)} to {number(high)})")
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
    """The chosen knobs; one that stands for several, like ``alpha_T``, has a list of their values."""
    told = []
    for name, value in arm["chosen"].items():
        names = name.split("_") if isinstance(value, list) else [name.replace("_", " ")]
        values = value if isinstance(value, list) else [value]
        told += [f"{one} {other}" for one, other in zip(names, values, strict=len(names) == len(values))]
    return ", ".join(told) or "–"


def verdict_word(claim: dict) -> str:
    """The verdict's name, with the condition if there is one."""
    return f"Holds {claim['when']}" if claim["verdict"] == "holds-when" else VERDICTS[claim["verdict"]].name


def verdict_text(result: dict, claim_id: str) -> str:
    """A claim's verdict in one line without markup."""
    claim = result["claims"][claim_id]
    word, parts = verdict_word(claim), []
    for condition, start in (("with", ""), ("without", "otherwise ")):
        if part := claim.get(condition):
            count = f"better in {part['better_in']} of {len(result['units'])}"
            shown = f"{signed(part['difference'])} ({_between(part['interval'])}; {count})"
            parts.append(f"{start}{part['arm']} − {part['rival']}: {shown}")
    threshold = signed(claim["threshold"])
    text = f"{word}: {claim['sentence']} Difference in {claim['metric']}, {'; '.join(parts)}; margin {threshold}."
    refuted = claim["verdict"] == "fails" and claim["refutes"]
    return text + (f" Refutes: {claim['refutes']}" if refuted else "") + attempts_text(result, claim_id)


def verdict_markdown(result: dict, claim_id: str) -> str:
    """A claim's verdict as an item of a Markdown list."""
    word, rest = verdict_text(result, claim_id).split(": ", 1)
    key = result["claims"][claim_id]["verdict"]
    return f'- <span class="verdict {key}">{VERDICTS[key].mark} {word}</span>: {rest}'


def study_markdown(result: dict) -> str:
    """All that a topic page includes of a study."""
    topic, name = result["study"].split("/")
    arms, claims = len(result["arms"]), len(result["claims"])
    anchor = f"study-{name.replace('_', '-')}"
    alt = (
        f"Forest plot of the study {name.replace('_', ' ')}: means of {arms} arms, and the differences behind "
        f"{claims} claim{'s' * (claims != 1)}, each with its 95 % interval; the table has the numbers."
    )
    lines = [
        f"![{alt}](../figures/{topic}/{name}.svg){{ loading=lazy }}",
        "/// caption",
        "Above, the arms; below, the differences that the claims are about. Bars are 95 % intervals, the dashed "
        "line is the margin that an interval must lie beyond.",
        "///",
        "",
        *(verdict_markdown(result, key) for key in result["claims"]),
        "",
        '<details class="code study" markdown="1">',
        f"<summary>The study: {arms} arms, {len(result['units'])} {result['unit']}s, protocol</summary>",
        "",
        f'<p class="needs" id="{anchor}">To repeat it: <code>make study ONLY={result["study"]}</code></p>',
        "",
        table_markdown(result),
        details_markdown(result),
        "</details>",
    ]
    return "\n".join(lines)


def attempts_text(result: dict, claim_id: str) -> str:
    """What earlier certifications of a claim gave, or nothing."""
    earlier = [entry["claims"][claim_id] for entry in result["history"] if claim_id in entry["claims"]]
    if not earlier:
        return ""
    gave = [f"{VERDICTS[c['verdict']].name.lower()} ({_between(c['with']['interval'])})" for c in earlier]
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
            f"{name}: {VERDICTS[c['verdict']].name.lower()} ({_between(c['with']['interval'])})"
            for name, c in entry["claims"].items()
        )
        lines.append(f"- **Earlier certification** of {entry['date']}, code `{entry['digest'][:12]}`: {gave}")
    lines += [
        "",
        "| arm | candidate | validation, mean of tuning | last quarter gains |",
        "|---|---|---|---|",
    ]
    for name, arm in result["arms"].items():
        for row in arm["grid"]:
            chosen = row["knobs"] == arm["chosen"]
            scores = [score for score in row["scores"] if score is not None]
            mean = number(fmean(scores)) if len(scores) == len(row["scores"]) else "not finite"
            knobs = _knobs({"chosen": row["knobs"]})
            edge = f" (edge: {', '.join(arm['edges'])})" if chosen and arm["edges"] else ""
            late = signed(fmean(arm["late"])) if chosen and arm["late"] else ""
            lines.append(f"| {name} | {f'**{knobs}**' if chosen else knobs}{edge} | {mean} | {late} |")
    return "\n".join(lines) + "\n"


def _list(values: list) -> str:
    return ", ".join(map(str, values)) or "none"
