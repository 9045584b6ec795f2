"""Every Python block of every page runs alone and prints what the page shows."""

import ast
import re
import statistics
import sys

import pytest

from answerbook.model import existing_figures, snippet_names
from answerbook.pages.parts import MODULES
from answerbook.project import ROOT
from answerbook.run.compare import difference, frame
from tests.blocks import blocks
from tests.sources import BOOK

BANNED = {  # interfaces that still work in silence but that nobody should learn today
    r"\bDataParallel\b": "DistributedDataParallel",
    r"autograd\.Variable|\bVariable\(": "a tensor with requires_grad",
    r"torch\.svd\b": "torch.linalg.svd",
    r"torch\.norm\b": "torch.linalg.vector_norm",
    r"F\.sigmoid|F\.tanh": "torch.sigmoid, torch.tanh",
    r"\bregister_backward_hook\b": "register_full_backward_hook",
    r"torch\.jit\.": "torch.export",
    r"torch\.(ao\.)?quantization\b": "torchao or ONNX Runtime",
    r"\bpretrained=": "weights=",
    r"torch\.cuda\.amp": "torch.amp",
    r"\bfunctorch\b": "torch.func",
}


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_block_prints_what_the_page_shows(block, runs):
    run = runs[block].result()
    where = f"{block.page} shows snippets/{block.snippet}.py"
    assert not run.error, f"{where}: {run.error}"
    assert block.expected, f"{where} without its output"
    message = difference(run.stdout, block.expected, block.tolerance)
    assert not message, f"{where}: {message}\nIf the new output is right, run `make record`."
    recorded = [path.read_text() for path in existing_figures(block.snippet)]
    drawn = [svg.decode() for svg in run.figures]
    assert [frame(svg) for svg in drawn] == [frame(svg) for svg in recorded], (
        f"{where}: draws other figures than those recorded; run `make record`"
    )


def test_a_figure_without_its_pictures_or_another_text_is_another_figure():
    path = next(path for path in sorted(ROOT.glob("docs/figures/*/*.svg")) if "<image" in path.read_text())
    svg = path.read_text()
    bare = re.sub(r"<image.*?/>", "", svg, flags=re.DOTALL)
    assert frame(bare) != frame(svg)
    assert frame(re.sub(r"<!-- [A-Za-z].*? -->", "<!-- other -->", svg)) != frame(svg)
    assert frame(re.sub(r"<!-- -?[\d.]+ -->", "<!-- 7.5 -->", svg)) == frame(svg)


@pytest.mark.parametrize("name", snippet_names())
def test_snippet_follows_the_house_form(name):
    source = (ROOT / f"snippets/{name}.py").read_text()
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "the docstring's first line states the claim"
    for pattern, better in BANNED.items():
        assert not re.search(pattern, source), f"{pattern} is out of date; use {better}"
    long = [n for n, line in enumerate(source.splitlines(), 1) if len(line) > 88]
    assert not long, f"lines {long} are longer than 88 characters"
    asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert asserts, "asserts nothing; end with the claim, with a margin"
    constant = [node.lineno for node in asserts if isinstance(node.test, ast.Constant)]
    assert not constant, f"the assertion in line {constant} cannot fail"
    unknown = BOOK.snippets[name].imports - MODULES - set(sys.stdlib_module_names)
    assert not unknown, f"imports {unknown}; add it to requirements.txt and to answerbook/pages/parts.py"


def test_snippets_and_blocks_match_one_to_one():
    shown = [block.snippet for block in blocks()]
    assert sorted(shown) == snippet_names()
    for block in blocks():
        assert block.code.rstrip() == (ROOT / f"snippets/{block.snippet}.py").read_text().rstrip()
        assert not block.unusual, f"{block.page}: {block.unusual} would skip the block"


def test_snippets_are_quick(runs):
    seconds = [future.result().cpu_seconds for future in runs.values()]
    if not seconds:
        pytest.skip("no block was selected")
    slowest = max(runs, key=lambda block: runs[block].result().cpu_seconds)
    print(f"median {statistics.median(seconds):.1f} CPU s, most {max(seconds):.1f} ({slowest})")
    assert statistics.median(seconds) <= 3, "the median snippet takes more than 3 CPU seconds"
