"""Run every claim again on seeds that its author did not choose.

Each snippet that draws random numbers runs ten times, all its seeds moved by an offset. The offsets come from
the date of the run through SHA-256, so nobody picks them. The claim holds where the assertions pass.
``snippets/<topic>/record.json`` keeps what was found, when and with what; the ledger shows it.
"""

import datetime
import hashlib
import re
import statistics
import sys
from pathlib import Path

from answerbook.model import (
    ENOUGH,
    RUNS,
    Snippet,
    read_snippets,
)
from answerbook.project import ROOT
from answerbook.run import runner
from answerbook.run.environment import environment
from answerbook.run.record import keep, select_names

CPU_SECONDS = 120  # fresh seeds may take a little longer than the recorded ones


def offsets(date: str) -> list[int]:
    """``RUNS`` offsets between 1,000 and a million that follow from the date alone."""
    digests = [hashlib.sha256(f"{date} {number}".encode()).digest() for number in range(RUNS)]
    return [1000 + int.from_bytes(value[:8], "big") % 999_000 for value in digests]


def run_on_fresh_seeds(snippet: Snippet, date: str) -> tuple[dict, list[str]]:
    """Run one snippet on fresh seeds.

    Returns:
        What its record keeps and the errors of the runs in which it did not hold. A
        snippet that draws nothing at random runs once.
    """

    def submit(offset):
        return runner.submit(
            snippet.source, f"{snippet.name}, seeds + {offset}", CPU_SECONDS, seed_offset=offset
        )

    first, *others = offsets(date)
    runs = [submit(first).result()]
    if runs[0].seeds or re.search(r"\brand", snippet.source):
        runs += [future.result() for future in [submit(offset) for offset in others]]
    errors = [run.error for run in runs if run.error]
    entry = {
        "digest": snippet.digest,
        "date": date,
        "held": len(runs) - len(errors),
        "runs": len(runs),
        "seeds": max(len(run.seeds) for run in runs),
        "cpu_seconds": round(statistics.median(run.cpu_seconds or 0 for run in runs), 1),
        **environment(),
    }
    return entry, errors


def holds(entry: dict | None, digest: str) -> bool:
    """Whether an entry is that of the present code and reports a claim that holds often enough."""
    return bool(entry) and entry["digest"] == digest and entry["held"] >= min(ENOUGH, entry["runs"])


def replicate(names: list[str], unchanged_too: bool = False, root: Path = ROOT) -> int:
    """Replicate what the names select, as far as its code changed; 1 if a claim holds too seldom."""
    snippets = read_snippets(root)
    selected = [snippets[name] for name in select_names(names, root)]
    due = [one for one in selected if unchanged_too or not holds(one.replication, one.digest)]
    date = datetime.date.today().isoformat()
    print(f"{len(due)} of {len(selected)} snippets to replicate", flush=True)
    short = []
    for number, snippet in enumerate(due, 1):
        entry, errors = run_on_fresh_seeds(snippet, date)
        keep(snippet.name, {"replication": entry}, root)
        print(f"[{number}/{len(due)}] {snippet.name}: held {entry['held']} of {entry['runs']}", flush=True)
        for error in errors:
            print("    " + error.strip().splitlines()[-1], flush=True)
        if not holds(entry, entry["digest"]):
            short.append(snippet.name)
    for name in short:
        print(
            f"snippets/{name}.py:1: holds too seldom; reword its claim or change its verdict", file=sys.stderr
        )
    return int(bool(short))
