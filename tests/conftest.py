"""Shared by the tests: the built site, and the snippets' runs, started before anything else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import runner
from record import ROOT

sys.path.append(str(ROOT / "theme"))
from trim_search_index import trim  # noqa: E402

os.environ["NO_MKDOCS_2_WARNING"] = "1"
# What `mkdocs build` and the checks read; enough to make a small copy of the project.
SOURCES = ["docs", "snippets", "theme", "mkdocs.yml"]


def build(root: Path, target: Path) -> subprocess.CompletedProcess:
    """Build the project at ``root`` into ``target`` as ``make site`` does, strictly."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
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
    """The folder of the freshly built site."""
    folder = tmp_path_factory.mktemp("site")
    result = build(ROOT, folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="session")
def runs(request) -> dict:
    """A future per Python block: all selected blocks are queued at once, two run at a time."""
    blocks = [item.callspec.params["block"] for item in request.session.items if hasattr(item, "callspec") and "block" in item.callspec.params]
    return {block: runner.submit(block.code, block.snippet) for block in dict.fromkeys(blocks)}


@pytest.fixture(scope="session", autouse=True)
def _start_early(runs):
    """The snippets run in the background while other tests use the waiting time."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name == "test_snippets.py")  # ask for results last
