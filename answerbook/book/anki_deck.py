"""Write cnn-answer-book.apkg beside the pages of the built site: a deck for Anki, a note a question.

A learner who imports a newer deck keeps the schedule of each card: the ids of the decks and of the
note type never change, and a note is known by the number of its question. The same commit gives the
same bytes.
"""

import os
import re
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import urljoin

import genanki
from lxml import html

from answerbook.model import VERDICTS, Book, Question
from answerbook.project import NAME, TITLE, Trouble, write_zip

# Anki knows note types and decks by these numbers. Chosen once; never change them.
NOTE_TYPE = 1_764_019_301
FIRST_DECK = 1_764_019_400  # the section's place in questions.yml is added
EPOCH = 1_767_225_600  # where neither SOURCE_DATE_EPOCH nor a commit tells the time of change
FRONT = """<div class="section">{{Section}} · {{Difficulty}}</div>
<div class="question">{{Question}}</div>"""
BACK = """{{FrontSide}}
<hr id="answer">
<div class="answer">{{Answer}}</div>
{{#Formula}}<div class="formula">{{Formula}}</div>{{/Formula}}
{{#Figure}}<div class="figure">{{Figure}}</div>{{/Figure}}
{{#Findings}}<div class="findings">What we found when we ran it: {{Findings}}</div>{{/Findings}}
<div class="link">{{Link}}</div>"""
CSS = """.card { max-width: 44rem; margin: 0 auto; padding: 0 0.5rem; font: 1.1rem/1.5 sans-serif; text-align: left; }
.section, .link, .findings, .caption { font-size: 0.85rem; }
.section { opacity: 0.8; }
.question { font-size: 1.3rem; font-weight: 700; }
.formula, .figure, .findings, .link { margin-top: 1rem; }
.figure img { max-width: 100%; background: #fff; }
.findings ul { margin: 0.3rem 0 0; padding-left: 0; list-style: none; }
.findings li { padding-left: 1.4em; text-indent: -1.4em; }
code { font-size: 0.9em; }
"""


@dataclass
class Card:
    """What a note holds, as HTML."""

    answer: str = ""
    formula: str = ""
    figure: str = ""
    findings: str = ""
    page_title: str = ""
    media: list[Path] = field(default_factory=list)


class Note(genanki.Note):
    """A note that Anki knows by the number of its question, whatever else changes."""

    def __init__(self, number: int, **options):
        super().__init__(guid=genanki.guid_for(NAME, number), **options)


def time_of_change(root: Path) -> int:
    """Anki replaces a note on import only if the deck's is newer, so this must grow with each change."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    command = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:  # no git on this machine
        return EPOCH
    return int(result.stdout) if result.returncode == 0 and result.stdout.strip() else EPOCH


def write_deck(site: Path, book: Book, site_url: str, changed: int) -> int:
    """Write the deck from the built pages; returns the number of its notes.

    Args:
        site: the folder of the pages built from ``book``.
        book: the questions, their claims and verdicts.
        site_url: where the site is hosted; empty if nowhere.
        changed: when it changed, in seconds since 1970.

    Raises:
        Trouble: a page lacks what a card shows.
    """
    note_type = genanki.Model(
        NOTE_TYPE,
        TITLE,
        fields=[
            {"name": name}
            for name in (
                "Question",
                "Section",
                "Difficulty",
                "Answer",
                "Formula",
                "Figure",
                "Findings",
                "Link",
            )
        ],
        templates=[{"name": "Question to answer", "qfmt": FRONT, "afmt": BACK}],
        css=CSS,
    )
    decks, media, pages = [], set(), {}
    for place, (section, title) in enumerate(book.sections.items()):
        deck = genanki.Deck(FIRST_DECK + place, f"{TITLE}::{place + 1} {title}")
        for number, question in book.answered.items():
            page = f"{question.topic}.html"
            if question.section != section:
                continue
            if page not in pages:
                pages[page] = html.fromstring((site / page).read_bytes().decode()).cssselect("article")[0]
            card = read_card(pages[page], page, question, book, site)
            media.update(card.media)
            where = f"{card.page_title}, Q{number}"
            link = f'<a href="{escape(urljoin(site_url, page))}#q{number}">{where}</a>' if site_url else where
            tags = [section, question.difficulty, *question.techniques]
            deck.add_note(
                Note(
                    number,
                    model=note_type,
                    fields=[
                        f"Q{number}. {escape(question.title, quote=False)}",
                        escape(title),
                        question.difficulty,
                        card.answer,
                        card.formula,
                        card.figure,
                        card.findings,
                        f"The full answer, with code: {link}",
                    ],
                    tags=[tag.replace(" ", "-") for tag in tags],
                )
            )
        if deck.notes:
            decks.append(deck)
    _write(site / f"{NAME}.apkg", decks, sorted(media), changed)
    return sum(len(deck.notes) for deck in decks)


def _write(target: Path, decks: list, media: list[Path], changed: int) -> None:
    """Anki's format is a zip; written again sorted and undated, so that the bytes agree."""
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for path in media:
            copies.append(Path(folder) / _media_name(path))
            copies[-1].write_bytes(path.read_bytes())
        first = Path(folder) / "deck.apkg"
        genanki.Package(decks, [str(path) for path in copies]).write_to_file(first, timestamp=changed)
        with zipfile.ZipFile(first) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    write_zip(target, files)


