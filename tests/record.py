"""Record what each snippet prints and draws: ``make record``.

Runs the snippets whose text changed since their last recording (``--all``: every one; names: only
these) and writes ``snippets/<topic>/<technique>.out`` and ``docs/figures/<topic>/<technique>.svg``.
A snippet that fails changes no recorded file.
"""

import argparse
import fcntl
import hashlib
import json
import os
import sys
from concurrent.futures import as_completed
from pathlib import Path

ROOT = Path(__file__).parent.parent
SNIPPETS = ROOT / "snippets"
MANIFEST = SNIPPETS / "recorded.json"  # snippet name -> sha256 of the text that was recorded


def snippet_names(root: Path = ROOT) -> list[str]:
    """Names ``<topic>/<technique>`` of all snippets, sorted."""
    return sorted(
        path.relative_to(root / "snippets").with_suffix("").as_posix()
        for path in (root / "snippets").glob("*/*.py")
    )


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


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


def write(run, sha: str) -> str:
    """Write one good run's files; returns what changed, in words."""
    changes = []

    def replace(path: Path, content: bytes, what: str) -> None:
        old = path.read_bytes() if path.exists() else None
        if old == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(content)
        os.replace(temporary, path)  # never a half-written file
        changes.append(f"{what} {'new' if old is None else 'changed'}")

    replace(SNIPPETS / f"{run.name}.out", run.stdout.encode(), "output")
    for path, svg in zip(figure_paths(run.name, len(run.figures)), run.figures):
        replace(path, svg, path.name)
    for path in existing_figures(run.name)[len(run.figures) :]:
        path.unlink()
        changes.append(f"{path.name} removed")
    with open(SNIPPETS / ".lock", "w") as lock:  # two recordings may run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        manifest = read_manifest() | {run.name: sha}
        known = set(snippet_names())
        manifest = {name: manifest[name] for name in sorted(manifest) if name in known}
        replace(MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode(), "manifest")
    return ", ".join(change for change in changes if "manifest" not in change) or "nothing changed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="<topic>/<technique>, or <topic> for all of it")
    parser.add_argument("--all", action="store_true", help="also those that did not change")
    args = parser.parse_args()

    names = snippet_names()
    wanted = [n.removeprefix("snippets/").removesuffix(".py") for n in args.names]
    for name in wanted:
        if name not in names and not any(n.startswith(f"{name}/") for n in names):
            sys.exit(f"snippets/{name}.py does not exist; the snippets are in snippets/<topic>/")
    if wanted:
        names = [n for n in names if n in wanted or n.split("/")[0] in wanted]
    manifest = read_manifest()
    due = {
        name: (SNIPPETS / f"{name}.py").read_bytes()
        for name in names
        if args.all
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
            failed.append(run)
            what = "FAILED, recorded files left as they were"
        else:
            what = write(run, hashlib.sha256(due[run.name]).hexdigest())
        print(f"[{done}/{len(due)}] {run.name} ({run.cpu_seconds:.1f} CPU s): {what}", flush=True)
    for run in failed:
        print(f"\n{run.error}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
