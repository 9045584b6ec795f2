"""Shared by the tests: the built site, and the snippets' runs, started before anything else."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import make_book
import pytest
import runner
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
    return result


def copy_project(target: Path) -> Path:
    """A copy of the sources and checks in which a test may break things."""
    for name in [*SOURCES, "tests"]:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the freshly built site with its book, as ``make site`` leaves it."""
    folder = tmp_path_factory.mktemp("site")
    started = time.perf_counter()
    result = build(ROOT, folder, BOOK="true")
    assert result.returncode == 0, result.stderr
    pages = time.perf_counter() - started
    assert make_book.main(["--site", str(folder)]) == 0
    print(f"pages built in {pages:.1f} s, book in {time.perf_counter() - started - pages:.1f} s")
    return folder


@pytest.fixture(scope="session")
def runs(request) -> dict:
    """A future per Python block: all selected blocks are queued at once, two run at a time."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    blocks = dict.fromkeys(p.params["block"] for p in parameters if p and "block" in p.params)
    return {block: runner.submit(block.code, block.snippet) for block in blocks}


@pytest.fixture(scope="session", autouse=True)
def _start_early(runs):
    """The snippets run in the background while other tests use the waiting time."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name == "test_snippets.py")  # ask for results last
