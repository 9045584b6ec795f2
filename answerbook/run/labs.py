"""Labs: percent scripts in snippets/labs/, run from top to bottom into notebooks in docs/labs/.

A cell that draws has ``alt="…"`` and ``caption="…"`` behind its ``# %%``; the one whose picture opens the lab
has ``tags=["result"]``; the cells of a solution have ``tags=["solution"]``.
"""

import base64
import io
import json
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

from answerbook.project import ROOT, Problem, replace
from answerbook.run.digest import code_digest, text_digest

CPU_SECONDS = 90  # the house limit for a lab, on one core


class LabError(Exception):
    """The lab cannot be recorded; the message names the script and the remedy."""


def lab_names(root: Path = ROOT) -> list[str]:
    """Names of all labs, sorted."""
    return sorted(path.stem for path in (root / "snippets/labs").glob("*.py"))


def notebook_path(name: str, root: Path = ROOT) -> Path:
    return root / f"docs/labs/{name}.ipynb"


def _script(name: str, root: Path) -> str:
    return (root / f"snippets/labs/{name}.py").read_text()


def _recorded(name: str, root: Path) -> dict:
    """The metadata of the recorded notebook; empty if there is none."""
    path = notebook_path(name, root)
    return json.loads(path.read_text())["metadata"] if path.exists() else {}


def is_recorded(name: str, root: Path = ROOT) -> bool:
    """Whether the notebook holds the script as it is, its text too."""
    return _recorded(name, root).get("text_sha256") == text_digest(_script(name, root))


def code_changed(name: str, root: Path = ROOT) -> bool:
    """Whether the outputs in the notebook belong to other code."""
    return _recorded(name, root).get("code_sha256") != code_digest(_script(name, root))


def problems(root: Path = ROOT) -> Iterator[Problem]:
    """Labs that are not what was recorded, and notebooks without a script."""
    names = lab_names(root)
    for name in names:
        if not is_recorded(name, root):
            file = f"snippets/labs/{name}.py"
            yield Problem(file, 1, f"is not what its notebook shows; run `make record ONLY=labs/{name}`")
    for path in sorted((root / "docs/labs").glob("*.ipynb")):
        if path.stem not in names:
            yield Problem(path.relative_to(root).as_posix(), 1, "has no script in snippets/labs/; delete it")


def read_script(text: str, name: str):
    """A percent script as a notebook without outputs; its cells' ids are their numbers."""
    import jupytext

    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "code_sha256": code_digest(text),
        "text_sha256": text_digest(text),
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"{name}-{number}"
        texts = [f"{key}: {cell.metadata[key]}" for key in ("alt", "caption") if key in cell.metadata]
        # A tag may hold no comma; as an entity it reaches the page as one.
        cell.metadata["tags"] = cell.metadata.get("tags", []) + [text.replace(",", "&#44;") for text in texts]
    return notebook


def record(name: str, root: Path = ROOT, run: bool = True) -> str:
    """Write a lab's notebook and its figures.

    Args:
        name: of the lab.
        root: the project's folder.
        run: whether to run it, in a kernel of its own; else only its text is written anew around the outputs.

    Returns:
        What changed, in words.

    Raises:
        LabError: a cell failed, wrote to stderr or drew something unexpected; nothing was written.
    """
    import nbformat

    script = f"snippets/labs/{name}.py"
    try:
        notebook = read_script(_script(name, root), name)
    except SyntaxError as error:
        raise LabError(f"{script}:{error.lineno}: {error.msg}") from error
    path = notebook_path(name, root)
    changes = []
    if run:
        _execute(notebook, script)
        folder = root / "docs/figures/labs"
        files = {folder / f"{name}-{key}.png": data for key, data in _collect(notebook, script).items()}
        changes += [replace(path, data) for path, data in files.items()]
        for old in set(folder.glob(f"{name}-*.png")) - set(files):
            old.unlink()
            changes.append(f"{old.name} removed")
    else:
        for cell, old in zip(notebook.cells, nbformat.read(path, 4).cells, strict=True):
            for key in ("outputs", "execution_count", "attachments"):
                if key in old:
                    cell[key] = old[key]
    changes.append(replace(path, (nbformat.writes(notebook) + "\n").encode()))
    return ", ".join(filter(None, changes)) or "nothing changed"


def _execute(notebook, script: str) -> None:
    """Run all cells in a kernel that computes as the tests do, on one thread."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    before = _children_seconds()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        try:
            client.execute(env=os.environ | threads)
        except CellExecutionError as error:
            raise LabError(f"{script}: {error}") from error
    if (seconds := _children_seconds() - before) > CPU_SECONDS:
        raise LabError(f"{script}:1: takes {seconds:.0f} CPU s, more than {CPU_SECONDS}; make it smaller")


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _collect(notebook, script: str) -> dict[str, bytes]:
    """The figures of an executed notebook by their number, the picture that opens it as ``result``; its
    outputs are put in order, and what a page would not show is refused."""
    import nbformat

    files: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        printed = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
        errors = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr")
        drawn = [o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
        if errors:
            raise LabError(f"{script}: a cell wrote to stderr; mend it:\n{errors}")
        if any(o.output_type == "execute_result" for o in cell.outputs):
            raise LabError(f"{script}: a cell ends in a bare expression; print it:\n{cell.source[-200:]}")
        is_result = "result" in cell.metadata["tags"]
        if len(drawn) > 1 or bool(drawn) != ("alt" in cell.metadata) or is_result > bool(drawn):
            raise LabError(
                f"{script}: a cell drew {len(drawn)} figures; a cell with alt and caption or the tag result "
                f"draws one, any other none:\n{cell.source[-200:]}"
            )
        images = [nbformat.v4.new_output("display_data", {"image/png": data}) for data in drawn]
        streams = [nbformat.v4.new_output("stream", name="stdout", text=printed)] if printed else []
        cell.outputs = images + streams
        for data in drawn:
            files[str(len(files) + 1 - ("result" in files))] = _without_alpha(base64.b64decode(data))
        if is_result:
            notebook.cells[0]["attachments"] = {"result.png": {"image/png": drawn[0]}}
            files["result"] = _without_alpha(base64.b64decode(drawn[0]))
    if "result" not in files:
        raise LabError(f'{script}: no cell draws the picture that opens the lab; give it tags=["result"]')
    return files


def _without_alpha(png: bytes) -> bytes:
    """The same picture, drawn on white as every figure is, in about a tenth fewer bytes."""
    from PIL import Image  # readers, who record nothing, do not install it

    smaller = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(smaller, "PNG", optimize=True)
    return smaller.getvalue()
