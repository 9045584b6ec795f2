"""A row of a topic's table: a snippet's own functions, an independent reference, and planted defects.

``tests/oracles/<topic>.py`` lists its rows in ``ORACLES``; test_oracles.py runs them all. A row is either a
function with its reference and cases, compared by :func:`agree`, or a check that asserts whatever the
functions must satisfy.
"""

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from answerbook.project import ROOT

SNIPPETS = ROOT / "snippets"


@dataclass(frozen=True)
class Defect:
    """A mistake to plant: in a snippet, the text ``old`` becomes ``new``, and the row's check must notice.

    Args:
        old: what stands in the snippet, exactly once (in ``where``, if that is given).
        new: what takes its place.
        where: the function, class or ``Class.method`` in which it acts; empty: anywhere in the file.
        crashes: the exception by which the defect shows itself; ``None``: the check has to find a wrong result.
        times: how often ``old`` occurs, if a defect has to act in several places at once.
    """

    old: str
    new: str
    where: str = ""
    crashes: type[Exception] | None = None
    times: int = 1


@dataclass(frozen=True)
class Oracle:
    """One row: what of which snippet agrees with what, and the defects that must make it disagree.

    Args:
        snippet: ``<technique>``, or several that hold the same function.
        check: called with the snippet's functions (see :func:`load_functions`); asserts.
        function, reference, cases: instead of ``check``, the name of a function, an independent
            implementation, and what yields the arguments of each call, random and edge cases.
        tolerance: absolute and relative, for ``reference``.
        defects: at least one.
        data: gives the globals that the functions read and that the snippet's experiment makes.
    """

    snippet: str | Sequence[str]
    check: Callable[[SimpleNamespace], None] | None = None
    function: str = ""
    reference: Callable | None = None
    cases: Callable[[], Iterable[tuple]] | None = None
    tolerance: float = 1e-9
    defects: Sequence[Defect] = field(default=())
    data: Callable[[], dict] = dict

    @property
    def snippets(self) -> list[str]:
        return [self.snippet] if isinstance(self.snippet, str) else list(self.snippet)

    @property
    def name(self) -> str:
        return self.function or self.check.__name__

    def run(self, code: SimpleNamespace) -> None:
        """Raise AssertionError where the functions in ``code`` disagree with the reference."""
        if self.check:
            self.check(code)
            return
        for arguments in self.cases():
            want = self.reference(*arguments)
            agree(getattr(code, self.function)(*arguments), want, self.tolerance)


def agree(got, want, tolerance: float = 1e-9) -> None:
    """Assert that two results are equal: numbers, arrays and tensors within ``tolerance`` (absolute and
    relative; NaN equals NaN) and of the same shape, sequences and mappings element by element."""
    if isinstance(want, dict):
        assert isinstance(got, dict) and got.keys() == want.keys(), f"keys {list(got)}, not {list(want)}"
        for key in want:
            agree(got[key], want[key], tolerance)
    elif isinstance(want, list | tuple) and not all(isinstance(item, int | float) for item in want):
        assert len(got) == len(want), f"{len(got)} results, not {len(want)}"
        for one, other in zip(got, want, strict=True):
            agree(one, other, tolerance)
    elif want is None or isinstance(want, str):
        assert got == want, f"{got!r}, not {want!r}"
    else:
        one, other = _array(got), _array(want)
        assert one.shape == other.shape, f"shape {one.shape}, not {other.shape}"
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def _array(value) -> np.ndarray:
    return np.asarray(value.detach() if isinstance(value, torch.Tensor) else value)


def load_functions(name: str, defect: Defect | None = None, data: dict | None = None) -> SimpleNamespace:
    """The functions, classes and imports of ``snippets/<name>.py``, without its experiment.

    Assignments of literals (``STRIDE = 16``) come along; everything else at top level is left out.

    Args:
        name: ``<topic>/<technique>``.
        defect: planted before.
        data: further globals of the functions, which the experiment would have made.

    Returns:
        A namespace with one attribute per name.

    Raises:
        ValueError: the text of the defect does not stand there as often as it says.
    """
    tree = _definitions(name) if defect is None else _parse(_plant(name, defect))
    namespace = {"__name__": name} | (data or {})
    exec(compile(tree, f"snippets/{name}.py", "exec"), namespace)
    return SimpleNamespace(**namespace)


@cache
def _source(name: str) -> str:
    return (SNIPPETS / f"{name}.py").read_text()


@cache
def _definitions(name: str) -> ast.Module:
    return _parse(_source(name))


def _parse(source: str) -> ast.Module:
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if _defines(node)]
    return tree


def _plant(name: str, defect: Defect) -> str:
    source = _source(name)
    start, end = _span(source, name, defect.where) if defect.where else (0, len(source))
    found = source.count(defect.old, start, end)
    if found != defect.times:
        place = f"snippets/{name}.py" + (f" in {defect.where}" if defect.where else "")
        raise ValueError(f"{place}: {defect.old!r} occurs {found} times, not {defect.times}; update its row")
    return source[:start] + source[start:end].replace(defect.old, defect.new) + source[end:]


def _span(source: str, name: str, where: str) -> tuple[int, int]:
    """First and last place of a definition in the source, by characters."""
    node: ast.AST = ast.parse(source)
    for part in where.split("."):
        found = [child for child in ast.walk(node) if getattr(child, "name", None) == part]
        if not found:
            raise ValueError(f"snippets/{name}.py: no {where} to plant a defect in; update its row")
        node = found[0]
    lines = source.splitlines(keepends=True)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return sum(map(len, lines[: first - 1])), sum(map(len, lines[: node.end_lineno]))


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        try:
            ast.literal_eval(node.value)
            return True
        except ValueError:
            return False
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
