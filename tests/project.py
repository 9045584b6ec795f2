"""Build the project, or a copy of it in which a test may break things."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import generated_pages
from finish_pages import finish
from record import ROOT
from trim_search_index import trim

os.environ["NO_MKDOCS_2_WARNING"] = "1"
# What `mkdocs build` and the checks read; enough to make a small copy of the project.
SOURCES = ["docs", "snippets", "theme", "book", "mkdocs.yml"]


def build(root: Path, target: Path, **environment: str) -> subprocess.CompletedProcess:
    """Build the pages of the project at ``root`` into ``target``, strictly."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = os.environ | environment
    result = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )
    if result.returncode == 0:
        trim(target)
        finish(target)
    return result


def copy_project(target: Path) -> Path:
    """A copy of the sources and checks in which a test may break things: the foundations only, or
    each of its builds would take as long as the whole site's."""
    for name in [*SOURCES, "tests"]:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    config = re.sub(r"      - labs/.*\n", "", (target / "mkdocs.yml").read_text())
    for folder in ("docs/labs", "snippets/labs"):
        shutil.rmtree(target / folder, ignore_errors=True)
    kept = {*(target / "docs").glob("foundations/*.md"), target / "docs/cheat-sheets/foundations.md"}
    for page in set((target / "docs").glob("*/*.md")) - kept:
        page.unlink()
        shutil.rmtree(target / "snippets" / page.stem, ignore_errors=True)  # a cheat sheet has none
        config = config.replace(f"      - {page.relative_to(target / 'docs')}\n", "")
    config = re.sub(r"^  - .*:\n(?!    )", "", config, flags=re.MULTILINE)  # sections without a page
    home = target / "docs/index.md"
    home.write_text(re.sub(r"\[([^]]+)\]\(labs/[^)]+\)", r"\1", home.read_text()))
    (target / "mkdocs.yml").write_text(config)
    generated_pages.write(target)
    return target
