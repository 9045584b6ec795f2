"""The pages' Python blocks as a reader copies them: expanded by the site's own configuration."""

import io
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import markdown
from mkdocs.config import load_config
from pytest_codeblocks import extract_from_buffer

from answerbook.project import ROOT
from tests.sources import BOOK

TOLERANCE = re.compile(r"<!--\s*tolerance:\s*([0-9.e-]+)\s*-->")


@dataclass(frozen=True)
class Block:
    """One Python block of one page."""

    page: str  # docs/<section>/<topic>.md
    line: int  # in the expanded page
    snippet: str  # <topic>/<technique>
    code: str
    expected: str | None  # the output that the page shows
    tolerance: float | None  # absolute, for decimals; None: one in the last printed digit
    unusual: tuple[str, ...]  # marks by which pytest-codeblocks would not really run it

    def __str__(self) -> str:
        return self.snippet


@cache
def _preprocessor():
    config = load_config(str(ROOT / "mkdocs.yml"))
    name = "pymdownx.snippets"
    # As MkDocs does it: paths in the configuration count from the project's root.
    settings = dict(config["mdx_configs"][name])
    settings["base_path"] = [str(ROOT / path) for path in settings["base_path"]]
    return markdown.Markdown(extensions=[name], extension_configs={name: settings}).preprocessors["snippet"]


def expand(path: Path) -> str:
    """A page's Markdown with its snippets inserted, as the site inserts them."""
    return "\n".join(_preprocessor().run(path.read_text().splitlines())) + "\n"


@cache
def blocks() -> tuple[Block, ...]:
    """Every Python block of every page, in reading order."""
    found = []
    for page in BOOK.pages:
        text = expand(ROOT / page.file)
        lines = text.splitlines()
        extracted = [b for b in extract_from_buffer(io.StringIO(text)) if b.syntax == "python"]
        names = [name for name, _ in page.snippets]
        for number, block in enumerate(extracted):
            end = extracted[number + 1].lineno if number + 1 < len(extracted) else len(lines)
            tolerance = TOLERANCE.search("\n".join(lines[block.lineno : end]))
            unusual = [*block.marks, *filter(None, [block.importorskip])]
            if block.expected_output_ignore_whitespace:
                unusual.append("expected-output-ignore-whitespace")
            found.append(
                Block(
                    page=page.file,
                    line=block.lineno,
                    snippet=names[number] if number < len(names) else f"block {number + 1}",
                    code=block.code,
                    expected=block.expected_output,
                    tolerance=float(tolerance[1]) if tolerance else None,
                    unusual=tuple(unusual),
                )
            )
    return tuple(found)
