"""What was wrong, here and elsewhere: docs/corrections.md, written from docs/corrections.yml.

``errata`` lists what readers of an earlier version of this book were told wrongly. ``since_2023``
holds what interview lists of that time say beside what is defended today.
"""

import re
from pathlib import Path

import yaml
from opening import opening
from record import ROOT


def read_corrections(root: Path = ROOT) -> dict[str, list[dict]]:
    """Both lists; an entry of the first has question, date, was, now, one of the second question,
    anchor, then, now."""
    path = root / "docs/corrections.yml"
    return yaml.safe_load(path.read_text()) if path.exists() else {"errata": [], "since_2023": []}


def corrections_page(titles: dict[str, str], questions: dict[int, dict], root: Path = ROOT) -> str:
    """Text of docs/corrections.md for those questions whose topic page exists."""
    lists = read_corrections(root)
    errata = [entry for entry in lists["errata"] if entry["question"] in questions]
    changes = [entry for entry in lists["since_2023"] if entry["question"] in questions]

    def link(entry: dict) -> str:
        number = entry["question"]
        return f"[Q{number}]({questions[number]['topic']}.md#{entry.get('anchor', f'q{number}')})"

    lines = opening(
        "Corrections",
        "Errors found in this book, with dates, and what changed in the field's common answers since 2023.",
        "corrections.yml; edit that list, not this page",
    )
    lines += [
        f"What we got wrong, and what the usual answers get wrong. The first list has the {len(errata)} errors that "
        f"were found in earlier versions of this book. [The second](#since-2023) holds {len(changes)} answers that were "
        "common in 2023, each beside what we would defend today.",
        "",
        "## Errata of this book { #errata }",
        "",
    ]
    for date in sorted({str(entry["date"]) for entry in errata}, reverse=True):
        lines += [f"### {date} {{ #errata-{date} }}", ""]
        for entry in sorted(errata, key=lambda e: e["question"]):
            if str(entry["date"]) == date:
                lines.append(f"- {link(entry)}: {entry['was']} **Now:** {entry['now']}")
        lines.append("")
    lines += ["## What changed since 2023 { #since-2023 }", ""]
    for section, title in titles.items():
        some = [e for e in changes if questions[e["question"]]["topic"].startswith(f"{section}/")]
        if not some:
            continue
        lines += [f"### {title} {{ #since-2023-{section} }}", "", "| Question | Often said in 2023 | Today |", "|---|---|---|"]
        for entry in sorted(some, key=lambda e: e["question"]):
            then, now = (re.sub(r"\s*\|\s*", " or ", str(entry[key])) for key in ("then", "now"))
            lines.append(f"| {link(entry)} | {then} | {now} |")
        lines.append("")
    return "\n".join(lines)
