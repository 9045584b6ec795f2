"""The list of all questions, the practice page and one cheat sheet a section."""

import posixpath
import re
from html import escape

from answerbook.model import VERDICTS, Answer, Book, Question
from answerbook.pages.opening import opening
from answerbook.project import slug

ORIGIN = "questions.yml and the topic pages; edit those, not this page"


def rebase(text: str, page: str, folder: str = "") -> str:
    """Relative links of a page as they must be written on a page in another folder."""

    def link(match: re.Match) -> str:
        path, mark, anchor = match[1].partition("#")
        if re.match(r"[a-z]+:", path):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
        return f"]({posixpath.relpath(target, folder or '.')}{mark}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", link, text)


def short_answer(book: Book, number: int) -> str:
    """The short answer for a page in docs/."""
    return rebase(book.answer(number).short, book.questions[number].page)


def key_formulas(question: Question, answer: Answer) -> list[str]:
    """The formulas worth learning: the first display, or those that questions.yml names by number."""
    return [answer.formulas[n - 1] for n in question.formulas if n <= len(answer.formulas)]


def questions_page(book: Book) -> str:
    """docs/questions.md: the questions by section and by technique."""
    titles, sections, ready = book.sections, book.by_section, book.answered
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
            link = f"[Q{n}. {question.title}]({question.page}#q{n})"
            lines.append(f"- {link} <small>{question.difficulty}</small>")
    lines += ["", "<!-- --8<-- [end:by-section] -->", "", "## By technique", ""]
    ready = dict(sorted(ready.items()))
    for tag in sorted({tag for q in ready.values() for tag in q.techniques}, key=str.lower):
        links = ", ".join(f"[Q{n}]({q.page}#q{n})" for n, q in ready.items() if tag in q.techniques)
        lines.append(f'- <span id="tag-{slug(tag)}">{tag}</span>: {links}')
    return "\n".join([*lines, "", "</div>", ""])


def practice_page(book: Book) -> str:
    """docs/practice.md: each question over its folded short answer. assets/practice.js deals them."""
    titles, sections = book.sections, book.by_section
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
                f'data-difficulty="{question.difficulty}" markdown="1">',
                f"<summary>Q{n}. {escape(question.title, quote=False)}</summary>",
                "",
                short_answer(book, n),
                "",
                f"[Q{n} in full, with its evidence]({question.page}#q{n})",
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


def cheat_sheet(book: Book, section: str) -> str:
    """docs/cheat-sheets/<section>.md: one printed A4 page. The fewer questions, the more of each."""
    title, questions = book.sections[section], book.by_section[section]
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
        answer = book.answer(n)

        def here(text: str, page: str = question.page) -> str:
            return rebase(text, page, "cheat-sheets")

        lines += [
            "",
            '<div class="item" markdown="1">',
            "",
            f"## [Q{n}. {question.title}](../{question.page}#q{n}) {{ #q{n} }}",
            "",
            here(answer.short),
        ]
        for tex in key_formulas(question, answer):
            lines += ["", "$$", tex, "$$"]
        if size != "dense":
            for mistake in answer.wrong:
                lines += ["", f"**Wrong:** {here(mistake)}", "{ .mistake }"]
        if size == "roomy":
            judged = [
                (entry.title, verdict) for entry in answer.entries for verdict, _ in book.verdicts(entry)
            ]
            lines += ["", *(f"- {VERDICTS[verdict].mark} {here(claim)}" for claim, verdict in judged)]
        lines += ["", "</div>"]
    lines += ["", "</div>", ""]
    if size == "roomy":
        lines += [
            "Claims that we ran: ✓ holds, ≈ holds under a condition, ✗ does not hold here.",
            "{ .legend }",
            "",
        ]
    return "\n".join(lines)
