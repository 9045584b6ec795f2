"""One training under the protocol: what an arm gets, what it may not see, what is written down."""

import copy
import hashlib
import importlib.util
import math
import random
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from answerbook.run.digest import code_digest
from answerbook.study.declare import Study, StudyError

POINTS = 16  # of a validation curve; a multiple of 4, since the plateau compares quarters
QUICK_STEPS = 2
DIGITS = 6  # of every recorded value

_loaded: dict[Path, tuple[str, Study, torch.dtype]] = {}
_memory: dict[tuple, object] = {}  # what the arms of one seed share; in this process only


class Job(NamedTuple):
    """One arm with its knobs on one unit (a seed or the name of a photograph)."""

    root: str
    name: str  # <topic>/<study>
    digest: str  # of the study's code
    arm: str
    unit: int | str
    knobs: dict
    part: str  # what the model is measured on: "validation" to tune, "test" to certify
    quick: bool = False


class Parts:
    """The parts of the data as attributes, without the test set."""

    def __init__(self, parts: dict):
        vars(self).update({name: part for name, part in parts.items() if name != "test"})

    def __getattr__(self, name: str):
        if name == "test":
            raise StudyError("an arm reads the test set; choose and fit on data.train and data.validation")
        raise AttributeError(f"no part {name!r}; the study's data() returns {', '.join(vars(self))}")


