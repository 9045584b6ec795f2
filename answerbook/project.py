"""Where the project is, what it is called, and how its files are written."""

import fcntl
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "cnn-answer-book"
TITLE = "The CNN Answer Book"
SOURCES = ["answerbook", "docs", "snippets", "studies", "theme", "mkdocs.yml"]  # all that a build reads


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is and what to do about it."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class Trouble(Exception):
    """A command cannot go on; the message is one line that names the file and the remedy."""


def slug(text: str) -> str:
    """An anchor for a text: lower case, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def replace(path: Path, content: bytes) -> str:
    """Write a file unless it holds ``content`` already, never half of it; what changed, in words."""
    old = path.read_bytes() if path.exists() else None
    if old == content:
        return ""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
    return f"{path.name} {'new' if old is None else 'changed'}"


@contextmanager
def locked(root: Path = ROOT) -> Iterator[None]:
    """Hold the project's one lock while a file that several runs write is read and replaced."""
    with open(root / "snippets/.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_zip(target: Path, files: dict[str, bytes]) -> None:
    """An archive whose bytes follow from its files: sorted and undated."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
