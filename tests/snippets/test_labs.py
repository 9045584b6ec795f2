"""The labs: notebooks that print what they show, in a page of the site's own form."""

import gzip
import json
import re

import lxml.html
import pytest

from answerbook.project import ROOT
from answerbook.run.compare import difference
from answerbook.run.labs import lab_names, notebook_path, read_script

SIZE = 200_000  # bytes of a lab's page, compressed, without its figures
QUESTION = re.compile(r"\]\(\.\./([\w-]+/[\w-]+)\.html#(q\d+)\)")


def script(name: str) -> str:
    return (ROOT / f"snippets/labs/{name}.py").read_text()


def cells(name: str, kind: str) -> list[dict]:
    """The cells of the recorded notebook of one kind, each with its text joined."""
    notebook = json.loads(notebook_path(name).read_text())
    found = [cell for cell in notebook["cells"] if cell["cell_type"] == kind]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


@pytest.mark.parametrize("lab", lab_names())
def test_lab_prints_what_its_notebook_shows(lab, lab_runs):
    outputs = [output for cell in cells(lab, "code") for output in cell["outputs"]]
    assert {o["output_type"] for o in outputs} <= {"stream", "display_data"}
    recorded = "".join("".join(o["text"]) for o in outputs if o["output_type"] == "stream")
    run = lab_runs[lab].result()
    assert not run.error, run.error
    tolerance = max((cell["metadata"].get("tolerance", 0) for cell in cells(lab, "code")), default=0)
    message = difference(run.stdout, recorded, tolerance or None)
    assert not message, f"snippets/labs/{lab}.py: {message}\nIf the new output is right, run `make record`."
    drawn = [o for o in outputs if o["output_type"] == "display_data"]
    assert len(run.figures) == len(drawn), "draws other figures than its notebook; run `make record`"
    print(f"{lab}: {run.cpu_seconds:.1f} CPU s")


@pytest.mark.parametrize("lab", lab_names())
def test_notebook_holds_the_code_of_its_script(lab):
    read = read_script(script(lab), lab)
    assert [c["source"] for c in cells(lab, "code")] == [
        c.source for c in read.cells if c.cell_type == "code"
    ]
    assert [c["source"] for c in cells(lab, "markdown")] == [
        c.source for c in read.cells if c.cell_type == "markdown"
    ]


@pytest.mark.parametrize("lab", lab_names())
def test_lab_has_its_parts(lab):
    text = [cell["source"] for cell in cells(lab, "markdown")]
    first, whole = text[0], "\n".join(text)
    assert re.match(r"# Lab \d\. .+\n\n[A-Z]", first), "open with `# Lab N. Title` and a sentence"
    assert "](attachment:result.png)" in first, "show first what the reader will have at the end"
    assert re.search(r"\*\*Budget:\*\*", first), "state the budget"
    assert len(re.findall(r"^### Exercise \d\.", whole, re.M)) == 3, "pose three exercises"
    solutions = [c for c in cells(lab, "code") if "solution" in c["metadata"]["tags"]]
    assert len(solutions) >= 3
    assert all("assert" in cell["source"] for cell in solutions), "a solution is tested by an assertion"
    for cell in cells(lab, "markdown"):
        code = re.findall(r"```.*?```|`[^`\n]+`", cell["source"], re.S)
        assert not [c for c in code if "$" in c], "a $ in code would open a formula on the page"
    for alt in (c["metadata"]["alt"] for c in cells(lab, "code") if "alt" in c["metadata"]):
        assert len(alt) >= 30, f"alternative text {alt!r} does not say what the figure shows"


@pytest.mark.parametrize("lab", lab_names())
def test_lab_and_its_questions_link_to_each_other(lab, site):
    found = set(QUESTION.findall("\n".join(cell["source"] for cell in cells(lab, "markdown"))))
    assert found, "link to the questions that the lab belongs to"
    for page, question in found:
        answer = (ROOT / f"docs/{page}.md").read_text().split(f"{{ #{question} }}")[1].split("\n## ")[0]
        assert f"../labs/{lab}.ipynb" in answer, f"docs/{page}.md: link #{question} to its lab"


@pytest.mark.parametrize("lab", lab_names())
def test_page_shows_each_cell_once_in_the_form_of_the_site(lab, site):
    path = site / f"labs/{lab}.html"
    size = len(gzip.compress(path.read_bytes()))
    assert size <= SIZE, f"{size} bytes compressed"
    page = lxml.html.parse(str(path)).getroot()
    (article,) = page.cssselect("article")
    assert not article.cssselect("style, script, .jp-Cell, .clipboard-copy-txt")
    shown = [node.text_content().strip() for node in article.cssselect(".language-python pre code")]
    assert shown == [cell["source"].strip() for cell in cells(lab, "code")]
    folded = article.cssselect("details .language-python")
    assert len(folded) == len([c for c in cells(lab, "code") if "solution" in c["metadata"]["tags"]])
    assert not re.search(r"In ?\[|Out ?\[|¶|No description has been", article.text_content())
    assert (site / f"labs/{lab}.ipynb").read_bytes() == notebook_path(lab).read_bytes()
    (heading,) = page.cssselect("title")
    assert heading.text.startswith("Lab ")


def test_search_holds_no_notebook_debris(site):
    docs = json.loads((site / "search/search_index.json").read_text())["docs"]
    found = [doc for doc in docs if doc["location"].startswith("labs/")]
    assert len([doc for doc in found if "#" not in doc["location"]]) == len(lab_names())
    for doc in found:
        assert not re.search(r"In ?\[|Copied!|¶|import torch|plt\.", doc["text"] + doc["title"]), doc
