"""Record what each snippet and each lab prints and draws: ``make record``.

Runs those whose text changed since their last recording (``--all``: every one; names: only these)
and writes ``snippets/<topic>/<technique>.out`` and ``docs/figures/<topic>/<technique>.svg``, and for
a lab what labs.py says. One that fails changes no recorded file.
"""

import argparse
import fcntl
import json
import os
import re
import sys
from concurrent.futures import as_completed
from contextlib import contextmanager
from pathlib import Path

from answerbook.run.digest import code_digest

ROOT = Path(__file__).parent.parent
SNIPPETS = ROOT / "snippets"
MANIFEST = SNIPPETS / "recorded.json"  # snippet name -> digest of the code that was recorded


def snippet_names(root: Path = ROOT) -> list[str]:
    """Names ``<topic>/<technique>`` of all snippets, sorted; the labs are not among them."""
    return sorted(
        path.relative_to(root / "snippets").with_suffix("").as_posix()
        for path in (root / "snippets").glob("*/*.py")
        if path.parent.name != "labs"
    )


def select_names(wanted: list[str]) -> list[str]:
    """The snippets that a command line names: ``<topic>/<technique>``, or ``<topic>`` for all of it.

    An empty list selects every snippet; an unknown name ends the program.
    """
    names = snippet_names()
    wanted = [name.removeprefix("snippets/").removesuffix(".py") for name in wanted]
    for name in wanted:
        if name not in names and not any(n.startswith(f"{name}/") for n in names):
            sys.exit(f"snippets/{name}.py does not exist; the snippets are in snippets/<topic>/")
    return [n for n in names if not wanted or n in wanted or n.split("/")[0] in wanted]


def digest(path: Path) -> str:
    """What a recording of the source at ``path`` belongs to; a source that does not parse has none."""
    try:
        return code_digest(path.read_text())
    except SyntaxError:
        return ""


def figure_paths(name: str, count: int, root: Path = ROOT) -> list[Path]:
    """Where a snippet's figures lie: ``<technique>.svg``, the second ``<technique>-2.svg`` …"""
    folder = root / "docs" / "figures"
    return [folder / f"{name}{'' if n == 1 else f'-{n}'}.svg" for n in range(1, count + 1)]


def existing_figures(name: str, root: Path = ROOT) -> list[Path]:
    """The recorded figures of a snippet, in order."""
    found = []
    while (path := figure_paths(name, len(found) + 1, root)[-1]).exists():
        found.append(path)
    return found


def read_manifest(root: Path = ROOT) -> dict[str, str]:
    path = root / "snippets" / "recorded.json"
    return json.loads(path.read_text()) if path.exists() else {}


@contextmanager
def locked():
    """Hold the project's one lock while a file that several runs write is read and replaced."""
    with open(SNIPPETS / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace(path: Path, content: bytes) -> str:
    """Write a file unless it holds ``content`` already, never half of it; what changed, in words."""
    old = path.read_bytes() if path.exists() else None
    if old == content:
        return ""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
    return f"{path.name} {'new' if old is None else 'changed'}"


def write(run, sha: str) -> str:
    """Write one good run's files; returns what changed, in words."""
    changes = [replace(SNIPPETS / f"{run.name}.out", run.stdout.encode())]
    for path, svg in zip(figure_paths(run.name, len(run.figures)), run.figures):
        changes.append(replace(path, svg))
    for path in existing_figures(run.name)[len(run.figures) :]:
        path.unlink()
        changes.append(f"{path.name} removed")
    with locked():  # two recordings may run side by side
        manifest = read_manifest() | {run.name: sha}
        known = set(snippet_names())
        manifest = {name: manifest[name] for name in sorted(manifest) if name in known}
        replace(MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    return ", ".join(filter(None, changes)) or "nothing changed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", help="<topic>/<technique> or labs/<lab>; <topic> or labs for all of it"
    )
    parser.add_argument("--all", action="store_true", help="also those that did not change")
    args = parser.parse_args()
    lab_names = [name for name in args.names if re.match(r"(snippets/)?labs\b", name)]
    other_names = [name for name in args.names if name not in lab_names]
    failed = []
    if other_names or not lab_names:
        failed += record_snippets(select_names(other_names), args.all)
    if lab_names or not other_names:
        failed += record_labs([Path(name).stem for name in lab_names], args.all)
    for error in failed:
        print(f"\n{error}", file=sys.stderr)
    return bool(failed)


def record_snippets(names: list[str], unchanged_too: bool) -> list[str]:
    """Record those of the snippets that changed; the errors of those that failed."""
    manifest = read_manifest()
    due = {
        name: (SNIPPETS / f"{name}.py").read_bytes()
        for name in names
        if unchanged_too
        or manifest.get(name) != digest(SNIPPETS / f"{name}.py")
        or not (SNIPPETS / f"{name}.out").exists()
    }
    print(f"{len(due)} of {len(names)} snippets to record", flush=True)

    import runner  # imports nothing heavy itself; its server process does

    futures = {runner.submit(source.decode(), name): name for name, source in due.items()}
    failed = []
    for done, future in enumerate(as_completed(futures), 1):
        run = future.result()
        if not run.error and not run.stdout.strip():
            run.error = f"{run.name}: prints nothing; print the numbers that the claim rests on"
        if run.error:
            failed.append(run.error)
            what = "FAILED, recorded files left as they were"
        else:
            what = write(run, code_digest(due[run.name].decode()))
        print(f"[{done}/{len(due)}] {run.name} ({run.cpu_seconds:.1f} CPU s): {what}", flush=True)
    return failed


def record_labs(wanted: list[str], unchanged_too: bool) -> list[str]:
    """Record those of the labs that changed (``wanted``: only these, ``labs``: all)."""
    import labs

    names = labs.lab_names()
    if unknown := set(wanted) - {*names, "labs"}:
        sys.exit(f"snippets/labs/{min(unknown)}.py does not exist")
    names = [name for name in names if not wanted or name in wanted or "labs" in wanted]
    due = [n for n in names if unchanged_too or labs.recorded_digest(n) != digest(SNIPPETS / f"labs/{n}.py")]
    print(f"{len(due)} of {len(names)} labs to record", flush=True)
    failed = []
    for name in due:
        try:
            what = labs.record(name)
        except labs.LabError as error:
            failed.append(str(error))
            what = "FAILED, recorded files left as they were"
        print(f"labs/{name}: {what}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
