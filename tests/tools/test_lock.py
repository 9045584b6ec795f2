"""The lock files belong to the lists, and they pin every package by its hash."""

import re
import shutil

import pytest

from answerbook.audits import lock
from answerbook.project import ROOT

HASHED = re.compile(
    r"^(\S+)==(\S+)(?: ; .+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+(?:    # .*\n)*", re.M
)


@pytest.fixture
def copy(tmp_path):
    (tmp_path / "docs").mkdir()
    for name in [*lock.LISTS, *lock.LISTS["requirements.lock"]]:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_locks_are_of_these_lists(copy):
    assert lock.check(copy) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("requirements.txt", "pytest==", "pytest>=", ["requirements.lock"]),
        ("docs/requirements.txt", "typst==", "#typst==", ["docs/requirements.lock", "requirements.lock"]),
        ("requirements.txt", "# The snippets", "# The scripts", []),
    ],
)
def test_changed_list_is_named_with_the_remedy(copy, file, old, new, stale):
    path = copy / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    found = lock.check(copy)
    assert [line.split(":")[0] for line in found] == stale
    assert all("run `make lock`" in line for line in found)


@pytest.mark.parametrize("name", lock.LISTS)
def test_every_package_has_its_hash_and_torch_is_left_out(name):
    text = (ROOT / name).read_text()
    assert HASHED.sub("", text) == text.partition("\n")[0] + "\n"
    pinned = {f"{package}=={version}" for package, version in HASHED.findall(text)}
    lists = "\n".join((ROOT / file).read_text() for file in lock.LISTS[name])
    listed = {
        line.lower()
        for line in re.findall(r"^\S+==\S+", lists, re.MULTILINE)
        if not line.startswith("torch==")
    }
    assert listed and listed <= pinned
    assert not any(re.match(r"(torch|triton|nvidia|cuda)", package) for package in pinned)
    assert "://" not in text  # no address to install from
