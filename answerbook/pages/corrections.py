"""What was wrong, here and elsewhere: docs/corrections.md, written from docs/corrections.yml.

``errata`` lists what readers of an earlier version of this book were told wrongly. ``since_2023``
holds what interview lists of that time say beside what is defended today.
"""

import re

from answerbook.model import Book
from answerbook.pages.opening import opening


def corrections_page(book: Book) -> str:
    """Text of docs/corrections.md for those questions whose topic page exists."""
    questions = book.answered
    errata = [entry for entry in book.corrections["errata"] if entry["question"] in questions]
    changes = [entry for entry in book.corrections["since_2023"] if entry["question"] in questions]

    def link(entry: dict) -> str:
        number = entry["question"]
        return f"[Q{number}]({questions[number].topic}.md#{entry.get('anchor', f'q{number}')})"

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
    for section, title in book.sections.items():
        some = [e for e in changes if questions[e["question"]].section == section]
        if not some:
            continue
        lines += [
            f"### {title} {{ #since-2023-{section} }}",
            "",
            "| Question | Often said in 2023 | Today |",
            "|---|---|---|",
        ]
        for entry in sorted(some, key=lambda e: e["question"]):
            then, now = (re.sub(r"\s*\|\s*", " or ", str(entry[key])) for key in ("then", "now"))
            lines.append(f"| {link(entry)} | {then} | {now} |")
        lines.append("")
    return "\n".join(lines)
