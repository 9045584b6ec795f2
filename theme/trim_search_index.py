"""Trim the built search index: a part of ``make site``.

The index travels to every reader who searches, whole. Unabridged it would weigh more than the pages
(fifty answers with their code: about a megabyte compressed). What finds an answer are its headings
and the first sentences below them; code, outputs and lists of sources only cost weight and rank
above the answers that cite them.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

LENGTH = 300  # characters kept of each section's text
QUESTION = re.compile(r"#q\d+$")
BOOST = 4  # a question's title counts more than the headings below it, or theirs would crowd it out


def trim(site: Path) -> None:
    """Rewrite ``search/search_index.json`` and, for pages opened from disk, ``search_index.js``."""
    path = site / "search/search_index.json"
    index = json.loads(path.read_text())
    index["docs"] = [
        doc | {"text": _beginning(doc["text"])} | ({"boost": BOOST} if QUESTION.search(doc["location"]) else {})
        for doc in list(_without_debris(index["docs"]))  # a page's text comes with its first section
        if not doc["location"].endswith("-sources")
    ]
    text = json.dumps(index, separators=(",", ":"), ensure_ascii=False)
    path.write_text(text)
    path.with_suffix(".js").write_text(f"var __index = {text}")


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


def _beginning(html: str) -> str:
    """The first ``LENGTH`` characters of a section's text, to a whole word, without code."""
    text = re.sub(r"<pre.*?</pre>|<table.*?</table>", " ", html, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).strip()
    return text if len(text) <= LENGTH else text[:LENGTH].rsplit(" ", 1)[0] + " …"


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
