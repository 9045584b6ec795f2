"""A snippet runs as a reader runs it; one that raises, hangs or warns is named and leaves nothing behind."""

import shutil
import subprocess
import sys
import time

import pytest

from answerbook.audits.elsewhere import Recorded, verdict
from answerbook.project import ROOT
from answerbook.run import runner
from answerbook.run.compare import deviation, difference


def run(source, **limits):
    return runner.run(source, "topic/technique", **limits)


def test_snippet_that_raises():
    result = run('"""t"""\nprint(1)\nraise ValueError("seven")\n')
    assert result.error.startswith("topic/technique: failed with exit code 1")
    assert "line 3" in result.error and "ValueError: seven" in result.error


def test_snippet_that_sleeps_is_killed_with_its_children(tmp_path):
    nap = tmp_path / "nap"  # a name of its own: another run of this test looks for its own
    nap.symlink_to(shutil.which("sleep"))
    source = f"import subprocess, time\nsubprocess.Popen([{str(nap)!r}, '4321'])\ntime.sleep(4321)\n"
    started = time.monotonic()
    result = run(source, wall_limit=4)
    assert "topic/technique: killed, still running after 4 s" in result.error
    assert result.cost == "killed"
    assert time.monotonic() - started < 60
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(nap) not in left


def test_snippet_that_computes_for_ever_is_killed():
    result = run("while True: pass\n", cpu_limit=1)
    assert "topic/technique: killed after 1 CPU seconds" in result.error
    assert result.cost == "1.0 CPU s"


def test_failed_snippet_tells_what_it_cost():
    result = run(
        "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nraise ValueError\n"
    )
    assert "ValueError" in result.error and result.cpu_seconds > 0.2


@pytest.mark.parametrize("category", ["DeprecationWarning", "FutureWarning"])
def test_snippet_that_uses_a_deprecated_interface(category):
    result = run(f"import warnings\nwarnings.warn('old', {category})\n")
    assert f"{category}: old" in result.error


def test_snippet_with_a_fit_that_stopped_before_its_end():
    result = run(
        "from sklearn.datasets import load_digits\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "LogisticRegression(max_iter=3).fit(*load_digits(return_X_y=True))\n"
    )
    assert "ConvergenceWarning: lbfgs failed to converge" in result.error


def test_snippet_runs_as_main_in_an_empty_folder():
    result = run(
        "import multiprocessing, os, sys\n"
        "def f(x):\n    return x + 1\n"
        "if __name__ == '__main__':\n"
        "    print(os.listdir(), [os.path.basename(a) for a in sys.argv])\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(f, [1]))\n"
    )
    assert result.error == ""
    assert result.stdout == "['snippet.py'] ['snippet.py']\n[2]\n"


def test_snippet_that_prints_something_else():
    assert difference("accuracy 0.93\n", "accuracy 0.94\n") == ""
    assert "differ by more than 0.01" in difference("accuracy 0.92\n", "accuracy 0.94\n")
    assert difference("accuracy 0.92\n", "accuracy 0.94\n", tolerance=0.03) == ""
    assert "line 1 is 'kept 3'" in difference("kept 3\n", "kept 4\n")
    assert "the page shows 'holds'" in difference("fails\n", "holds\n")
    assert "prints 2 lines, the page shows 1" in difference("a\nb\n", "a\n")
    assert "differ by more than 1e-07" in difference("1.4e-06", "1.2e-06")
    assert difference("-0.50", "0.50") != ""
    assert difference("gain +0.00", "gain -0.00") == difference("gain -0.01", "gain +0.00") == ""
    assert difference("gain +0.50", "gain -0.50") != ""
    assert difference("version 1.2.3", "version 1.2.4") != ""


def test_snippet_that_prints_or_draws_something_else_on_another_processor():
    was = Recorded("", "accuracy 0.94\n", None, [(1, 13)])
    row = {"stdout": "accuracy 0.93\n", "error": "", "frames": [[1, 13]]}
    assert verdict(row, was) == ""
    assert "differ by more than 0.01" in verdict(row | {"stdout": "accuracy 0.92\n"}, was)
    assert "draws figures" in verdict(row | {"frames": [[2, 13]]}, was)
    assert verdict(row | {"error": "x: failed\nValueError: y\n"}, was) == "fails: ValueError: y"
    assert deviation("a 0.93, b 0.50", "a 0.94, b 0.50") == pytest.approx(1)


def test_importing_the_tools_changes_nothing():
    """No environment variable, no thread, no torch: only a run starts the server, and only it computes otherwise."""
    code = (
        "import os, sys, threading; before = dict(os.environ)\n"
        "from answerbook import __main__, pages\n"
        "from answerbook.run import labs, record, replicate, runner\n"
        "from answerbook.site import check_sources, pipeline, quick_check\n"
        "assert dict(os.environ) == before, set(os.environ) ^ set(before)\n"
        "assert threading.active_count() == 1 and 'torch' not in sys.modules\n"
        "runner.submit('print(1)', 'one').result()\n"
        "assert dict(os.environ) == before and 'torch' not in sys.modules\n"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
