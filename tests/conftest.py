"""Shared by the tests: the built site and its book, and the snippets' runs, started before anything else."""

import time
from pathlib import Path

import pytest

from answerbook.project import ROOT
from answerbook.run import labs, runner
from answerbook.site import pipeline
from tests.browsing import address, browser, open_page  # noqa: F401 - fixtures
from tests.progress import BACKGROUND, Progress


def pytest_configure(config):
    config.pluginmanager.register(Progress(config))


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the freshly built pages, which lead to the book; ``book`` adds its files."""
    folder = tmp_path_factory.mktemp("site")
    started = time.perf_counter()
    pipeline.pages(ROOT, folder)
    print(f"pages built in {time.perf_counter() - started:.1f} s")
    return folder


@pytest.fixture(scope="session")
def book(site) -> Path:
    """The same folder with everything that ``make site`` leaves in it."""
    started = time.perf_counter()
    pipeline.deck(ROOT, site)
    pipeline.book(ROOT, site)
    print(f"deck and book built in {time.perf_counter() - started:.1f} s")
    return site


@pytest.fixture(scope="session")
def runs(request) -> dict:
    """A future per Python block: all selected blocks are queued at once, as many run as there are cores."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    blocks = dict.fromkeys(p.params["block"] for p in parameters if p and "block" in p.params)
    return {block: runner.submit(block.code, block.snippet) for block in blocks}


@pytest.fixture(scope="session")
def lab_runs(request) -> dict:
    """A future per selected lab; its script is plain Python and runs alone, as a snippet does."""
    names = [item.callspec.params["lab"] for item in request.session.items if "lab_runs" in item.fixturenames]
    scripts = {lab: (ROOT / f"snippets/labs/{lab}.py").read_text() for lab in names}
    return {lab: runner.submit(text, f"labs/{lab}", labs.CPU_SECONDS) for lab, text in scripts.items()}


@pytest.fixture(scope="session", autouse=True)
def _start_early(request):
    """Labs and snippets run in the background, at a lower priority, while the other tests run."""
    background = {**request.getfixturevalue("lab_runs"), **request.getfixturevalue("runs")}
    request.config.stash[BACKGROUND] = list(background.values())


def pytest_collection_modifyitems(items):
    """Results of the background come last; what needs the book, after what needs only the pages."""
    items.sort(
        key=lambda item: (bool({"runs", "lab_runs"} & set(item.fixturenames)), "book" in item.fixturenames)
    )
