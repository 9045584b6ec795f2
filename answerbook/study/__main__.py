"""Run the studies whose result is missing or stale.

With names only these. Stopped with Ctrl+C, the same command goes on where it was.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")})  # before torch

import answerbook.study.protocol  # noqa: E402
from answerbook.run.digest import code_digest  # noqa: E402
from answerbook.study import report, results, simulate  # noqa: E402
from answerbook.study.declare import StudyError  # noqa: E402
from answerbook.study.protocol import Job, run_job  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
PRELOAD = [
    "torch",
    "numpy",
    "scipy.stats",
    "sklearn.datasets",
]  # imported once, in the server that forks workers


def select(root: Path, wanted: list[str]) -> list[str]:
    """The studies that a command line names: ``<topic>/<study>``, or ``<topic>`` for all of it."""
    names = results.study_names(root)
    wanted = [name.removeprefix("studies/").removesuffix(".py") for name in wanted]
    for name in wanted:
        if name not in names and not any(n.startswith(f"{name}/") for n in names):
            raise StudyError(f"studies/{name}.py does not exist; the studies are in studies/<topic>/")
    return [n for n in names if not wanted or n in wanted or n.split("/")[0] in wanted]


class Workers:
    """Processes that run jobs; finished jobs are kept in .cache/studies/ until the result is written."""

    def __init__(self, root: Path, count: int):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        self.root, self.spent = root, {}
        self.pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin)
        machinery = Path(answerbook.study.protocol.__file__).read_text()
        self.version = code_digest(machinery)

    def kept(self, name: str) -> Path:
        """The folder with the finished jobs of a study's present code."""
        key = hashlib.sha256((results.digest_of(self.root, name) + self.version).encode()).hexdigest()[:16]
        return self.root / ".cache" / "studies" / name / key

    def run_all(self, what: str, jobs: list[Job]) -> list[dict]:
        """The jobs' records in order; those that an earlier run finished are read.

        Raises:
            StudyError: a job fails, or the study has used up its CPU seconds.
        """
        name, records, started = jobs[0].name, {}, time.monotonic()
        before = self.spent.get(name, 0.0)  # in tuning, if this is the certification
        budget = results.load_study(self.root, name).budget
        paths = [
            self.kept(name) / f"{hashlib.sha256(repr(job).encode()).hexdigest()[:20]}.json" for job in jobs
        ]
        if what == "quick":
            paths = [Path(os.devnull)] * len(jobs)
        for number, path in enumerate(paths):
            if path.is_file():
                records[number] = json.loads(path.read_text())
        futures = {self.pool.submit(run_job, job): n for n, job in enumerate(jobs) if n not in records}
        try:
            for future in as_completed(futures):
                number = futures[future]
                records[number] = future.result()
                if what != "quick":
                    results.replace(paths[number], json.dumps(records[number]).encode())
                spent = before + sum(record["cpu_seconds"] for record in records.values())
                if spent > budget and what != "quick":
                    raise StudyError(
                        f"studies/{name}.py: more than {budget:g} CPU s, used up in {what}; make it smaller"
                    )
                _progress(name, what, len(records), len(jobs), started, spent)
        except BrokenProcessPool as error:
            raise StudyError(
                f"studies/{name}.py: a worker died in {what}; it may need less memory"
            ) from error
        finally:
            for future in futures:
                future.cancel()
        self.spent[name] = before + sum(record["cpu_seconds"] for record in records.values())
        return [records[number] for number in range(len(jobs))]

    def forget(self, name: str) -> None:
        """Drop the finished jobs of a study whose result is written."""
        for path in self.kept(name).glob("*.json"):
            path.unlink()

    def stop(self) -> None:
        """End the workers now."""
        processes = list((self.pool._processes or {}).values())
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's
    os.nice(10)


_shown = 0.0


def _progress(name: str, what: str, done: int, total: int, started: float, spent: float) -> None:
    global _shown
    if done == total or time.monotonic() - _shown > 5:
        _shown = time.monotonic()
        elapsed = time.monotonic() - started
        print(f"  {name}: {what} {done} of {total}, {elapsed:.0f} s, {spent:.0f} CPU s", flush=True)


def run(root: Path, names: list[str], workers: Workers, again: bool = False) -> list[str]:
    """Certify those of the studies that are due and write their results and figures.

    Returns:
        One line for each study that failed or whose result has a problem.
    """
    due = []
    for name in names:
        result = results.read_result(root, name)
        if again or result is None or result["digest"] != results.digest_of(root, name):
            due.append(name)
    print(f"{len(due)} of {len(names)} studies to run", flush=True)
    failed = []
    for number, name in enumerate(due, 1):
        print(f"[{number}/{len(due)}] {name}", flush=True)
        try:
            result = results.certify(root, name, workers.run_all)
        except StudyError as error:
            failed.append(str(error))
            print("  FAILED, recorded files left as they were", flush=True)
            continue
        results.write_result(root, name, result)
        results.replace(results.figure_path(root, name), report.forest_plot(result))
        workers.forget(name)
        for claim_id in result["claims"]:
            print(f"  {report.verdict_text(result, claim_id)}", flush=True)
        failed += [f"{p.file}:{p.line}: {p.message}" for p in results.check(root, [name])]
    return failed


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
    try:
        names = select(root, args.names)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    if args.power:
        simulate.write(root)
        return 0
    if args.figures:
        for name in names:
            if result := results.read_result(root, name):
                results.replace(results.figure_path(root, name), report.forest_plot(result))
        return 0
    failed = []
    if args.check:
        failed = [f"{p.file}:{p.line}: {p.message}" for p in results.check(root, names)]
    else:
        workers = Workers(root, args.jobs)
        try:
            if not args.quick:
                failed = run(root, names, workers, args.again)
            for name in names if args.quick else ():
                try:
                    results.quick(root, name, workers.run_all)
                except StudyError as error:
                    failed.append(str(error))
        except KeyboardInterrupt:
            print("\nstopped; finished runs are kept, the same command goes on", file=sys.stderr)
            return 130
        finally:
            workers.stop()
    for line in failed:
        print(line, file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
