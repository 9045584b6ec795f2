"""Run every claim again on seeds that its author did not choose: ``make replicate``.

Each snippet that draws random numbers runs ten times, all its seeds moved by an offset. The offsets come from
the date of the run through SHA-256, so nobody picks them. The claim holds where the assertions pass.
``snippets/replicated.json`` keeps what was found, when and with what; the ledger shows it. Runs the
snippets whose text changed since (``--all``: every one; names: only these).
"""

import argparse
import datetime
import hashlib
import json
import platform
import re
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

import runner
from record import ROOT, SNIPPETS, digest, locked, replace, select_names, snippet_names

REPLICATED = SNIPPETS / "replicated.json"
RUNS = 10
ENOUGH = 9  # of RUNS; a claim that holds less often is reworded or its verdict changed
CPU_SECONDS = 120  # fresh seeds may take a little longer than the recorded ones


def read_replications(root: Path = ROOT) -> dict[str, dict]:
    """What the last replication of each snippet found, by the snippet's name."""
    path = root / "snippets/replicated.json"
    return json.loads(path.read_text()) if path.exists() else {}


def offsets(date: str) -> list[int]:
    """``RUNS`` offsets between 1,000 and a million that follow from the date alone."""
    digests = [hashlib.sha256(f"{date} {number}".encode()).digest() for number in range(RUNS)]
    return [1000 + int.from_bytes(value[:8], "big") % 999_000 for value in digests]


def environment() -> dict[str, str]:
    """The versions and the processor that a run used."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "python": platform.python_version(),
        "torch": version("torch"),
        "cpu": found[1] if found else platform.processor() or platform.machine(),
    }


def replicate(name: str, date: str) -> tuple[dict, list[str]]:
    """Run one snippet on fresh seeds.

    Returns:
        Its entry in ``replicated.json`` and the errors of the runs in which it did not hold. A
        snippet that draws nothing at random runs once.
    """
    path = SNIPPETS / f"{name}.py"
    sha, source = digest(path), path.read_text()

    def submit(offset):
        return runner.submit(source, f"{name}, seeds + {offset}", CPU_SECONDS, seed_offset=offset)

    first, *others = offsets(date)
    runs = [submit(first).result()]
    if runs[0].seeds or re.search(r"\brand", source):
        runs += [future.result() for future in [submit(offset) for offset in others]]
    errors = [run.error for run in runs if run.error]
    entry = {
        "sha256": sha,
        "date": date,
        "held": len(runs) - len(errors),
        "runs": len(runs),
        "seeds": max(len(run.seeds) for run in runs),
        "cpu_seconds": round(statistics.median(run.cpu_seconds for run in runs), 1),
        **environment(),
    }
    return entry, errors


def holds(entry: dict | None, sha: str) -> bool:
    """Whether an entry is that of the present text and reports a claim that holds often enough."""
    return bool(entry) and entry["sha256"] == sha and entry["held"] >= min(ENOUGH, entry["runs"])


def keep(name: str, entry: dict) -> None:
    """Put one entry into ``replicated.json``, in order."""
    with locked():  # two replications may run side by side
        entries = read_replications() | {name: entry}
        entries = {name: entries[name] for name in snippet_names() if name in entries}
        replace(REPLICATED, (json.dumps(entries, indent=1) + "\n").encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="<topic>/<technique>, or <topic> for all of it")
    parser.add_argument("--all", action="store_true", help="also those that did not change")
    args = parser.parse_args()
    names = select_names(args.names)
    known = read_replications()
    due = [
        name
        for name in names
        if args.all or not holds(known.get(name), digest(SNIPPETS / f"{name}.py"))
    ]
    date = datetime.date.today().isoformat()
    print(f"{len(due)} of {len(names)} snippets to replicate", flush=True)
    short = []
    for number, name in enumerate(due, 1):
        entry, errors = replicate(name, date)
        keep(name, entry)
        print(f"[{number}/{len(due)}] {name}: held {entry['held']} of {entry['runs']}", flush=True)
        for error in errors:
            print("    " + error.strip().splitlines()[-1], flush=True)
        if not holds(entry, entry["sha256"]):
            short.append(name)
    for name in short:
        print(f"snippets/{name}.py holds too seldom; reword its claim or change its verdict", file=sys.stderr)
    return bool(short)


if __name__ == "__main__":
    sys.exit(main())
