"""Run Python sources exactly as a reader would: alone, in an empty folder, as ``__main__``.

A fresh interpreter spends seconds importing torch. Here every source gets its own process, forked
from a server process that has imported torch and done nothing else (a parent that ever ran a
multi-threaded operation would make its children hang). ``make record`` and the tests share this.
"""

import functools
import json
import multiprocessing
import os
import re
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path

CPU_SECONDS = 60  # the house limit for one snippet, on one core
WALL_SECONDS = 300  # a sleeping process uses no CPU time; generous because machines are shared
WORKERS = os.cpu_count() or 1
PRELOAD = [
    "torch",
    "torch._dynamo",
    "torch.utils.flop_counter",
    "numpy",
    "matplotlib.pyplot",
    "scipy.ndimage",
    "scipy.signal",
    "sklearn.datasets",
    "sklearn.model_selection",
    "skimage.data",
]
# One thread each: as many snippets run as there are cores. Digits must not depend on it: `make elsewhere`
# runs them with two threads and as other processors compute.
THREADS = os.environ.get("SNIPPET_THREADS", "1")
ENVIRONMENT = {
    "OMP_NUM_THREADS": THREADS,
    "MKL_NUM_THREADS": THREADS,
    "OPENBLAS_NUM_THREADS": THREADS,
    "OMP_WAIT_POLICY": "PASSIVE",
    "MPLBACKEND": "svg",
}
_starting = threading.Lock()
ROOT = str(Path(__file__).resolve().parents[2])


@functools.cache
def _start():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return context


def context():
    """The server that the sources' processes are forked from; only it sees ``ENVIRONMENT``."""
    with _starting:  # two threads that change the environment at once would not leave it as it was
        return _start()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WORKERS)


@dataclass
class Run:
    """What one source did: ``error`` is empty when it ended well."""

    name: str
    stdout: str = ""
    error: str = ""
    figures: list[bytes] = field(default_factory=list)  # SVG, in the order shown
    cpu_seconds: float | None = None  # None: it was killed before it could tell
    seeds: tuple[int, ...] = ()  # those it set, noted where they were shifted

    @property
    def cost(self) -> str:
        """What it cost, in words."""
        return "killed" if self.cpu_seconds is None else f"{self.cpu_seconds:.1f} CPU s"


def submit(source: str, name: str, *limits, **options) -> Future[Run]:
    """Queue a source for :func:`run`, which explains the arguments; ``WORKERS`` run at a time."""
    return _pool().submit(run, source, name, *limits, **options)


def run(
    source: str,
    name: str,
    cpu_limit: float = CPU_SECONDS,
    wall_limit: float = WALL_SECONDS,
    seed_offset: int | None = None,
    again: bool = True,
) -> Run:
    """Run ``source`` in a process of its own, as ``__main__`` from a file in an empty folder.

    Args:
        source: Python text.
        name: what error messages call it; also seeds the ids inside its SVG figures.
        cpu_limit: CPU seconds after which it is killed.
        wall_limit: wall-clock seconds after which it is killed.
        seed_offset: added to each seed that the source sets; ``None`` leaves it alone.
        again: whether to run it once more if its exit code gets lost.

    Returns:
        What it did. A source that raises, hangs or dies gives a :class:`Run` with ``error``.
    """
    folder = Path(tempfile.mkdtemp(prefix="answer-book-"))
    try:
        (folder / "empty").mkdir()
        (folder / "empty" / "snippet.py").write_text(source)
        process = context().Process(target=_child, args=(str(folder), name, cpu_limit, seed_offset))
        process.start()
        process.join(wall_limit)
        timed_out = process.is_alive()
        if timed_out:
            os.killpg(process.pid, signal.SIGKILL)  # its own children too
            process.join()
        result = Run(name, stdout=(folder / "stdout").read_text(errors="replace"))
        stderr = (folder / "stderr").read_text(errors="replace")
        if process.exitcode == 255 and not stderr and again:
            # What multiprocessing says when its server lost a child's exit code, once in thousands.
            return run(source, name, cpu_limit, wall_limit, seed_offset, again=False)
        if (folder / "usage.json").exists():
            usage = json.loads((folder / "usage.json").read_text())
            result.cpu_seconds, result.seeds = usage["cpu_seconds"], tuple(usage["seeds"])
        if timed_out:
            result.error = f"{name}: killed, still running after {wall_limit:g} s of wall time"
        elif process.exitcode == -signal.SIGXCPU:
            result.error = f"{name}: killed after {cpu_limit:g} CPU seconds; make it smaller"
            result.cpu_seconds = cpu_limit
        elif process.exitcode != 0:
            result.error = f"{name}: failed with exit code {process.exitcode}\n{stderr}"
        else:
            figures = sorted(folder.glob("figure-*.svg"))
            result.figures = [_portable_svg(path.read_text()) for path in figures]
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _child(folder: str, name: str, cpu_limit: float, seed_offset: int | None) -> None:
    """Body of the forked process: set the scene, run the file, leave with its exit code."""
    os.setpgid(0, 0)  # one group to kill
    os.nice(10)  # others in this session go first: tests in the foreground, or a reader's work
    for descriptor, target in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}/{target}", os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    os.chdir(f"{folder}/empty")
    before = _cpu_seconds()
    soft = int(before + cpu_limit) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 5))

    import matplotlib
    import matplotlib.pyplot as plt
    import torch
    from scipy.linalg import LinAlgWarning
    from scipy.optimize import OptimizeWarning
    from sklearn.exceptions import ConvergenceWarning

    torch.set_num_threads(int(THREADS))
    # Same input, same bytes: no date, no version, ids from the name.
    matplotlib.rcParams.update({"svg.hashsalt": name, "savefig.bbox": "tight"})
    shown = []

    def show(*args, **kwargs):
        for number in plt.get_fignums():
            shown.append(number)
            plt.figure(number).savefig(
                f"{folder}/figure-{len(shown):02d}.svg", metadata={"Date": None, "Creator": None}
            )
        plt.close("all")

    plt.show = show
    seeds: set[int] = set()
    if seed_offset is not None:
        from answerbook.run.fresh_seeds import shift_seeds  # imports torch, which this module does not

        seeds = shift_seeds(seed_offset)
        # The processes that a snippet starts draw from the same seeds as their parent.
        Path(folder, "sitecustomize.py").write_text(
            f"import sys; sys.path.append({ROOT!r})\n"
            f"from answerbook.run.fresh_seeds import shift_seeds; shift_seeds({seed_offset})\n"
        )
        os.environ["PYTHONPATH"] = folder
    sys.argv = ["snippet.py"]
    sys.path[0:0] = [os.getcwd()]
    code = 0
    try:
        with warnings.catch_warnings():
            # A fit that stopped before its end has digits that depend on the processor.
            unfinished = ConvergenceWarning, LinAlgWarning, OptimizeWarning
            for category in (DeprecationWarning, FutureWarning, *unfinished):
                warnings.simplefilter("error", category)
            # The whole path: processes that the snippet spawns look for it from another folder.
            runpy.run_path(os.path.abspath("snippet.py"), run_name="__main__")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    usage = {"cpu_seconds": _cpu_seconds() - before, "seeds": sorted(seeds)}
    Path(folder, "usage.json").write_text(json.dumps(usage))
    os._exit(code)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _portable_svg(text: str) -> bytes:
    """Drop the DOCTYPE (EPUB forbids it) and the empty metadata block (it names hosts)."""
    text = re.sub(r"<!DOCTYPE.*?>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text.encode()
