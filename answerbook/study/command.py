"""Run the studies whose result is missing or stale, or only those named.

Stopped with Ctrl+C, the same command goes on where it was.
"""

import hashlib
import json
import multiprocessing.connection
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from answerbook.pages.studies import verdict_text
from answerbook.project import ROOT, Problem, replace
from answerbook.run import runner
from answerbook.run.digest import code_digest
from answerbook.study import protocol, report, results
from answerbook.study.declare import StudyError

SECONDS = 5  # between two lines of progress


class Runner:
    """Runs jobs on an executor and keeps finished ones in .cache/studies/ until the result is written."""

    def __init__(self, root: Path, pool: Executor):
        self.root, self.pool, self.spent, self.shown = Path(root), pool, {}, 0.0
        self.version = code_digest(Path(protocol.__file__).read_text())

    def kept(self, name: str) -> Path:
        """The folder with the finished jobs of a study's present code."""
        key = hashlib.sha256((results.digest_of(self.root, name) + self.version).encode()).hexdigest()[:16]
        return self.root / ".cache" / "studies" / name / key

    def run_all(self, what: str, jobs: list[protocol.Job]) -> list[dict]:
        """The jobs' records in order; those that an earlier command finished are read.

        Raises:
            StudyError: a job fails, or the study has used up its CPU seconds.
        """
        name, started = jobs[0].name, time.monotonic()
        budget, before = results.load_study(self.root, name).budget, self.spent.get(name, 0.0)
        folder = self.kept(name)
        paths = [folder / f"{hashlib.sha256(repr(job).encode()).hexdigest()[:20]}.json" for job in jobs]
        records = {n: json.loads(path.read_text()) for n, path in enumerate(paths) if path.exists()}
        futures = {
            self.pool.submit(protocol.run_job, jobs[n]): n for n in range(len(jobs)) if n not in records
        }
        try:
            for future in as_completed(futures):
                n = futures[future]
                records[n] = future.result()
                if not jobs[n].quick:
                    replace(paths[n], json.dumps(records[n]).encode())
                spent = before + sum(record["cpu_seconds"] for record in records.values())
                if spent > budget:
                    raise StudyError(f"studies/{name}.py: over {budget:g} CPU s, in {what}; make it smaller")
                if len(records) == len(jobs) or time.monotonic() - self.shown > SECONDS:
                    self.shown = time.monotonic()
                    times = f"{self.shown - started:.0f} s, {spent:.0f} CPU s in all"
                    print(f"  {name}: {what} {len(records)} of {len(jobs)}, {times}", flush=True)
        except BrokenProcessPool as error:
            raise StudyError(
                f"studies/{name}.py: a worker died in {what}; it may need less memory"
            ) from error
        finally:
            for future in futures:
                future.cancel()
        self.spent[name] = before + sum(record["cpu_seconds"] for record in records.values())
        return [records[n] for n in range(len(jobs))]

    def certify(self, name: str) -> list[Problem]:
        """Run one study and write its result and figure; what a check says about them.

        Raises:
            StudyError: it failed; the recorded files are as they were.
        """
        result = results.certify(self.root, name, self.run_all)
        results.write_result(self.root, name, result)
        replace(results.figure_path(self.root, name), report.forest_plot(result))
        shutil.rmtree(self.kept(name).parent, ignore_errors=True)
        for claim_id in result["claims"]:
            print(f"  {verdict_text(result, claim_id)}", flush=True)
        return results.check(self.root, [name])


def select(root: Path, wanted: list[str]) -> list[str]:
    """The studies that a command line names: ``<topic>/<study>``, or ``<topic>`` for all of it."""
    names = results.study_names(root)
    wanted = [name.removeprefix("studies/").removesuffix(".py") for name in wanted]
    for name in wanted:
        if name not in names and not any(n.startswith(f"{name}/") for n in names):
            raise StudyError(f"studies/{name}.py does not exist; the studies are in studies/<topic>/")
    return [n for n in names if not wanted or n in wanted or n.split("/")[0] in wanted]


def due(root: Path, names: list[str]) -> list[str]:
    """Those of the studies without a result of their present code."""
    found = {name: results.read_result(root, name) for name in names}
    return [name for name in names if (found[name] or {}).get("digest") != results.digest_of(root, name)]


def run(root: Path, names: list[str], pool: Executor, quick: bool = False) -> list[str]:
    """Certify studies one after the other, or run each with a few steps; a line for each that failed."""
    one, failed = Runner(root, pool), []
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}", flush=True)
        try:
            if quick:
                results.quick(root, name, one.run_all)
            else:
                failed += map(str, one.certify(name))
        except StudyError as error:
            failed.append(str(error))
            print("  FAILED, recorded files left as they were", flush=True)
    return failed


def workers(count: int) -> ProcessPoolExecutor:
    """Processes of one thread each, forked from the server that snippets run from too."""
    return ProcessPoolExecutor(count, mp_context=runner.context(), initializer=_begin)


def _begin() -> None:
    """Leave Ctrl+C to the parent, and never outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def certify(names: list[str], again: bool, is_quick: bool, jobs: int, root: Path = ROOT) -> list[str]:
    """Certify what the names select; a line for each that failed.

    Args:
        names: <topic>/<study>, or <topic> for all of it; empty: all studies.
        again: on new seeds, although nothing changed; the earlier result moves to the history.
        is_quick: each once with a few steps; nothing is written.
        jobs: how many processes.
        root: the project's folder.

    Raises:
        StudyError: there is no such study.
    """
    selected = select(root, names)
    chosen = selected if again or is_quick else due(root, selected)
    print(f"{len(chosen)} of {len(selected)} studies to run", flush=True)
    with working(jobs) as pool:
        return run(root, chosen, pool, is_quick)


def repeat(names: list[str], share: tuple[int, int], jobs: int, root: Path = ROOT) -> list[str]:
    """Run all recorded pairs again; a line for each value that does not come again.

    ``share`` (i, n) takes of the selected studies each n-th, from the i-th on, so that n machines share them.
    """
    chosen = select(root, names)[share[0] - 1 :: share[1]]
    with working(jobs) as pool:
        one, found = Runner(root, pool), []
        for name in chosen:
            found += map(str, results.repeat(root, name, one.run_all))
            shutil.rmtree(one.kept(name).parent, ignore_errors=True)
    print(f"{len(chosen)} studies repeated: {', '.join(chosen) or 'none'}", flush=True)
    return found


@contextmanager
def working(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of workers that ends with the block, also at Ctrl+C."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell's background ignores them
        signal.signal(number, signal.default_int_handler)
    pool = workers(jobs)
    try:
        yield pool
    finally:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def draw(names: list[str], root: Path = ROOT) -> None:
    """Draw the figures of recorded results anew."""
    for name in select(root, names):
        if result := results.read_result(root, name):
            replace(results.figure_path(root, name), report.forest_plot(result))