class Run:
    """What one training draws from its pair and what is written down about it.

    All that it draws follows from the pair's seed and a key: arms that use the same keys get the same
    first weights and the same batches. ``seed`` and ``quick`` may be read.
    """

    def __init__(self, seed: int, quick: bool, score: Callable, home: tuple):
        self.seed, self.quick, self._score, self._home = seed, quick, score, home
        self.starts: dict[str, str] = {}
        self.orders: dict[str, str] = {}
        self.curves: dict[str, list[list[float]]] = {}
        self.steps = 0
        self.shared_steps: dict[str, int] = {}
        self._best: dict[str, tuple[float, dict]] = {}

    def number(self, key: str) -> int:
        """A seed in [0, 2^31) of this pair for one purpose."""
        return int.from_bytes(hashlib.sha256(f"{self.seed} {key}".encode()).digest()[:4], "big") >> 1

    def generator(self, key: str) -> torch.Generator:
        """A random generator of this pair for one purpose, say "augmentation"."""
        return torch.Generator().manual_seed(self.number(key))

    def initialize(self, make: Callable, key: str = "model") -> torch.nn.Module:
        """``make()`` with the pair's first weights; the same in every arm with that key."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.number(f"start {key}"))
            model = make()
        state = b"".join(t.detach().numpy().tobytes() for t in model.state_dict().values())
        self.starts[key] = hashlib.sha256(state).hexdigest()[:12]
        return model

    def batches(
        self, n: int, size: int, steps: int, watch=None, key: str = "model", counted: bool = True
    ) -> Iterator[torch.Tensor]:
        """Index tensors (size,) of ``steps`` batches from shuffled passes over ``n`` examples.

        Args:
            n: number of examples.
            size: of a batch; if n is smaller, every batch is all n.
            steps: number of batches, one optimizer step each.
            watch: the model, measured on validation data at 16 evenly spaced steps.
            key: what the order is for; arms with the same key, n, size and steps get the same order.
            counted: whether a batch is an optimizer step; False for examples beside another order's.
        """
        steps = min(steps, QUICK_STEPS) if self.quick else steps
        marks = {math.ceil(steps * k / POINTS) for k in range(1, POINTS + 1)}
        generator, seen, order = self.generator(f"batches {key}"), hashlib.sha256(), torch.empty(0, dtype=int)
        for step in range(1, steps + 1):
            if len(order) < size:
                order = torch.randperm(n, generator=generator)
            batch, order = order[:size], order[size:]
            seen.update(batch.numpy().tobytes())
            self.steps += counted
            self.orders[key] = seen.hexdigest()[:12]
            yield batch
            if watch is not None and step in marks:
                self._watch(watch, key, step)

    def _watch(self, model, key: str, step: int) -> None:
        score = self._score(model)
        self.curves.setdefault(key, []).append([step, score])
        if key not in self._best or score > self._best[key][0]:
            self._best[key] = score, copy.deepcopy(model.state_dict())

    def best(self, model: torch.nn.Module, key: str = "model") -> torch.nn.Module:
        """The model with the weights of its best watched step: early stopping, alike for all arms."""
        if key in self._best:  # in a quick run too few steps may have been watched
            model.load_state_dict(self._best[key][1])
        return model

    def shared(self, key: str, make: Callable):
        """``make(run)``, trained once for all arms of this seed: a teacher, a pretrained encoder.

        ``run`` is a run of its own, whose steps are counted apart. Give the key all that the result
        depends on besides the seed and the data. The caller gets a copy.
        """
        place = (*self._home, self.seed, key)
        if place not in _memory:
            own = Run(self.number(key), self.quick, self._score, self._home)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(own.number("everything else"))
                _remember(place, (make(own), own.steps))
        thing, self.shared_steps[key] = _memory[place]
        return copy.deepcopy(thing)


def split(seed: int, tensors: tuple, **sizes: int | None) -> dict[str, tuple]:
    """Disjoint random parts of tensors with a common first dimension.

    Args:
        seed: of the pair.
        tensors: each (N, ...).
        sizes: part -> number of examples; ``None`` for all that are left, at most once.
    """
    order = torch.randperm(len(tensors[0]), generator=torch.Generator().manual_seed(seed))
    rest = len(order) - sum(size or 0 for size in sizes.values())
    if rest < 0:
        raise StudyError(f"the parts need {-rest} examples more than there are; make one smaller")
    ends = np.cumsum([rest if size is None else size for size in sizes.values()])
    parts = np.split(order.numpy(), ends)
    return {name: tuple(t[index] for t in tensors) for name, index in zip(sizes, parts, strict=False)}


def load_study(root: Path, name: str) -> Study:
    """The STUDY of ``studies/<name>.py``, imported anew whenever its text changes.

    Raises:
        StudyError: the file does not run or defines no STUDY.
    """
    return _load(Path(root, "studies", f"{name}.py"))[1]


def _load(path: Path) -> tuple[str, Study, torch.dtype]:
    """Text, study, and the default number type that its own first lines set."""
    source, before = path.read_text(), torch.get_default_dtype()
    if _loaded.get(path, ("",))[0] != source:
        spec = importlib.util.spec_from_file_location(f"study_{path.parent.name}_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        try:
            exec(compile(source, str(path), "exec"), module.__dict__)
            _loaded[path] = source, module.STUDY, torch.get_default_dtype()
        except Exception as error:
            name = f"studies/{path.parent.name}/{path.name}"
            raise StudyError(f"{name} does not define its STUDY: {_words(error)}") from error
        finally:
            torch.set_default_dtype(before)
    return _loaded[path]


def run_job(job: Job) -> dict:
    """Train one arm once and measure it.

    Returns:
        values (metric -> number), starts and orders (key -> digest), curve ([step, score], larger is
        better), steps, shared_steps, cpu_seconds.

    Raises:
        StudyError: in one line what went wrong, with the file.
    """
    place = f"studies/{job.name}.py"
    _, study, dtype = _load(Path(job.root, place))
    started, before = _cpu_seconds(), torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.set_default_dtype(dtype)
    try:
        with _limit(study.budget):
            record = _run(job, study)
    except TimeoutError as error:
        raise StudyError(
            f"{place}: arm {job.arm!r} still runs after {study.budget:g} s; make it smaller"
        ) from error
    except Exception as error:
        raise StudyError(f"{place}: arm {job.arm!r}, {study.unit} {job.unit}: {_words(error)}") from error
    finally:
        torch.set_default_dtype(before)
    return record | {"cpu_seconds": round(_cpu_seconds() - started, 3)}


def _run(job: Job, study: Study) -> dict:
    if code_digest(Path(job.root, "studies", f"{job.name}.py").read_text()) != job.digest:
        raise StudyError("the file changed meanwhile; run the command again")
    home, arm = (job.name, job.digest, job.quick), study.arm(job.arm)
    seed = job.unit if study.data else int.from_bytes(hashlib.sha256(job.unit.encode()).digest()[:4], "big")
    first = next(iter(study.metrics))

    def measure(model, part) -> dict[str, float]:
        training = getattr(model, "training", False)
        if training:
            model.eval()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            values = {name: float(value) for name, value in study.measure(model, part).items()}
        if training:
            model.train()
        return values

    run = Run(seed, job.quick, lambda model: study.sign(first) * measure(model, data.validation)[first], home)
    random.seed(run.number("random"))
    np.random.seed(run.number("numpy"))
    torch.manual_seed(run.number("everything else"))
    if study.photographs:
        values = {name: float(value) for name, value in arm.fit(run, job.unit, **job.knobs).items()}
    else:
        if (*home, seed, "data") not in _memory:
            _remember((*home, seed, "data"), _disjoint(study.data(seed)))
        parts = copy.deepcopy(_memory[*home, seed, "data"])
        data = Parts(parts)
        values = measure(arm.fit(run, data, **job.knobs), parts[job.part])
    if set(values) != set(study.metrics):
        raise StudyError(f"measured {', '.join(sorted(values))}; the metrics are {', '.join(study.metrics)}")
    if job.part == "test" and not job.quick and not all(map(math.isfinite, values.values())):
        raise StudyError(f"a value is not finite: {values}")
    return {
        "values": {
            name: round(value, DIGITS) if math.isfinite(value) else None for name, value in values.items()
        },
        "starts": run.starts,
        "orders": run.orders,
        "curve": run.curves.get("model", []),
        "steps": run.steps,
        "shared_steps": run.shared_steps,
    }


def _disjoint(parts: dict) -> dict:
    """The parts, if no test example stands in another part."""
    missing = {"train", "validation", "test"} - set(parts)
    if missing:
        raise StudyError(f"data() returns no part {min(missing)!r}")
    rows = {name: _rows(part) for name, part in parts.items()}
    for name in rows:
        if name != "test" and (both := rows["test"] & rows[name]):
            raise StudyError(
                f"{len(both)} test examples are also in {name!r}; split before you copy or augment"
            )
    return parts


def _rows(part) -> set[bytes]:
    examples = part[0] if isinstance(part, tuple | list) else part
    return {np.ascontiguousarray(example).tobytes() for example in examples}


def _remember(place: tuple, thing) -> None:
    while len(_memory) >= 16:
        del _memory[next(iter(_memory))]
    _memory[place] = thing


@contextmanager
def _limit(seconds: float):
    """Raise TimeoutError in the block after so many seconds; signals need a process's main thread."""

    def late(*_):
        raise TimeoutError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _words(error: Exception) -> str:
    """An error in one line, with the line of the study it comes from."""
    trace, line = error.__traceback__, ""
    while trace:
        if "/studies/" in trace.tb_frame.f_code.co_filename:
            line = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    kind = "" if isinstance(error, StudyError) else f"{type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}{line}"