def _media_name(path: Path) -> str:
    """Anki keeps the pictures of all decks in one folder."""
    return f"{NAME}-{path.parent.name}-{path.name}"


def read_card(article: html.HtmlElement, page: str, question: Question, book: Book, site: Path) -> Card:
    """The parts of one answer that a card shows."""
    number = question.number
    parts = _section(article, number)
    answer = next(
        (
            node
            for part in parts
            for node in part.xpath("descendant-or-self::div[contains(@class, 'abstract')]")
        ),
        None,
    )
    if answer is None:
        raise Trouble(f"{page}: Q{number} has no short answer")
    evidence = next(
        (i for i, part in enumerate(parts) if part.get("id") == f"q{number}-evidence"), len(parts)
    )
    displays = [
        node
        for part in parts[:evidence]
        for node in [part, *part.iterdescendants("div")]
        if _is(node, "arithmatex")
    ]
    card = Card(
        answer="".join(_clean(node, page) for node in answer if not _is(node, "admonition-title")),
        formula=_formulas([displays[n - 1] for n in question.formulas if n <= len(displays)]),
        findings=_findings(article, book, number),
        page_title=escape(next(article.iter("h1")).text.strip()),
    )
    # The picture of an explorable would be a still: prefer what an experiment drew.
    figures = [node for part in parts for node in part.xpath("descendant-or-self::figure")]
    live = [node for node in figures if any(_is(above, "explorable") for above in node.iterancestors())]
    figure = next((node for node in figures if node not in live), None)
    if figure is not None:
        image, caption = next(figure.iter("img")), next(figure.iter("figcaption"))
        path = site / urljoin(page, image.get("src"))
        if not path.exists():
            raise Trouble(f"{page}: image {image.get('src')} of Q{number} is missing")
        card.media.append(path)
        alt = escape(image.get("alt"), quote=False).replace('"', "&quot;")
        card.figure = (
            f'<img src="{escape(_media_name(path))}" alt="{alt}">'
            f'<div class="caption">{"".join(_clean(node, page) for node in caption)}</div>'
        )
    return card


def _section(article: html.HtmlElement, number: int) -> list[html.HtmlElement]:
    """The elements from a question's heading to the next."""
    heading = article.get_element_by_id(f"q{number}")
    parts = []
    for node in heading.itersiblings():
        if node.tag == "h2":
            break
        if isinstance(node.tag, str):  # no comment
            parts.append(node)
    return parts


def _is(node: html.HtmlElement, name: str) -> bool:
    return name in (node.get("class") or "").split()


def _clean(node: html.HtmlElement, page: str) -> str:
    r"""HTML without what only the site needs. Formulas already stand between Anki's own \( and \)."""
    copy = html.fromstring(html.tostring(node, encoding="unicode", with_tail=False))
    for formula in copy.xpath("descendant-or-self::*[contains(concat(' ', @class, ' '), ' arithmatex ')]"):
        formula.drop_tag() if formula is not copy else formula.attrib.clear()
    for link in copy.xpath("descendant-or-self::a"):
        link.drop_tag()  # its address is relative to the page
    for child in copy.iter():
        for name in child.attrib:
            del child.attrib[name]
    return html.tostring(copy, encoding="unicode")


def _formulas(displays: list[html.HtmlElement]) -> str:
    """Each display with the sentence that leads to it and the one that explains its symbols."""
    lines = []
    for node in displays:
        before, after = node.getprevious(), node.getnext()
        if before is not None and before.tag in ("p", "ul", "ol"):
            text = before if before.tag == "p" else before[-1]
            lines.append(_sentences(text.text_content(), last=True))
        lines.append(" ".join(node.text_content().split()))
        if after is not None and after.tag == "p":
            first = _sentences(after.text_content())
            if first[0].islower() or r"\(" in first:
                lines.append(first)
    # Between two displays stands one sentence, not the same one twice.
    return "".join(f"<div>{escape(line, quote=False)}</div>" for line in dict.fromkeys(lines))


def _sentences(text: str, last: bool = False) -> str:
    """The first sentence of a text or the last; two, where one would be a word like "Then"."""
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z\\])", " ".join(text.split()))
    if not last:
        return sentences[0]
    return " ".join(sentences[-1:] if len(sentences[-1]) > 15 else sentences[-2:])


def _findings(article: html.HtmlElement, book: Book, number: int) -> str:
    """The claims that were run, each with the mark of its verdict and, where there is one, its condition."""
    lines = []
    for entry in book.answer(number).entries:
        for verdict, text in book.verdicts(entry):
            heading = article.get_element_by_id(entry.anchor)
            claim = "".join(heading.xpath("text()|*[not(contains(@class, 'headerlink'))]//text()")).strip()
            more = "" if verdict == "holds" else f" ({text[0].lower()}{text[1:]})"
            lines.append(f"<li>{VERDICTS[verdict].mark} {escape(claim + more, quote=False)}</li>")
    return f"<ul>{''.join(lines)}</ul>" if lines else ""
