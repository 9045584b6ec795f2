"""A small copy of the project in which a test may break things."""

import re
import shutil
from pathlib import Path

from answerbook import pages
from answerbook.model import read_book
from answerbook.project import ROOT, SOURCES


def copy_project(target: Path) -> Path:
    """A copy with the foundations only, or each of its builds would take as long as the whole site's."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    config = re.sub(r"      - labs/.*\n", "", (target / "mkdocs.yml").read_text())
    for folder in ("docs/labs", "snippets/labs", "docs/parts", "docs/cheat-sheets"):
        shutil.rmtree(target / folder, ignore_errors=True)
    for page in set((target / "docs").glob("*/*.md")) - set((target / "docs").glob("foundations/*.md")):
        page.unlink()
        shutil.rmtree(target / "snippets" / page.stem)
        shutil.rmtree(target / "studies" / page.stem, ignore_errors=True)
    for page in re.findall(r"^      - ([\w-]+/[\w-]+\.md)$", config, re.M):
        if not page.endswith("foundations.md") and not page.startswith("foundations/"):
            config = config.replace(f"      - {page}\n", "")
    config = re.sub(r"^  - .*:\n(?!    )", "", config, flags=re.MULTILINE)  # sections without a page
    home = target / "docs/index.md"
    home.write_text(re.sub(r"\[([^]]+)\]\(labs/[^)]+\)", r"\1", home.read_text()))
    (target / "mkdocs.yml").write_text(config)
    pages.write(read_book(target))
    return target
