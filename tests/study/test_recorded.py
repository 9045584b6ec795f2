"""The recorded results: of the present code, in order, and one pair of them comes again."""

import re
import subprocess
from contextlib import contextmanager

import pytest

from answerbook.project import ROOT
from answerbook.study import StudyError, protocol, results

NAMES = results.study_names(ROOT)


def test_results_and_figures_are_in_order():
    found = results.check(ROOT)
    assert not found, "\n".join(map(str, found))


@contextmanager
def or_without_its_photographs():
    """Photographs of a Debian package are not everywhere: then the study says so, with the remedy, and its
    recorded result stands."""
    try:
        yield
    except StudyError as error:
        assert re.search(r"the photographs are missing: apt-get install [\w-]+", str(error)), error
        print(error)


@pytest.mark.parametrize("name", NAMES)
def test_every_study_runs(name):
    """Each arm with a few steps; what it finds does not matter."""
    with or_without_its_photographs():
        results.quick(ROOT, name, lambda what, jobs: [protocol.run_job(job) for job in jobs])


def test_a_recorded_pair_comes_again():
    """The commit's hash picks the study and the pair."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    number = int(commit or "0", 16)  # an archive has no commit
    with or_without_its_photographs():
        found = results.repeat_pair(ROOT, NAMES[number % len(NAMES)], number // len(NAMES))
        assert not found, "\n".join(map(str, found))
