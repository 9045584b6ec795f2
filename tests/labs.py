"""Labs: percent scripts in snippets/labs/, run from top to bottom into notebooks in docs/labs/.

``make record`` calls :func:`record`; the checks and tests read what it wrote. A cell that draws has
``alt="…"`` and ``caption="…"`` behind its ``# %%``; the one whose picture opens the lab has
``tags=["result"]``; the cells of a solution have ``tags=["solution"]``.
"""

import base64
import io
import json
import os
import tempfile
from pathlib import Path

from answerbook.run.digest import code_digest
from record import ROOT, replace

CPU_SECONDS = 90  # the house limit for a lab, on one core


class LabError(Exception):
    """The lab cannot be recorded; the message names the script and the remedy."""


def lab_names(root: Path = ROOT) -> list[str]:
    """Names of all labs, sorted."""
    return sorted(path.stem for path in (root / "snippets/labs").glob("*.py"))


def notebook_path(name: str, root: Path = ROOT) -> Path:
    return root / f"docs/labs/{name}.ipynb"


def recorded_digest(name: str, root: Path = ROOT) -> str:
    """SHA-256 of the script that the recorded notebook was made from; empty if there is none."""
    path = notebook_path(name, root)
    return json.loads(path.read_text())["metadata"].get("code_sha256", "") if path.exists() else ""


def read_script(text: str, name: str):
    """A percent script as a notebook without outputs; its cells' ids are their numbers."""
    import jupytext

    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "code_sha256": code_digest(text),
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"{name}-{number}"
        texts = [f"{key}: {cell.metadata[key]}" for key in ("alt", "caption") if key in cell.metadata]
        # A tag may hold no comma; as an entity it reaches the page as one.
        cell.metadata["tags"] = cell.metadata.get("tags", []) + [text.replace(",", "&#44;") for text in texts]
    return notebook


def record(name: str) -> str:
    """Run a lab in a kernel of its own and write its notebook and its figures.

    Returns:
        What changed, in words.

    Raises:
        LabError: a cell failed, wrote to stderr or drew something unexpected; nothing was written.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    script = f"snippets/labs/{name}.py"
    notebook = read_script((ROOT / script).read_text(), name)
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise LabError(f"{script}: {error}") from error

    figures: list[bytes] = []
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
        if len(drawn) > 1 or bool(drawn) != ("alt" in cell.metadata):
            raise LabError(
                f"{script}: a cell drew {len(drawn)} figures; a cell with alt and caption draws one, "
                f"any other none:\n{cell.source[-200:]}"
            )
        images = [nbformat.v4.new_output("display_data", {"image/png": data}) for data in drawn]
        streams = [nbformat.v4.new_output("stream", name="stdout", text=printed)] if printed else []
        cell.outputs = images + streams
        figures += [_without_alpha(base64.b64decode(data)) for data in drawn]
        if "result" in cell.metadata["tags"]:
            notebook.cells[0]["attachments"] = {"result.png": {"image/png": drawn[0]}}
            files = {"result": figures[-1]}
    if "attachments" not in notebook.cells[0]:
        raise LabError(f'{script}: no cell draws the picture that opens the lab; give it tags=["result"]')

    files |= {str(number): data for number, data in enumerate(figures, 1)}
    folder = ROOT / "docs/figures/labs"
    changes = [replace(folder / f"{name}-{key}.png", data) for key, data in files.items()]
    for path in set(folder.glob(f"{name}-*.png")) - {folder / f"{name}-{key}.png" for key in files}:
        path.unlink()
        changes.append(f"{path.name} removed")
    changes.append(replace(notebook_path(name), (nbformat.writes(notebook) + "\n").encode()))
    return ", ".join(filter(None, changes)) or "nothing changed"


def _without_alpha(png: bytes) -> bytes:
    """The same picture, drawn on white as every figure is, in about a tenth fewer bytes."""
    from PIL import Image  # readers, who record nothing, do not install it

    smaller = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(smaller, "PNG", optimize=True)
    return smaller.getvalue()
