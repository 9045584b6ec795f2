"""Bad input gets a clear error: the file, the line and the remedy. Each case breaks a small copy."""

import os
import shutil
import subprocess
import sys
import time

import check_site
import check_sources
import pytest
import runner
from compare import deviation, difference
from elsewhere import Recorded, verdict
from project import build, copy_project

PAGE = "docs/foundations/backpropagation.md"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def project(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "project")


def edit(project, file, old, new):
    path = project / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def messages(project):
    return "\n".join(map(str, check_sources.check(project)))


def first_snippet(project):
    """Name of the first snippet on PAGE."""
    text = (project / PAGE).read_text()
    return text.split('--8<-- "')[1].split('.py"')[0]


def test_the_copy_is_without_fault(project):
    assert messages(project) == ""


def test_misspelt_snippet(project):
    name = first_snippet(project)
    edit(project, PAGE, f'"{name}.py"', f'"{name}x.py"')
    assert f"snippets/{name}x.py does not exist; check the spelling" in messages(project)
    assert f"snippets/{name}.py:1: is on 0 pages; show it on exactly one" in messages(project)


def test_missing_output_is_named_by_the_strict_build_too(project, tmp_path):
    name = first_snippet(project)
    (project / f"snippets/{name}.out").unlink()
    assert f"snippets/{name}.py was never recorded; run `make record`" in messages(project)
    result = build(project, tmp_path / "site")
    assert result.returncode != 0
    assert f"{name}.out" in result.stderr


def test_stale_output(project):
    name = first_snippet(project)
    with open(project / f"snippets/{name}.py", "a") as file:
        file.write("# a change\n")
    found = messages(project)
    assert f"snippets/{name}.py changed after its output was recorded; run `make record`" in found
    assert f"{PAGE}:" in found


def test_missing_related_questions(project):
    line = '--8<-- "backpropagation/related.md:q2"'
    edit(project, PAGE, line, "")
    assert f"Q2: end the answer, under its sources, with the line {line}" in messages(project)


def test_unknown_question(project):
    edit(project, PAGE, "## Q2. ", "## Q73. ")
    assert "there is no question 73 in docs/questions.yml" in messages(project)


def test_duplicate_question_on_a_page(project):
    heading = next(line for line in (project / PAGE).read_text().splitlines() if line.startswith("## Q2."))
    with open(project / PAGE, "a") as file:
        file.write(f"\n{heading}\n")
    assert f"question 2 is already on {PAGE}:" in messages(project)


def test_duplicate_question_in_the_list(project):
    path = project / "docs/questions.yml"
    path.write_text(path.read_text() + '  2: {title: "Again", topic: a/b, difficulty: basic, techniques: [], task: any}\n')
    with pytest.raises(SystemExit, match="question 2 is listed twice; delete one"):
        check_sources.check(project)


def test_keywords_that_are_no_words(project):
    path = project / "docs/questions.yml"
    path.write_text(path.read_text().replace("keywords: [", "keywords: [50, ", 1))
    assert "question 1 has keywords that are no list of texts; write [NMS, mAP]" in messages(project)
    path.write_text(path.read_text().replace("keywords: [50, ", "keywords: [Kernel, ", 1))
    assert "question 1 has the keyword kernel twice; delete one" in messages(project)


def test_missing_question(project):
    edit(project, PAGE, "## Q2. ", "## Question 2. ")
    assert "question 2 (How does backpropagation train a vision network?) is missing" in messages(project)


def test_page_without_description(project):
    edit(project, PAGE, "description:", "summary:")
    assert f"{PAGE}:1: description has 0 characters; give it 50 to 160" in messages(project)


def test_unlabeled_figure(project):
    path = project / PAGE
    with open(path, "a") as file:
        file.write("\n![A plot](../figures/nowhere.svg)\n")
    found = messages(project)
    assert "no figure ../figures/nowhere.svg; run `make record` or mend the path" in found
    assert "alternative text of 6 characters; say what ../figures/nowhere.svg shows" in found
    assert "../figures/nowhere.svg has no caption" in found


@pytest.mark.parametrize("fence", ['```python title="x"', "```py", "~~~python", "``` {.python}", "```"])
def test_fence_that_the_extractor_would_miss(project, fence):
    with open(project / PAGE, "a") as file:
        file.write(f"\n{fence}\nprint(1)\n{fence[:3]}\n")
    assert "write ```python" in messages(project)


def test_python_block_that_is_no_snippet(project):
    with open(project / PAGE, "a") as file:
        file.write("\n```python\nprint(1)\n```\n")
    assert "a Python block must be one snippet: move the code to snippets/" in messages(project)


