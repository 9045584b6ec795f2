"""Recording: what fails changes no file, whatever is unknown is named, and two runs may go side by side."""

import multiprocessing
import shutil

import nbformat
import pytest

from answerbook.model import read_record, read_snippets
from answerbook.project import ROOT, Trouble
from answerbook.run import labs, record

TOPIC = "backpropagation"
TECHNIQUE = "max_pool_routing"
FIRST = f"{TOPIC}/{TECHNIQUE}"
LAB = """# %% [markdown]
# # Lab 9. Nothing

# %% tags=["result"] alt="A line from left to right." caption="A line."
import matplotlib.pyplot as plt

plt.plot([0, 1])
plt.show()
"""


@pytest.fixture
def project(tmp_path):
    """One topic with its recordings, and room for labs."""
    for folder in (f"snippets/{TOPIC}", f"docs/figures/{TOPIC}"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "snippets/labs").mkdir()
    return tmp_path


def recorded(project):
    return {
        path: path.read_bytes()
        for folder in ("snippets", "docs")
        for path in (project / folder).rglob("*")
        if path.suffix in (".out", ".svg", ".png", ".ipynb")
    }


BROKEN = {
    "raises": ("raise RuntimeError('broken')", "RuntimeError: broken"),
    "prints nothing": ("print = repr", f"snippets/{FIRST}.py:1: prints nothing; print the numbers"),
    "does not parse": ("x = = 1", "SyntaxError"),
    "dies": ("import os; os.abort()", "failed with exit code -6"),
}


@pytest.mark.parametrize("way", BROKEN)
def test_failing_record_changes_no_file(project, capsys, way):
    line, message = BROKEN[way]
    good = project / f"snippets/{TOPIC}/good.py"
    good.write_text('"""Fine."""\nprint("fine")\n')
    path = project / f"snippets/{FIRST}.py"
    path.write_text(f'"""A claim."""\n{line}\n' + path.read_text().partition('"""\n\n')[2])
    before, manifest = recorded(project), read_record(TOPIC, project)
    assert record.record([FIRST, f"{TOPIC}/good"], root=project) == 1
    said = capsys.readouterr()
    assert f"{FIRST} (" in said.out and "FAILED, recorded files left as they were" in said.out
    assert message in said.err
    assert f"{TOPIC}/good" in said.out and "good.out new" in said.out
    assert all(path.read_bytes() == content for path, content in before.items())
    assert read_record(TOPIC, project)[TECHNIQUE] == manifest[TECHNIQUE], (
        "a failed recording must not count as recorded"
    )
    assert record.record([FIRST, f"{TOPIC}/good"], root=project) == 1
    assert "1 of 2 snippets to record" in capsys.readouterr().out, "the good one is recorded already"


def test_only_what_means_something_else_is_recorded_again(project):
    path = project / f"snippets/{FIRST}.py"
    path.write_text(path.read_text().replace('"""', '"""Said otherwise. ', 1) + "\n\n# a comment\n")
    assert read_snippets(project)[FIRST].is_recorded
    path.write_text(path.read_text() + "\nx = 1\n")
    assert not read_snippets(project)[FIRST].is_recorded


@pytest.mark.parametrize("name", ["no/such", "no-such", "labs/no_such"])
def test_record_of_an_unknown_name(project, name):
    with pytest.raises(
        Trouble,
        match=rf"^snippets/(labs/)?{name.removeprefix('labs/')}.py does not exist; the (topics|labs) are ",
    ):
        record.record([name], root=project)


def _add(root, number):
    for step in range(20):
        record.keep(f"{TOPIC}/t{number}_{step}", {"digest": "x"}, root)


def test_two_recordings_side_by_side_lose_nothing(project):
    for number in range(60):
        (project / f"snippets/{TOPIC}/t{number // 20}_{number % 20}.py").write_text("")
    before = read_record(TOPIC, project)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(project, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(read_record(TOPIC, project)) == len(before) + 60


def test_lab_text_is_written_anew_without_running_it(project):
    script = project / "snippets/labs/nothing.py"
    script.write_text(LAB)
    notebook = labs.read_script(LAB, "nothing")
    kept = nbformat.v4.new_output("display_data", {"image/png": "kept"})
    notebook.cells[1].outputs = [kept]
    notebook.cells[0]["attachments"] = {"result.png": {"image/png": "kept"}}
    (project / "docs/labs").mkdir()
    labs.notebook_path("nothing", project).write_text(nbformat.writes(notebook))
    script.write_text(LAB.replace("Nothing", "Something").replace("plt.show()", "plt.show()  # a line"))
    assert not labs.is_recorded("nothing", project) and not labs.code_changed("nothing", project)
    assert record.record(["labs/nothing"], root=project) == 0
    after = nbformat.read(labs.notebook_path("nothing", project), 4)
    assert "Something" in after.cells[0].source and "# a line" in after.cells[1].source
    assert after.cells[1].outputs == [kept] and labs.is_recorded("nothing", project)


FAULTY_LABS = {
    "draws nothing": (("plt.plot([0, 1])\nplt.show()", "x = 1"), "a cell drew 0 figures"),
    "no result": (
        (' tags=["result"]', ""),
        'no cell draws the picture that opens the lab; give it tags=["result"]',
    ),
    "raises": (("plt.show()", "raise ValueError('seven')"), "ValueError"),
    "does not parse": (("plt.show()", "x = = 1"), "snippets/labs/nothing.py:"),
    "writes to stderr": (
        ("plt.show()", "plt.show()\nimport sys\nprint('x', file=sys.stderr)"),
        "wrote to stderr",
    ),
}


@pytest.mark.parametrize("fault", FAULTY_LABS)
def test_a_lab_that_cannot_be_shown_is_refused(project, fault):
    (old, new), message = FAULTY_LABS[fault]
    assert old in LAB
    (project / "snippets/labs/nothing.py").write_text(LAB.replace(old, new))
    with pytest.raises(labs.LabError) as error:
        labs.record("nothing", project)
    assert message in str(error.value) and str(error.value).startswith("snippets/labs/nothing.py")
    assert not (project / "docs/labs").exists()


def test_a_lab_that_takes_too_long_is_refused(project, monkeypatch):
    (project / "snippets/labs/nothing.py").write_text(LAB)
    monkeypatch.setattr(labs, "CPU_SECONDS", 0)
    with pytest.raises(labs.LabError, match="CPU s, more than 0; make it smaller"):
        labs.record("nothing", project)
