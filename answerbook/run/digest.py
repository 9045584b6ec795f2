"""What a recording belongs to: a program, not the way it is written down."""

import ast
import hashlib


def code_digest(source: str) -> str:
    """SHA-256 of a Python source's meaning, in hexadecimal.

    Comments, docstrings and formatting do not count. The digest is the same on every version of
    Python: fields that a version adds are empty in code that does not use them, and left out.
    """
    return hashlib.sha256(repr(_shape(_without_docstrings(ast.parse(source)))).encode()).hexdigest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
    return tree


def _shape(node) -> object:
    """A node as nested tuples of its kind and its fields that say something."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind"))
        return type(node).__name__, *(
            (name, _shape(value)) for name, value in fields if value not in (None, [])
        )
    if isinstance(node, list):
        return tuple(map(_shape, node))
    return type(node).__name__, repr(node)