def test_long_short_answer_and_missing_verdict(project):
    edit(project, PAGE, '!!! abstract "Short answer"\n\n    ', '!!! abstract "Short answer"\n\n    ' + "word " * 60)
    text = (project / PAGE).read_text()
    verdict = next(v for v in check_sources.VERDICTS if v in text)
    edit(project, PAGE, verdict, '!!! note "')
    found = messages(project)
    assert "words; give it 1 to 60" in found
    assert "0 verdicts after this snippet" in found


def test_stale_index(project):
    edit(project, "docs/questions.md", "Q2", "Q3")
    assert "docs/questions.md:1: is out of date; run `make index`" in messages(project)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gone](no-such-page.md)", "no-such-page.md"),
        ("[gone](#no-such-anchor)", "no-such-anchor"),
    ],
)
def test_broken_link_fails_the_strict_build(project, tmp_path, text, message):
    with open(project / PAGE, "a") as file:
        file.write(f"\n{text}\n")
    result = build(project, tmp_path / "site")
    assert result.returncode != 0
    assert message in result.stderr and "foundations/backpropagation.md" in result.stderr


def test_faults_that_the_strict_build_misses(project, tmp_path):
    with open(project / PAGE, "a") as file:
        file.write(
            "\nA malformed formula $\\frac{1}{$, a [reference][nowhere].\n\n"
            '<a href="nowhere.html">raw link</a> <a href="evidence.html#nowhere">raw</a>\n\n'
            '<img src="https://example.org/a.png" alt="x"> <span id="q2">again</span>\n\n'
            '<p style="color: red">red</p>\n\n$$\na<b\n$$\n\n<div markdown="1">\n\nText.\n\n</div>\n'
        )
    result = build(project, tmp_path / "site")
    assert result.returncode == 0, result.stderr
    found = "\n".join(check_site.check(tmp_path / "site"))
    page = "foundations/backpropagation.html: "
    assert f"{page}formula '\\\\frac{{1}}{{'" in found
    assert f"{page}markup left in the text: ']['" in found
    assert f"{page}link to nowhere.html leads nowhere" in found
    assert f"{page}loads https://example.org/a.png" in found
    assert f"{page}id #q2 occurs 2 times" in found
    assert f"{page}<p> with a style or a script of its own" in found
    assert f"{page}an attribute `markdown` is left" in found
    assert "no Content-Security-Policy" not in found


def run(source, **limits):
    return runner.run(source, "topic/technique", **limits)


def test_snippet_that_raises():
    result = run('"""t"""\nprint(1)\nraise ValueError("seven")\n')
    assert result.error.startswith("topic/technique: failed with exit code 1")
    assert "line 3" in result.error and "ValueError: seven" in result.error


def test_snippet_that_sleeps_is_killed_with_its_children():
    source = (
        "import subprocess, time\n"
        "subprocess.Popen(['sleep', '4321.5'])\n"
        "time.sleep(4321.5)\n"
    )  # fmt: skip
    started = time.monotonic()
    result = run(source, wall_limit=4)
    assert "topic/technique: killed, still running after 4 s" in result.error
    assert time.monotonic() - started < 60
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert "sleep 4321.5" not in left


def test_snippet_that_computes_for_ever_is_killed():
    result = run("while True: pass\n", cpu_limit=1)
    assert "topic/technique: killed after 1 CPU seconds" in result.error


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


def test_failing_record_changes_no_file(project):
    name = first_snippet(project)
    good = project / "snippets/backpropagation/good.py"
    good.write_text('"""Fine."""\nprint("fine")\n')
    with open(project / f"snippets/{name}.py", "a") as file:
        file.write("raise RuntimeError('broken')\n")
    recorded = {
        path: path.read_bytes()
        for folder in ("snippets", "docs/figures")
        for path in (project / folder).rglob("*")
        if path.suffix in (".out", ".svg")
    }
    before = (project / "snippets/recorded.json").read_text()
    command = [sys.executable, "tests/record.py", name, "backpropagation/good"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, env=os.environ)
    assert result.returncode == 1
    assert f"{name} (0.0 CPU s): FAILED, recorded files left as they were" in result.stdout
    assert "RuntimeError: broken" in result.stderr
    assert "backpropagation/good" in result.stdout and "good.out new" in result.stdout
    assert all(path.read_bytes() == content for path, content in recorded.items())
    after = (project / "snippets/recorded.json").read_text()
    line = next(line for line in before.splitlines() if f'"{name}"' in line)
    assert line.rstrip(",") in after, "a failed recording must not count as recorded"
    again = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert "1 of 2 snippets to record" in again.stdout, "the good one is recorded already"


def test_record_of_an_unknown_snippet(project):
    result = subprocess.run(
        [sys.executable, "tests/record.py", "no/such"], cwd=project, capture_output=True, text=True
    )
    assert result.returncode == 1 and "snippets/no/such.py does not exist" in result.stderr
