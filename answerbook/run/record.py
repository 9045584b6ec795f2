"""Record what each snippet and each lab prints and draws.

Runs those whose code changed since their last recording and writes ``snippets/<topic>/<technique>.out`` and
``docs/figures/<topic>/<technique>.svg``, and for a lab what labs.py says. One that fails changes no recorded
file.
"""

import json
import re
import sys
from concurrent.futures import as_completed
from pathlib import Path

from answerbook.model import (
    existing_figures,
    figure_paths,
    read_record,
    read_snippets,
    snippet_names,
)
from answerbook.project import ROOT, Trouble, locked, replace
from answerbook.run import labs, runner
from answerbook.run.runner import Run


def select_names(wanted: list[str], root: Path = ROOT) -> list[str]:
    """The snippets that a command line names: ``<topic>/<technique>``, or ``<topic>`` for all of it.

    An empty list selects every snippet.

    Raises:
        Trouble: there is no such snippet.
    """
    names = snippet_names(root)
    wanted = [name.removeprefix("snippets/").removesuffix(".py").rstrip("/") for name in wanted]
    topics = sorted({name.split("/")[0] for name in names})
    for name in wanted:
        if name not in names and name not in topics:
            raise Trouble(f"snippets/{name}.py does not exist; the topics are {', '.join(topics)}")
    return [n for n in names if not wanted or n in wanted or n.split("/")[0] in wanted]


def keep(name: str, fields: dict, root: Path) -> None:
    """Put what was found of one snippet into its topic's ``record.json``; deleted snippets leave it."""
    topic, technique = name.split("/")
    with locked(root):  # two runs may go side by side
        record = read_record(topic, root)
        record[technique] = record.get(technique, {}) | fields
        known = {path.stem for path in (root / f"snippets/{topic}").glob("*.py")}
        record = {one: record[one] for one in sorted(record) if one in known}
        replace(root / f"snippets/{topic}/record.json", (json.dumps(record, indent=1) + "\n").encode())


def write(run: Run, digest: str, root: Path) -> str:
    """Write one good run's files; returns what changed, in words."""
    changes = [replace(root / f"snippets/{run.name}.out", run.stdout.encode())]
    for path, svg in zip(figure_paths(run.name, len(run.figures), root), run.figures, strict=True):
        changes.append(replace(path, svg))
    for path in existing_figures(run.name, root)[len(run.figures) :]:
        path.unlink()
        changes.append(f"{path.name} removed")
    keep(run.name, {"digest": digest}, root)
    return ", ".join(filter(None, changes)) or "nothing changed"


def record(names: list[str], unchanged_too: bool = False, root: Path = ROOT) -> int:
    """Record what the names select; 1 if something failed.

    Args:
        names: ``<topic>/<technique>`` or ``labs/<lab>``, ``<topic>`` or ``labs`` for all of it; empty: everything.
        unchanged_too: also those whose code did not change.
        root: the project's folder.
    """
    lab_names = [name for name in names if re.match(r"(snippets/)?labs\b", name)]
    other_names = [name for name in names if name not in lab_names]
    failed = []
    if other_names or not lab_names:
        failed += record_snippets(select_names(other_names, root), unchanged_too, root)
    if lab_names or not other_names:
        failed += record_labs([Path(name).stem for name in lab_names], unchanged_too, root)
    for error in failed:
        print(f"\n{error}", file=sys.stderr)
    return int(bool(failed))


def record_snippets(names: list[str], unchanged_too: bool, root: Path) -> list[str]:
    """Record those of the snippets that changed; the errors of those that failed."""
    snippets = read_snippets(root)
    due = [snippets[name] for name in names if unchanged_too or not snippets[name].is_recorded]
    print(f"{len(due)} of {len(names)} snippets to record", flush=True)
    futures = {runner.submit(snippet.source, snippet.name): snippet for snippet in due}
    failed = []
    for done, future in enumerate(as_completed(futures), 1):
        run = future.result()
        if not run.error and not run.stdout.strip():
            run.error = f"snippets/{run.name}.py:1: prints nothing; print the numbers that the claim rests on"
        if run.error:
            failed.append(run.error)
            what = "FAILED, recorded files left as they were"
        else:
            what = write(run, futures[future].digest, root)
        print(f"[{done}/{len(due)}] {run.name} ({run.cost}): {what}", flush=True)
    return failed


def record_labs(wanted: list[str], unchanged_too: bool, root: Path) -> list[str]:
    """Record those of the labs that changed (``wanted``: only these, ``labs``: all); the errors."""
    names = labs.lab_names(root)
    if unknown := set(wanted) - {*names, "labs"}:
        raise Trouble(f"snippets/labs/{min(unknown)}.py does not exist; the labs are {', '.join(names)}")
    names = [name for name in names if not wanted or name in wanted or "labs" in wanted]
    due = [name for name in names if unchanged_too or not labs.is_recorded(name, root)]
    print(f"{len(due)} of {len(names)} labs to record", flush=True)
    failed = []
    for name in due:
        try:
            what = labs.record(name, root, run=unchanged_too or labs.code_changed(name, root))
        except labs.LabError as error:
            failed.append(str(error))
            what = "FAILED, recorded files left as they were"
        print(f"labs/{name}: {what}", flush=True)
    return failed
