"""The glossary: docs/glossary.yml as a page, and as the texts that explain abbreviations on the topic pages.

``make index`` writes docs/glossary.md and theme/partials/terms.html, from which theme/main.html gives each topic
page the texts that it needs; docs/assets/glossary.js shows them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import yaml
from markdown.extensions.toc import slugify
from opening import opening
from record import ROOT


def read_glossary(root: Path = ROOT) -> list[dict]:
    """The terms by the alphabet, each with term, questions, definition, perhaps abbreviation, and its line."""
    text = (root / "docs/glossary.yml").read_text()
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("- ")]
    entries = [entry | {"line": line} for entry, line in zip(yaml.safe_load(text), lines)]
    for entry in entries:
        if missing := {"term", "questions", "definition"} - {key for key, value in entry.items() if value}:
            raise SystemExit(f"docs/glossary.yml:{entry['line']}: this entry has no {min(missing)}; write it")
        if not entry["definition"].endswith("."):
            raise SystemExit(f"docs/glossary.yml:{entry['line']}: the definition does not end in a period; add it")
    return sorted(entries, key=lambda entry: entry["term"].casefold())


def anchor(entry: dict) -> str:
    """Anchor of a term on the glossary's page."""
    return slugify(entry["term"], "-")


def letter_links(letters: Iterable[str]) -> str:
    """Links to the headings of an alphabetical page."""
    links = " ".join(f'<a href="#{letter.lower()}">{letter}</a>' for letter in letters)
    return f'<nav class="letters" aria-label="Letters">{links}</nav>'


def glossary_page(entries: list[dict], questions: dict[int, dict]) -> str:
    """Text of docs/glossary.md, with links to those questions whose topic page exists."""
    letters = [(letter, list(some)) for letter, some in groupby(entries, lambda entry: entry["term"][0].upper())]
    lines = opening(
        "Glossary",
        f"{len(entries)} terms and abbreviations of convolutional networks for computer vision, each in a sentence or "
        "two.",
        "glossary.yml; edit that list, not this page",
    )
    lines += [
        f'{len(entries)} terms, each with the question that explains it. <span class="online">On the topic pages, '
        "abbreviations with a dotted underline say what they mean when you point at them, tap them or reach them with "
        "the Tab key.</span>",
        "",
        letter_links(letter for letter, _ in letters),
        "",
        '<div class="glossary" markdown>',
    ]
    for letter, some in letters:
        lines += ["", f"## {letter} {{ #{letter.lower()} }}", ""]
        for entry in some:
            short = f" ({entry['abbreviation']})" if "abbreviation" in entry else ""
            links = ", ".join(f"[Q{n}]({questions[n]['topic']}.md#q{n})" for n in entry["questions"] if n in questions)
            name = f'<span id="{anchor(entry)}">**{entry["term"]}**{short}</span>'
            lines.append(f"- {name}. {entry['definition']} {links}".rstrip())
    return "\n".join([*lines, "", "</div>", ""])


def hover_texts(entries: list[dict]) -> dict[str, str]:
    """What each abbreviation stands for, and the first sentence on it."""
    return {
        entry["abbreviation"]: f"{entry['term']}. {re.match(r'.+?[.](?= [A-Z]|$)', entry['definition'])[0]}"
        for entry in entries
        if "abbreviation" in entry
    }


def glossary_files(questions: dict[int, dict], root: Path = ROOT) -> dict[str, str]:
    """The page and the template, by path from the project's root."""
    entries = read_glossary(root)
    texts = json.dumps(hover_texts(entries), ensure_ascii=False, indent=1)
    note = "{# Written by `make index` from docs/glossary.yml; edit that list, not this file. #}"
    return {
        "docs/glossary.md": glossary_page(entries, questions),
        "theme/partials/terms.html": f"{note}\n{{% set terms = {texts} %}}\n",
    }


def faults(questions: dict[int, dict], root: Path = ROOT) -> Iterator[tuple[int, str]]:
    """Line in docs/glossary.yml, and what is wrong there with its remedy."""
    entries = read_glossary(root)
    names = Counter(name for entry in entries for name in _names(entry))
    answers = {number: _answer(number, question["topic"], root) for number, question in questions.items()}
    for entry in entries:
        term, line = entry["term"], entry["line"]
        for name in sorted(_names(entry)):
            if names[name] > 1:
                yield line, f"{term}: #{name} stands for two entries; delete one or name it otherwise"
        for number in entry["questions"]:
            if number not in questions:
                yield line, f"{term}: there is no question {number} in docs/questions.yml; correct the number"
            elif not _mentioned(entry, answers[number]):
                yield line, f"{term}: the answer to Q{number} does not mention it; name another one or another term"


def _names(entry: dict) -> set[str]:
    return {anchor(entry), entry.get("abbreviation", anchor(entry))}


def _answer(number: int, topic: str, root: Path) -> str:
    page = root / f"docs/{topic}.md"
    found = re.search(rf"^## Q{number}\..*?(?=^## Q|\Z)", page.read_text(), re.M | re.S) if page.exists() else None
    return found[0] if found else ""


def _mentioned(entry: dict, answer: str) -> bool:
    written = entry["term"].partition(" (")[0]
    abbreviation = rf"\b{re.escape(entry['abbreviation'])}" if "abbreviation" in entry else "(?!)"
    return not answer or bool(re.search(re.escape(written), answer, re.IGNORECASE) or re.search(abbreviation, answer))
