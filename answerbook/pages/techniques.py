"""docs/techniques.md: every snippet by its technique, in the order of the alphabet, for readers who know what they look for."""

from html import escape
from itertools import groupby

from answerbook.model import VERDICTS, Book
from answerbook.pages.glossary import letter_links
from answerbook.pages.ledger import Claim, filter_form
from answerbook.pages.opening import opening
from answerbook.pages.parts import listing_anchor

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
    judged = {claim.snippet: claim for claim in claims if claim.snippet}
    rows = [
        (technique(name, words), answer, book.snippets[name], judged.get(name))
        for page in book.pages
        for answer in page.answers
        for entry in answer.entries
        for name, _ in entry.snippets
        if name in book.snippets and answer.number in book.questions
    ]
    rows.sort(key=lambda row: row[0].lower())
    letters = [(letter, list(some)) for letter, some in groupby(rows, lambda row: row[0][0].upper())]
    lines = opening(
        "Index of techniques",
        f"The {len(rows)} snippets of this book by technique, from A to Z, each with its question and verdict.",
        "the snippets and the topic pages; do not edit",
    )
    lines += [
        f"All {len(rows)} snippets by what they show, each with its claim and question, and with a verdict where it "
        "carries one. For whole subjects, see [the questions by technique](questions.md#by-technique); for studies, "
        "seeds and replication, [the ledger](ledger.md).",
        "",
        '<div class="ledger">',
        filter_form(claims, book.sections, len(rows), "snippets"),
        letter_links(letter for letter, _ in letters),
    ]
    for letter, some in letters:
        lines += [f'<h2 id="{letter.lower()}">{letter}</h2>', "<ul>"]
        for name, answer, snippet, claim in some:
            question = book.questions[answer.number]
            verdict = ""
            if claim:
                shown = VERDICTS[claim.verdict]
                verdict = f'<strong class="{claim.verdict}">{shown.mark} {shown.name}</strong> · '
            lines.append(
                f'<li data-section="{question.section}" data-verdict="{claim.verdict if claim else ""}">'
                f'<a href="{question.topic}.html#{listing_anchor(snippet)}">{escape(name)}</a> '
                f'{escape(snippet.summary)} <span class="facts">{verdict}'
                f'<a href="{question.address}">Q{answer.number}</a></span></li>'
            )
        lines.append("</ul>")
    return "\n".join([*lines, "</div>", ""])
