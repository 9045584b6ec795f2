"""Mistakes in the sources and in the built site get a clear error: the file, the line and the remedy.

Each case breaks a small copy of the project.
"""

import re
import shutil

import pytest

from answerbook.model import VERDICTS, read_book
from answerbook.project import Trouble
from answerbook.run import labs
from answerbook.site import check_site, check_sources, pipeline
from tests.copies import copy_project

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
    return "\n".join(map(str, check_sources.check(read_book(project))))


def first_snippet(project):
    """Name of the first snippet on PAGE."""
    (page,) = [page for page in read_book(project).pages if page.file == PAGE]
    return page.snippets[0][0]


def test_the_copy_is_without_fault(project):
    assert messages(project) == ""


def test_misspelt_snippet(project):
    name = first_snippet(project)
    technique = name.split("/")[1]
    edit(project, PAGE, f'.md:{technique}"', f'.md:{technique}x"')
    assert f"snippets/{name}x.py does not exist; check the spelling" in messages(project)
    assert f"snippets/{name}.py:1: is on 0 pages; show it on exactly one, by" in messages(project)


def test_missing_output_is_named_by_the_strict_build_too(project, tmp_path):
    name = first_snippet(project)
    (project / f"snippets/{name}.out").unlink()
    assert f"snippets/{name}.py was never recorded; run `make record`" in messages(project)
    result = pipeline.mkdocs(project, tmp_path / "site")
    assert result.returncode != 0
    assert f"{name}.out" in result.stderr


def test_stale_output(project):
    name = first_snippet(project)
    with open(project / f"snippets/{name}.py", "a") as file:
        file.write("x = 1\n")
    found = messages(project)
    assert f"snippets/{name}.py changed after its output was recorded; run `make record`" in found
    assert f"{PAGE}:" in found


def test_comments_docstrings_and_formatting_make_nothing_stale(project):
    path = project / f"snippets/{first_snippet(project)}.py"
    text = path.read_text().replace("\n\n", "\n\n\n").replace('"""', '"""Another first sentence. ', 1)
    path.write_text(f"{text}# a comment\n")
    assert messages(project) == ""


@pytest.mark.parametrize("part", ["q2", "q2-related"])
def test_missing_part_of_an_answer(project, part):
    line = f'--8<-- "parts/backpropagation.md:{part}"\n'
    edit(project, PAGE, line, "")
    assert f": {line.strip()}" in messages(project)


def test_part_of_another_topic(project):
    edit(project, PAGE, '"parts/backpropagation.md:q2"', '"parts/ensembles.md:q40"')
    assert "includes a part of ensembles; a page shows the parts of its own topic" in messages(project)


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
    path.write_text(
        path.read_text() + '  2: {title: "Again", topic: a/b, difficulty: basic, techniques: [], task: any}\n'
    )
    edit(project, PAGE, "description:", "summary:")
    found = messages(project)
    line = len(path.read_text().splitlines())
    assert f"docs/questions.yml:{line}: question 2 is listed twice; delete one" in found
    assert "description has 0 characters" in found, "the first mistake hides the second"


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


@pytest.mark.parametrize("fence", ['```python title="x"', "~~~python", "``` {.python}", "```"])
def test_fence_that_the_extractor_would_miss(project, fence):
    with open(project / PAGE, "a") as file:
        file.write(f"\n{fence}\nprint(1)\n{fence[:3]}\n")
    assert "write ```text or ```console" in messages(project)


@pytest.mark.parametrize("language", ["python", "py", "pycon"])
def test_python_block_that_is_no_snippet(project, language):
    with open(project / PAGE, "a") as file:
        file.write(f"\n```{language}\nprint(1)\n```\n")
    assert "a Python block must be one snippet: move the code to snippets/" in messages(project)


def test_long_short_answer_and_missing_verdict(project):
    edit(
        project,
        PAGE,
        '!!! abstract "Short answer"\n\n    ',
        '!!! abstract "Short answer"\n\n    ' + "word " * 60,
    )
    text = (project / PAGE).read_text()
    verdict = re.search(rf'^!!! ({"|".join(VERDICTS)}) "', text, re.MULTILINE)[0]
    edit(project, PAGE, verdict, '!!! note "')
    found = messages(project)
    assert "words; give it 1 to 60" in found
    assert "0 verdicts for this snippet" in found


def test_long_short_answer_that_ends_the_file(project):
    path = project / PAGE
    text = path.read_text()
    path.write_text(
        text[: text.index("## Q2.")]
        + '## Q2. Title { #q2 }\n\n!!! abstract "Short answer"\n\n    One two three.'
    )
    assert read_book(project).answer(2).short == "One two three."


def test_parts_of_an_answer_in_another_order(project):
    text = (project / PAGE).read_text()
    before, wrong, rest = re.split(
        r"(?=^### .*-wrong \}$)|(?=^### .*-follow-ups \}$)", text, maxsplit=2, flags=re.M
    )
    (project / PAGE).write_text(before + rest.replace("### Sources", wrong + "### Sources", 1))
    assert "Q2: put its parts in the order wrong, follow-ups, evidence, sources" in messages(project)


def test_lab_that_was_edited_and_notebook_without_a_script(tmp_path):
    for folder in ("snippets/labs", "docs/labs"):
        (tmp_path / folder).mkdir(parents=True)
    for name in labs.lab_names()[:2]:
        shutil.copy(labs.ROOT / f"snippets/labs/{name}.py", tmp_path / "snippets/labs")
        shutil.copy(labs.notebook_path(name), tmp_path / "docs/labs")
    assert list(labs.problems(tmp_path)) == []
    first, second = labs.lab_names()[:2]
    with open(tmp_path / f"snippets/labs/{first}.py", "a") as file:
        file.write("# a comment\n")
    (tmp_path / f"snippets/labs/{second}.py").unlink()
    found = "\n".join(map(str, labs.problems(tmp_path)))
    assert (
        f"snippets/labs/{first}.py:1: is not what its notebook shows; run `make record ONLY=labs/{first}`"
        in found
    )
    assert f"docs/labs/{second}.ipynb:1: has no script in snippets/labs/; delete it" in found
    assert not labs.code_changed(first, tmp_path), "a comment changes no output"


@pytest.mark.parametrize(
    "file", ["docs/questions.yml", "docs/papers.yml", "docs/glossary.yml", "docs/corrections.yml"]
)
def test_list_that_is_no_yaml_or_missing(project, file):
    (project / file).write_text('a: 1\nb: "open\n')
    with pytest.raises(Trouble, match=rf"^{file}:\d: is no YAML .*; mend this line$"):
        read_book(project)
    (project / file).unlink()
    with pytest.raises(Trouble, match=rf"^{file}:1: does not exist; restore it from git$"):
        read_book(project)


def test_recording_that_was_written_by_half(project):
    path = project / "snippets/backpropagation/record.json"
    path.write_text(path.read_text()[:200])
    with pytest.raises(
        Trouble, match=r"^snippets/backpropagation/record.json:\d+: is no JSON; restore it with `git checkout"
    ):
        read_book(project)


def test_a_copy_is_built_from_its_own_lists(project, tmp_path):
    """Keywords, like everything else, come from the project that is built, not from the one that builds."""
    edit(project, "docs/questions.yml", "keywords: [conv layer", "keywords: [zzyzx, conv layer")
    assert pipeline.mkdocs(project, tmp_path / "site").returncode == 0
    assert "zzyzx" in (tmp_path / "site/search/search_index.json").read_text()


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
    result = pipeline.mkdocs(project, tmp_path / "site")
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
    result = pipeline.mkdocs(project, tmp_path / "site")
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
