"""From the sources to everything that readers get: the one list of steps.

``make site`` takes them all, the tests those that they need, a preview those of MkDocs
(answerbook/site/hooks.py), which writes pages before its build and finishes them after it.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mkdocs.config import load_config

from answerbook.book import anki_deck, make_book
from answerbook.model import read_book
from answerbook.project import ROOT, Trouble
from answerbook.site import check_site, check_sources


def mkdocs(root: Path, site: Path, book: bool = False, **environment: str) -> subprocess.CompletedProcess:
    """Build the pages of the project at ``root`` into ``site``, strictly.

    ``book``: whether they lead to the files of the book. ``environment`` sets what mkdocs.yml reads of it.
    """
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=root,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "BOOK": str(book).lower()} | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def sources(root: Path, site: Path) -> str:
    """Check the lists, pages, snippets and recordings."""
    if problems := check_sources.check(read_book(root)):
        raise Trouble("\n".join(map(str, problems)))
    return "the sources are in order"


def pages(root: Path, site: Path) -> str:
    """Write the generated pages, build them all, finish them."""
    result = mkdocs(root, site, book=True)
    if result.returncode:
        raise Trouble(result.stderr.strip() or result.stdout.strip())
    return f"pages are in {site}"


def deck(root: Path, site: Path) -> str:
    """Write the deck for Anki."""
    address = load_config(str(root / "mkdocs.yml")).site_url or ""
    count = anki_deck.write_deck(site, read_book(root), address, anki_deck.time_of_change(root))
    return f"deck of {count} notes"


def book(root: Path, site: Path) -> str:
    """Write the PDF, the EPUB, the card and the archives."""
    made = make_book.write_book(site, load_config(str(root / "mkdocs.yml")).nav, read_book(root))
    return f"book of {len(made.pages)} pages of the site"


def result(root: Path, site: Path) -> str:
    """Check what was built."""
    if problems := check_site.check(site):
        raise Trouble("\n".join(problems))
    return "the site is in order"


STEPS: list[Callable[[Path, Path], str]] = [sources, pages, deck, book, result]


def build(root: Path = ROOT, site: Path | None = None, steps: list = STEPS) -> None:
    """Take the steps, and tell of each what it did and how long it took.

    Raises:
        Trouble: a step found mistakes, or another build is under way; the message has a line for each.
    """
    site = site or root / "site"
    with _alone(root):
        for step in steps:
            started = time.perf_counter()
            print(f"{step(root, site)} ({time.perf_counter() - started:.1f} s)", flush=True)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    (root / ".cache").mkdir(exist_ok=True)
    with open(root / ".cache/build.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(
                "site/: another build is writing it; wait until it has ended, then try again"
            ) from None
        yield
