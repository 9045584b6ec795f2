"""The pages that are written from docs/questions.yml and the topic pages.

The list of all questions, the practice page and one cheat sheet a section; with them the pages and
parts of pages of ledger.py, techniques.py, glossary.py, related.py and corrections.py. ``make index``
writes them (``--write``); a stale one fails the build, because tests/check_sources.py compares.
"""

import posixpath
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import yaml
from corrections import corrections_page
from glossary import glossary_files, read_glossary
from ledger import MARKS, ledger_files, read_claims
from opening import opening
from record import ROOT
from related import related_files
from techniques import techniques_page

DIFFICULTIES = ("basic", "medium", "hard")
ORIGIN = "questions.yml and the topic pages; edit those, not this page"


@dataclass(frozen=True)
class Answer:
    """What the generated pages quote from the answer to one question, as Markdown."""

    short: str = ""
    formulas: tuple[str, ...] = ()  # TeX of the displays before the evidence
    wrong: tuple[str, ...] = ()  # common wrong answers
    claims: tuple[tuple[str, str], ...] = field(default=())  # the mark of the verdict, and the claim


def read_questions(root: Path = ROOT) -> tuple[dict[str, str], dict[int, dict]]:
    """The list of questions: section titles by slug, and each question by its number."""
    text = (root / "docs/questions.yml").read_text()
    numbers = Counter(re.findall(r"^  (\d+):", text, re.MULTILINE))
    twice = [number for number, count in numbers.items() if count > 1]
    if twice:  # YAML would keep the last one in silence
        raise SystemExit(f"docs/questions.yml:1: question {twice[0]} is listed twice; delete one")
    data = yaml.safe_load(text)
    return data["sections"], data["questions"]


def answered(questions: dict[int, dict], root: Path = ROOT) -> dict[int, dict]:
    """Those of the questions whose topic page exists."""
    return {n: q for n, q in questions.items() if (root / f"docs/{q['topic']}.md").exists()}


def by_section(root: Path = ROOT) -> dict[str, dict[int, dict]]:
    """The answered questions of each section that has one, in the order of the list."""
    sections, questions = read_questions(root)
    ready = answered(questions, root)
    found = {
        section: {n: q for n, q in ready.items() if q["topic"].startswith(f"{section}/")} for section in sections
    }
    return {section: some for section, some in found.items() if some}


