"""docs/techniques.md: every snippet by its technique, in the order of the alphabet, for readers who know what they look for."""

from html import escape
from itertools import groupby

from answerbook.model import VERDICTS, Book
from answerbook.pages.glossary import letter_links
from answerbook.pages.ledger import Claim, filter_form
from answerbook.pages.opening import opening

# Snippets have names in lower case. Words that are written otherwise, beside the glossary's abbreviations:
WORDS = (
    "2D BatchNorm CRNN CutMix DP Euclidean F1 FSDP2 Huber IDF1 Kalman MOSSE NT NumPy PR R-CNN RNN SSD Shapley Siamese "
    "SimCLR U-Net V-Net map"
)


def technique(snippet: str, words: dict[str, str]) -> str:
    """What a snippet shows, in words: ``occlusion/kalman_gate`` becomes "Kalman gate"."""
    name = " ".join(words.get(word, word) for word in snippet.split("/")[1].split("_"))
    return name if name.split()[0] in words.values() else name[0].upper() + name[1:]


def techniques_page(book: Book, claims: list[Claim]) -> str:
    """Text of the page; docs/assets/ledger.js filters its rows as it does the ledger's."""
    abbreviations = [term.abbreviation for term in book.terms if term.abbreviation]
    words = {word.lower().replace("-", ""): word for word in [*abbreviations, *WORDS.split()]}
    rows = sorted(
        ((technique(claim.snippet, words), claim) for claim in claims), key=lambda row: row[0].lower()
    )
    letters = [(letter, list(some)) for letter, some in groupby(rows, lambda row: row[0][0].upper())]
    lines = opening(
        "Index of techniques",
        f"The {len(claims)} snippets of this book by technique, from A to Z, each with its question and verdict.",
        "the snippets and the topic pages; do not edit",
    )
    lines += [
        f"All {len(claims)} snippets by what they show, each with its claim, verdict and question. For whole subjects, "
        "see [the questions by technique](questions.md#by-technique); for seeds and replication, "
        "[the ledger](ledger.md).",
        "",
        '<div class="ledger">',
        filter_form(claims, book.sections),
        letter_links(letter for letter, _ in letters),
    ]
    for letter, some in letters:
        lines += [f'<h2 id="{letter.lower()}">{letter}</h2>', "<ul>"]
        for name, claim in some:
            page = claim.page.replace(".md", ".html")
            lines.append(
                f'<li data-section="{claim.section}" data-verdict="{claim.verdict}">'
                f'<a href="{page}#{claim.anchor}">{escape(name)}</a> {escape(claim.claim)} '
                f'<span class="facts"><strong class="{claim.verdict}">{VERDICTS[claim.verdict].mark} {VERDICTS[claim.verdict].name}'
                f'</strong> · <a href="{page}#q{claim.question}">Q{claim.question}</a></span></li>'
            )
        lines.append("</ul>")
    return "\n".join([*lines, "</div>", ""])
