"""Take a snippet's own functions out of its file, to hold them against an oracle."""

import ast
from pathlib import Path
from types import SimpleNamespace

SNIPPETS = Path(__file__).parent.parent / "snippets"
CHECKED: set[str] = set()  # snippets whose functions a test has taken
PLANTED: dict[tuple[str, tuple[str, str]], bool] = {}  # (snippet, defect): its test passed, so far


def load_functions(name: str, defect: tuple[str, str] | None = None) -> SimpleNamespace:
    """The functions, classes and imports of ``snippets/<name>.py``, without its experiment.

    Assignments of literals (``STRIDE = 16``) come along; everything else at top level is left out.

    Args:
        name: ``<topic>/<technique>``.
        defect: ``(old, new)`` plants a defect: the text ``old``, which must occur, becomes ``new``.

    Returns:
        A namespace with one attribute per name.

    Raises:
        ValueError: ``old`` does not occur, so the planted defect is no longer in the snippet.
    """
    path = SNIPPETS / f"{name}.py"
    source = path.read_text()
    CHECKED.add(name)
    if defect:
        PLANTED.setdefault((name, tuple(defect)), True)
        old, new = defect
        if old not in source:
            raise ValueError(f"{path}: no {old!r} to plant a defect in; update the test")
        source = source.replace(old, new)
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if _defines(node)]
    namespace = {"__name__": name}
    exec(compile(tree, str(path), "exec"), namespace)
    return SimpleNamespace(**namespace)


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        try:
            ast.literal_eval(node.value)
            return True
        except ValueError:
            return False
    definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return isinstance(node, definitions)
