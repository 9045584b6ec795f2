"""A toy study that trains nothing: what an arm gains is written in its grid, noise comes from the pair."""

import shutil

import pytest

from tests.study.toy import Toy


@pytest.fixture(scope="session")
def certified(tmp_path_factory) -> Toy:
    """The toy study with its recorded result and figure; to be copied, not changed."""
    toy = Toy(tmp_path_factory.mktemp("studies"))
    toy.certify()
    return toy


@pytest.fixture
def toy(certified, tmp_path) -> Toy:
    """A copy of the certified toy study, to be spoiled."""
    shutil.copytree(certified.root, tmp_path, dirs_exist_ok=True)
    return Toy(tmp_path)
