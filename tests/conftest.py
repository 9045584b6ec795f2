"""Shared by the tests: the built site, and the snippets' runs, started before anything else."""

import time
from pathlib import Path

import anki_deck
import make_book
import pytest
import runner
from browsing import address, browser, open_page  # noqa: F401 - fixtures
from labs import CPU_SECONDS as LAB_CPU_SECONDS
from project import build
from record import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the freshly built site with its book, as ``make site`` leaves it."""
    folder = tmp_path_factory.mktemp("site")
    started = time.perf_counter()
    result = build(ROOT, folder, BOOK="true")
    assert result.returncode == 0, result.stderr
    pages = time.perf_counter() - started
    assert anki_deck.main(["--site", str(folder)]) == 0
    assert make_book.main(["--site", str(folder)]) == 0
    print(f"pages built in {pages:.1f} s, book in {time.perf_counter() - started - pages:.1f} s")
    return folder


@pytest.fixture(scope="session")
def runs(request) -> dict:
    """A future per Python block: all selected blocks are queued at once, two run at a time."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    blocks = dict.fromkeys(p.params["block"] for p in parameters if p and "block" in p.params)
    return {block: runner.submit(block.code, block.snippet) for block in blocks}


@pytest.fixture(scope="session")
def lab_runs(request) -> dict:
    """A future per selected lab; its script is plain Python and runs alone, as a snippet does."""
    labs = [item.callspec.params["lab"] for item in request.session.items if "lab_runs" in item.fixturenames]
    scripts = {lab: (ROOT / f"snippets/labs/{lab}.py").read_text() for lab in labs}
    return {lab: runner.submit(script, f"labs/{lab}", LAB_CPU_SECONDS) for lab, script in scripts.items()}


@pytest.fixture(scope="session", autouse=True)
def _start_early(request):
    """Labs and snippets run in the background, at a lower priority, while the other tests run."""
    request.getfixturevalue("lab_runs")
    request.getfixturevalue("runs")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: bool({"runs", "lab_runs"} & set(item.fixturenames)))  # their results last
