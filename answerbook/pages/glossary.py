"""The glossary: docs/glossary.yml as a page, and as the texts that explain abbreviations on the topic pages.

From theme/partials/terms.html, theme/main.html gives each topic page the texts that it needs;
docs/assets/glossary.js shows them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from markdown.extensions.toc import slugify

from answerbook.model import Book, Term
from answerbook.pages.opening import opening
from answerbook.project import Problem


def anchor(term: Term) -> str:
    """Anchor of a term on the glossary's page."""
    return slugify(term.term, "-")


def letter_links(letters: Iterable[str]) -> str:
    """Links to the headings of an alphabetical page."""
    links = " ".join(f'<a href="#{letter.lower()}">{letter}</a>' for letter in letters)
    return f'<nav class="letters" aria-label="Letters">{links}</nav>'


def glossary_page(book: Book) -> str:
    """Text of docs/glossary.md, with links to those questions whose topic page exists."""
    questions, entries = book.answered, book.terms
    letters = [(letter, list(some)) for letter, some in groupby(entries, lambda entry: entry.term[0].upper())]
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
            short = f" ({entry.abbreviation})" if entry.abbreviation else ""
            links = ", ".join(f"[Q{n}]({questions[n].page}#q{n})" for n in entry.questions if n in questions)
            name = f'<span id="{anchor(entry)}">**{entry.term}**{short}</span>'
            lines.append(f"- {name}. {entry.definition} {links}".rstrip())
    return "\n".join([*lines, "", "</div>", ""])


def hover_texts(terms: list[Term]) -> dict[str, str]:
    """What each abbreviation stands for, and the first sentence on it."""
    return {
        term.abbreviation: f"{term.term}. {re.match(r'.+?[.](?= [A-Z]|$)', term.definition)[0]}"
        for term in terms
        if term.abbreviation
    }


def terms_template(book: Book) -> str:
    """Text of theme/partials/terms.html."""
    texts = json.dumps(hover_texts(book.terms), ensure_ascii=False, indent=1)
    return f"{{# Written at build time from docs/glossary.yml. #}}\n{{% set terms = {texts} %}}\n"


def faults(book: Book) -> Iterator[Problem]:
    """What is wrong with the terms, and the remedy."""
    names = Counter(name for term in book.terms for name in _names(term))
    for term in book.terms:
        found = [
            f"#{name} stands for two entries; delete one or name it otherwise"
            for name in sorted(_names(term))
            if names[name] > 1
        ]
        for number in term.questions:
            if number not in book.questions:
                found.append(f"there is no question {number} in docs/questions.yml; correct the number")
            elif not _mentioned(term, book.answer(number).text):
                found.append(f"the answer to Q{number} does not mention it; name another one or another term")
        yield from (Problem("docs/glossary.yml", term.line, f"{term.term}: {fault}") for fault in found)


def _names(term: Term) -> set[str]:
    return {anchor(term), term.abbreviation or anchor(term)}


def _mentioned(term: Term, answer: str) -> bool:
    written = term.term.partition(" (")[0]
    abbreviation = rf"\b{re.escape(term.abbreviation)}" if term.abbreviation else "(?!)"
    found = re.search(re.escape(written), answer, re.IGNORECASE) or re.search(abbreviation, answer)
    return not answer.strip() or bool(found)
