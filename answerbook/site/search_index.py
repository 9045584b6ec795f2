"""Trim the built search index and add each question's keywords.

The index travels to every reader who searches, whole. Unabridged it would weigh more than the pages
(fifty answers with their code: about a megabyte compressed). What finds an answer are its headings, the
first sentences below them, its follow-up questions, and the words that readers use for it, which
docs/questions.yml lists; code, outputs and lists of sources only cost weight and rank above the answers
that cite them.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from answerbook.model import Book

LENGTH = 200  # characters kept of each section's text
# How much a word counts by where it stands. The theme's worker searches every field that is named here
# and shows a title and a text only, so the keywords find an answer and nobody sees them.
FIELDS = {"title": {"boost": 10}, "keywords": {"boost": 10}, "text": {"boost": 1}}
BOOSTS = {  # how much a whole section counts, by its location; 1 where nothing fits
    r"#q\d+$": 4,  # a question, or the headings below it would crowd it out
    r"#q\d+-follow-ups$": 20,  # its text is questions, as a title is
    r"#q\d+-(evidence|wrong)$": 0.1,  # the same heading under each question is about nothing
    r"^labs/": 0.5,  # a lab builds what an answer explains
}
LEFT_OUT = re.compile(r"#q\d+-sources$")
LETTER = re.compile(
    r"\b([A-Za-z])-([A-Za-z]\w+)"
)  # U-Net, R-CNN: also searched in one word, as many type them
UNTOLD = re.compile(  # not part of the text: the line below a question, the stamp below an output
    r"^Difficulty: .*? Techniques: .*? Short answer "
    r"|(?:Held on \d+ of \d+|Nothing is drawn at random).*?In the ledger ?"
)


def trim(site: Path, book: Book) -> None:
    """Rewrite ``search/search_index.json`` of the site built from ``book`` and, for pages opened from disk,
    ``search_index.js``."""
    path = site / "search/search_index.json"
    index = json.loads(path.read_text())
    keywords = {one.address: [*one.techniques, *one.keywords] for one in book.questions.values()}
    index["config"]["fields"] = FIELDS
    index["docs"] = [
        doc | {"text": _text(doc)} | _weight(doc, keywords.get(doc["location"], []))
        for doc in list(_without_debris(index["docs"]))  # a page's text comes with its first section
        if not LEFT_OUT.search(doc["location"])
    ]
    text = json.dumps(index, separators=(",", ":"), ensure_ascii=False)
    path.write_text(text)
    path.with_suffix(".js").write_text(f"var __index = {text}")


def _weight(doc: dict, keywords: list[str]) -> dict:
    """What the entry of a section gets besides its title and its text; only questions have keywords."""
    boost = next((boost for place, boost in BOOSTS.items() if re.search(place, doc["location"])), 1)
    words = [*keywords, *map("".join, LETTER.findall(", ".join([doc["title"], *keywords])))]
    return ({"boost": boost} if boost != 1 else {}) | ({"keywords": ", ".join(words)} if words else {})


def _without_debris(docs: list[dict]) -> Iterator[dict]:
    """A notebook's sections without what mkdocs-jupyter adds: its code a second time, as text, and an
    entry of its own for the page's title."""
    page: dict = {}  # the entry of the lab itself, which comes before those of its sections
    for doc in docs:
        if not doc["location"].startswith("labs/"):
            yield doc
        elif "#" in doc["location"]:
            doc["text"] = doc["text"].split("<pre")[0]
            doc["title"] = doc["title"].rstrip("\u00b6 ")
            if doc["title"] == page["title"]:
                page["text"] = doc["text"]
            else:
                yield doc
        else:
            page = doc | {"text": ""}
            yield page


def _text(doc: dict) -> str:
    """Of follow-up questions the questions, without their answers; else the first ``LENGTH`` characters to a
    whole word, without code and formulas."""
    only_questions = doc["location"].endswith("-follow-ups")
    elements = "pre|table|p|ul|ol" if only_questions else "pre|table"
    html = re.sub(rf"<({elements})\b.*?</\1>|\\\[.*?\\\]|\$\$.*?\$\$", " ", doc["text"], flags=re.DOTALL)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()
    text = re.sub(r"\\\((.*?)\\\)|\$([^$]+)\$", _in_words, UNTOLD.sub("", text))
    return text if only_questions or len(text) <= LENGTH else text[:LENGTH].rsplit(" ", 1)[0] + " …"


def _in_words(formula: re.Match) -> str:
    """A formula in running text: as it is if it reads without being set, like ``n`` or ``k = 3``."""
    tex = formula[1] or formula[2]
    return tex if re.fullmatch(r"[a-zA-Z\d\s=<>+,.()-]+", tex) else "…"