def slug(text: str) -> str:
    """An anchor for a tag: lower case, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def read_answers(questions: dict[int, dict], root: Path) -> dict[int, Answer]:
    """The answers on the topic pages of these questions by number; what a page lacks is left out here and
    named by tests/check_sources.py. Links count from docs/."""
    found = {}
    for topic in sorted({question["topic"] for question in questions.values()}):
        text = (root / f"docs/{topic}.md").read_text()
        for part in re.split(r"^(?=## Q\d)", text, flags=re.MULTILINE)[1:]:
            number = int(re.match(r"## Q(\d+)", part)[1])
            found[number] = _answer(_rebase(part, f"{topic}.md"), number)
    return found


def _answer(text: str, number: int) -> Answer:
    short = re.search(r'^!!! abstract "Short answer"\n\n((?:    .*\n|\n)+)', text, re.MULTILINE)
    claims = re.findall(
        rf"^#### ([^\n]+?) *\{{ #q{number}-\S+ \}}$(?:(?!^##).)*?^!!! ({'|'.join(MARKS)}) ",
        text,
        re.MULTILINE | re.DOTALL,
    )
    return Answer(
        short=re.sub(r"^    ", "", short[1], flags=re.MULTILINE).strip() if short else "",
        formulas=tuple(
            " ".join(tex.split())
            for tex in re.findall(r"^\s*\$\$\n(.*?)\n\s*\$\$", text.partition("\n### Evidence")[0], re.M | re.S)
        ),
        wrong=tuple(title.replace('\\"', '"') for title in re.findall(r'^!!! wrong "(.*)"$', text, re.MULTILINE)),
        claims=tuple((MARKS[verdict], title) for title, verdict in claims),
    )


def _rebase(text: str, page: str, folder: str = "") -> str:
    """Relative links of a page as they must be written on a page in another folder."""

    def link(match: re.Match) -> str:
        path, mark, anchor = match[1].partition("#")
        if re.match(r"[a-z]+:", path):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
        return f"]({posixpath.relpath(target, folder or '.')}{mark}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", link, text)


def key_formulas(question: dict, answer: Answer) -> list[str]:
    """The formulas worth learning: the first display, or those that questions.yml names by number."""
    chosen = question.get("formulas", [1])
    return [answer.formulas[n - 1] for n in chosen if n <= len(answer.formulas)]


def questions_page(titles: dict[str, str], sections: dict[str, dict[int, dict]]) -> str:
    """docs/questions.md: the questions by section and by technique."""
    ready = {n: q for some in sections.values() for n, q in some.items()}
    lines = opening(
        "All questions",
        f"All {len(ready)} questions on convolutional networks that this book answers, by section, by "
        "technique and by difficulty.",
        "questions.yml; edit that list, not this page",
        contents=True,
    )
    sheets = [f"[{titles[section]}](cheat-sheets/{section}.md)" for section in sections]
    lines += [
        f"{len(ready)} questions, by section and [by technique](#by-technique). A question keeps its "
        "number and its address. Difficulty: *basic* is a screening call, *medium* an on-site "
        "interview, *hard* a specialist's.",
        "",
        f"To learn them, [practice](practice.md), or print a cheat sheet: {', '.join(sheets)}.",
        "",
        '<div class="questions" markdown>',
        "<!-- --8<-- [start:by-section] -->",
    ]
    for section, some in sections.items():
        lines += ["", f"## {titles[section]} {{ #{section} }}", ""]
        for n, question in some.items():
            link = f"[Q{n}. {question['title']}]({question['topic']}.md#q{n})"
            lines.append(f"- {link} <small>{question['difficulty']}</small>")
    lines += ["", "<!-- --8<-- [end:by-section] -->", "", "## By technique", ""]
    ready = dict(sorted(ready.items()))
    for tag in sorted({tag for q in ready.values() for tag in q["techniques"]}, key=str.lower):
        links = ", ".join(f"[Q{n}]({q['topic']}.md#q{n})" for n, q in ready.items() if tag in q["techniques"])
        lines.append(f'- <span id="tag-{slug(tag)}">{tag}</span>: {links}')
    return "\n".join([*lines, "", "</div>", ""])


def practice_page(titles: dict[str, str], sections: dict[str, dict[int, dict]], answers: dict[int, Answer]) -> str:
    """docs/practice.md: each question over its folded short answer. assets/practice.js deals them."""
    count = sum(map(len, sections.values()))
    sheets = [f"[{titles[section]}](cheat-sheets/{section}.md)" for section in sections]
    lines = opening(
        "Practice",
        f"{count} interview questions on convolutional networks dealt one by one; what you did not know "
        "comes back sooner.",
        ORIGIN,
    )
    lines += [
        "Say your answer aloud, then look at the short one. A question that you knew comes back after 1, "
        "then 3, 7 and 21 days; one that you did not know yet comes back after three others, until you know it.",
        "",
        '<div class="practice" data-study markdown="1">',
    ]
    for section, some in sections.items():
        lines += ["", f"## {titles[section]} {{ #{section} }}"]
        for n, question in some.items():
            lines += [
                "",
                f'<details class="question" data-number="{n}" data-section="{section}" '
                f'data-difficulty="{question["difficulty"]}" markdown="1">',
                f"<summary>Q{n}. {escape(question['title'], quote=False)}</summary>",
                "",
                answers.get(n, Answer()).short,
                "",
                f"[Q{n} in full, with its evidence]({question['topic']}.md#q{n})",
                "",
                "</details>",
            ]
    lines += [
        "",
        "</div>",
        "",
        "## To take along { #take-along }",
        "",
        f"One printed page a section: {', '.join(sheets)}.",
        "",
        "<!-- deck -->",
        "",
        "What you knew stays in this browser. Nothing is sent anywhere, nobody counts your visits, and the "
        "page also works offline and from a file.",
        "",
    ]
    return "\n".join(lines)


def cheat_sheet(title: str, questions: dict[int, dict], answers: dict[int, Answer]) -> str:
    """docs/cheat-sheets/<section>.md: one printed A4 page. The fewer questions, the more of each."""
    count = len(questions)
    size = "roomy" if count <= 3 else "medium" if count <= 8 else "close" if count <= 11 else "dense"
    lines = opening(
        f"Cheat sheet: {title}",
        f"One page to print with the short answers to the {count} interview questions of the section {title}.",
        ORIGIN,
    )
    lines += [
        "Short answers to take along; where a title leads, symbols are explained and claims are run. To print "
        "one A4 page: Ctrl+P, on a Mac ⌘P. To be asked instead: [practice](../practice.md).",
        "{ .hint }",
        "",
        f'<div class="cheat-sheet {size}" data-study markdown="1">',
    ]
    for n, question in questions.items():
        answer = answers.get(n, Answer())
        lines += [
            "",
            '<div class="item" markdown="1">',
            "",
            f"## [Q{n}. {question['title']}](../{question['topic']}.md#q{n}) {{ #q{n} }}",
            "",
            _rebase(answer.short, "page.md", "cheat-sheets"),
        ]
        for tex in key_formulas(question, answer):
            lines += ["", "$$", tex, "$$"]
        if size != "dense":
            for title in answer.wrong:
                lines += ["", f"**Wrong:** {_rebase(title, 'page.md', 'cheat-sheets')}", "{ .mistake }"]
        if size == "roomy":
            lines += [""] + [f"- {mark} {_rebase(claim, 'page.md', 'cheat-sheets')}" for mark, claim in answer.claims]
        lines += ["", "</div>"]
    lines += ["", "</div>", ""]
    if size == "roomy":
        lines += ["Claims that we ran: ✓ holds, ≈ holds under a condition, ✗ does not hold here.", "{ .legend }", ""]
    return "\n".join(lines)


def generated_pages(root: Path = ROOT) -> dict[str, str]:
    """The text of each generated file by its path from the project's root."""
    titles, questions = read_questions(root)
    ready, claims, sections = answered(questions, root), read_claims(root), by_section(root)
    answers = read_answers(ready, root)
    abbreviations = [entry["abbreviation"] for entry in read_glossary(root) if "abbreviation" in entry]
    pages = {
        "docs/questions.md": questions_page(titles, sections),
        "docs/practice.md": practice_page(titles, sections, answers),
        "docs/corrections.md": corrections_page(titles, ready, root),
        "docs/techniques.md": techniques_page(claims, titles, abbreviations),
    }
    for section, some in sections.items():
        pages[f"docs/cheat-sheets/{section}.md"] = cheat_sheet(titles[section], some, answers)
    return pages | glossary_files(ready, root) | related_files(ready) | ledger_files(claims, titles)


def write(root: Path = ROOT) -> None:
    """Write those pages that changed."""
    for name, text in generated_pages(root).items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: generated_pages.py --write")
    write()
