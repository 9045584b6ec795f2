"""The verbs: each has its line of help, and what is wrong ends in one line that names file and remedy."""

import fcntl
import subprocess
import sys

import pytest

from answerbook.__main__ import VERBS, main
from answerbook.project import ROOT, Trouble
from answerbook.site import pipeline


def test_help_has_a_line_for_each_verb(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    for verb in VERBS:
        assert f"{verb.__name__.replace('_', '-')} {verb.__doc__}" in said


def test_unknown_verb(capsys):
    with pytest.raises(SystemExit):
        main(["rekord"])
    assert "invalid choice: 'rekord'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["record", "replicate", "test"])
def test_unknown_topic(capsys, verb):
    assert main([verb, "ensembels"]) == 1
    said = capsys.readouterr().err
    assert "ensembels" in said and "the topics are adversarial-attacks, " in said
    assert len(said.splitlines()) == 1


def test_a_second_build_does_not_write_into_the_first(tmp_path):
    (tmp_path / ".cache").mkdir()
    with open(tmp_path / ".cache/build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Trouble, match="^site/: another build is writing it; wait until it has ended"):
            pipeline.build(tmp_path, steps=[])
    pipeline.build(tmp_path, steps=[])


def test_missing_tools_are_named_with_what_to_do():
    """Without a browser or Java, and without the right to install them, the tests say what to install."""
    command = "has() { return 1; }; id() { echo 1000; }; " + (
        ROOT / "tests/install_tools.sh"
    ).read_text().replace("has() {", "old() {")
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stderr == (
        "tests: please install chromium fonts-dejavu-core poppler-utils default-jre-headless (those are Debian's "
        "package names), then run this again\n"
    )


def test_code_is_formatted_and_none_is_dead():
    for command in (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["vulture"]):
        found = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr
    listed = subprocess.run(
        ["git", "grep", "-l", "fmt: skip", "--", "*.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert listed.stdout.split() in ([], ["tests/tools/test_commands.py"])
