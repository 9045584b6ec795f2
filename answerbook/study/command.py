"""Run the studies whose result is missing or stale, or only those named.

Stopped with Ctrl+C, the same command goes on where it was.
"""

import argparse
import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")})  # before torch

from answerbook.run.digest import code_digest  # noqa: E402
from answerbook.study import protocol, report, results, simulate  # noqa: E402
from answerbook.study.declare import StudyError  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
PRELOAD = ["torch", "numpy", "scipy.stats", "sklearn.datasets"]  # imported once, by the server of workers
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
                    results.replace(paths[n], json.dumps(records[n]).encode())
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

    def certify(self, name: str) -> list[results.Problem]:
        """Run one study and write its result and figure; what a check says about them.

        Raises:
            StudyError: it failed; the recorded files are as they were.
        """
        result = results.certify(self.root, name, self.run_all)
        results.write_result(self.root, name, result)
        results.replace(results.figure_path(self.root, name), report.forest_plot(result))
        shutil.rmtree(self.kept(name).parent, ignore_errors=True)
        for claim_id in result["claims"]:
            print(f"  {report.verdict_text(result, claim_id)}", flush=True)
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
    runner, failed = Runner(root, pool), []
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}", flush=True)
        try:
            if quick:
                results.quick(root, name, runner.run_all)
            else:
                failed += [f"{p.file}:{p.line}: {p.message}" for p in runner.certify(name)]
        except StudyError as error:
            failed.append(str(error))
            print("  FAILED, recorded files left as they were", flush=True)
    return failed


def workers(count: int) -> ProcessPoolExecutor:
    """Processes of one thread each, forked from a server that has only imported torch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return ProcessPoolExecutor(count, mp_context=context, initializer=_begin)


def _begin() -> None:
    """Leave Ctrl+C to the parent, and never outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m answerbook.study", description=__doc__)
    parser.add_argument("names", nargs="*", help="<topic>/<study>, or <topic> for all of it")
    parser.add_argument("--quick", action="store_true", help="each once with a few steps; writes nothing")
    parser.add_argument("--again", action="store_true", help="on new seeds although nothing changed")
    parser.add_argument("--check", action="store_true", help="check the recorded results; runs nothing")
    parser.add_argument("--figures", action="store_true", help="draw from the recorded results; runs nothing")
    parser.add_argument("--power", action="store_true", help="simulate the verdicts: studies/power.json")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (all cores)")
    args = parser.parse_args(arguments)
    failed = []
    try:
        names = select(root, args.names)
        if args.power:
            simulate.write(root)
        elif args.figures:
            for name in names:
                if result := results.read_result(root, name):
                    results.replace(results.figure_path(root, name), report.forest_plot(result))
        elif args.check:
            failed = [f"{p.file}:{p.line}: {p.message}" for p in results.check(root, names)]
        else:
            chosen = names if args.again or args.quick else due(root, names)
            print(f"{len(chosen)} of {len(names)} studies to run", flush=True)
            for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell's background ignores them
                signal.signal(number, signal.default_int_handler)
            pool = workers(args.jobs)
            try:
                failed = run(root, chosen, pool, args.quick)
            finally:
                processes = list((pool._processes or {}).values())
                pool.shutdown(wait=False, cancel_futures=True)
                for process in processes:
                    process.terminate()
    except StudyError as error:
        failed = [str(error)]
    except KeyboardInterrupt:
        print("\nstopped; finished runs are kept, the same command goes on", file=sys.stderr)
        return 130
    for line in failed:
        print(line, file=sys.stderr)
    return bool(failed)
