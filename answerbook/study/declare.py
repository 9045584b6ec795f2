"""What a study says before it runs: arms, claims with their margins, seeds and budget."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from answerbook.project import Trouble

ASPECTS = ("start", "batches", "steps", "plateau", "grid")  # what arms share unless one says why not
MIN_PAIRS = 10
MAX_BUDGET = 600  # CPU seconds
DIRECTIONS = {"larger": 1.0, "smaller": -1.0}  # which values of a metric are better


class StudyError(Trouble):
    """A study that cannot be run as it is; the message names its file and the remedy in one line."""


@dataclass(frozen=True)
class Arm:
    """One way of doing it.

    Attributes:
        name: as the table shows it.
        fit: ``fit(run, data, **knobs)`` trains on ``data.train`` and returns the model; ``data`` has
            no test set. In a study of photographs ``fit(run, photograph, **knobs)`` returns the
            values of all metrics for that photograph (crops averaged).
        grid: knob -> candidates; every combination is tried. Candidates in their natural order, so
            that a choice at an edge can be seen; of equally good ones the first is taken.
        differs: what this arm does not share with the others, and why: ``{"steps": "five networks"}``.
            One of "start", "batches", "steps", "plateau", "grid". The table shows it.
    """

    name: str
    fit: Callable
    grid: dict[str, Sequence] = field(default_factory=dict)
    differs: dict[str, str] = field(default_factory=dict)

    def candidates(self) -> list[dict]:
        """All combinations of the knobs, the last knob changing fastest."""
        return [
            dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())
        ]

    def edges(self, knobs: dict) -> list[str]:
        """The knobs that were chosen at an end of three or more candidates: the best may lie beyond."""
        ends = {name: (values[0], values[-1]) for name, values in self.grid.items() if len(values) > 2}
        return [name for name, values in ends.items() if knobs[name] in values]


@dataclass(frozen=True)
class Claim:
    """One sentence that could be false, and the arm that could refute it.

    Attributes:
        id: short name in the result file and on the page.
        sentence: the claim, to be read before any result is known.
        arm, rival: names of the arms; the difference is ``arm - rival``, turned so that larger is better.
        metric: what is compared.
        margin: the smallest effect that would matter to a practitioner, in units of the metric.
        skeptic: what would explain the effect without the claim; ``rival`` is the arm that does that.
        no_worse: the claim is that ``arm`` loses at most ``margin`` against ``rival``.
        without: a second pair (arm, rival) without the condition ``when``; the claim then is that the
            effect is there with the condition and not there without it.
        when: the condition in words that go on after "Holds": "when images are few", "with augmentation".
        refutes: the popular claim that is refuted if this one does not hold.
    """

    id: str
    sentence: str
    arm: str
    rival: str
    metric: str
    margin: float
    skeptic: str
    no_worse: bool = False
    without: tuple[str, str] | None = None
    when: str = ""
    refutes: str = ""

    @property
    def threshold(self) -> float:
        """Where the interval of the difference must lie above."""
        return -self.margin if self.no_worse else self.margin

    def pairs(self) -> dict[str, tuple[str, str]]:
        """The compared arms: under "with", and under "without" if there is a condition."""
        pair = {"with": (self.arm, self.rival)}
        return pair | ({"without": self.without} if self.without else {})


@dataclass(frozen=True)
class Study:
    """One question of a practitioner with all its arms.

    Attributes:
        question: as a practitioner asks it.
        arms, claims: see :class:`Arm` and :class:`Claim`.
        metrics: name -> "larger" or "smaller" is better. Knobs and the plateau go by the first.
        equal: what all arms share, in a sentence for the page.
        data: ``data(seed)`` returns the named parts, each a tensor or a tuple of tensors (first
            dimension: examples), among them "train", "validation" and "test". :func:`split` helps.
        measure: ``measure(model, part)`` returns the value of every metric on such a part.
        photographs, tuning_photographs: instead of ``data`` and ``measure``, the names of the
            photographs for certification and for tuning; the unit then is the photograph.
        pairs: number of certification seeds.
        tuning_seeds: those on which the knobs are chosen.
        budget: CPU seconds for all of it.
        plateau: how much better the first metric may still get on validation data from the third to the
            fourth quarter of training; too much is a mean above it that is no chance (three units or more).
    """

    question: str
    arms: Sequence[Arm]
    claims: Sequence[Claim]
    metrics: dict[str, str]
    equal: str
    data: Callable | None = None
    measure: Callable | None = None
    photographs: Sequence[str] = ()
    tuning_photographs: Sequence[str] = ()
    pairs: int = MIN_PAIRS
    tuning_seeds: Sequence[int] = (0, 1, 2)
    budget: float = MAX_BUDGET
    plateau: float = 0.005

    @property
    def unit(self) -> str:
        return "photograph" if self.photographs else "seed"

    @property
    def tuning_units(self) -> list:
        return list(self.tuning_photographs if self.photographs else self.tuning_seeds)

    @property
    def tuned(self) -> bool:
        """Whether any arm has a choice; then all arms run on the tuning units."""
        return any(len(arm.candidates()) > 1 for arm in self.arms)

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def sign(self, metric: str) -> float:
        """1 if larger values of the metric are better, otherwise -1."""
        return DIRECTIONS[self.metrics[metric]]

    def problems(self) -> list[tuple[str, str]]:
        """What the declaration lacks: (text to look for in the file, message with remedy)."""
        found = []
        names = [arm.name for arm in self.arms]
        if not self.metrics or set(self.metrics.values()) - set(DIRECTIONS):
            found.append(("metrics", 'metrics: give at least one, each "larger" or "smaller" is better'))
        if len(names) < 2 or len(set(names)) < len(names):
            found.append(("arms", "a study has at least two arms, each with its own name"))
        if len({claim.id for claim in self.claims}) < max(1, len(self.claims)):
            found.append(("claims", "a study has at least one claim, each with its own id"))
        count = len(self.photographs) if self.photographs else self.pairs
        if count < MIN_PAIRS:
            found.append(("pairs", f"{count} pairs; an interval needs at least {MIN_PAIRS}"))
        if bool(self.photographs) == bool(self.data and self.measure):
            found.append(("Study(", "give either data and measure, or photographs"))
        if shared := set(self.photographs) & set(self.tuning_photographs):
            found.append(
                (min(shared), f"{min(shared)!r} is for tuning and for certification; take it out of one")
            )
        if not 0 < self.budget <= MAX_BUDGET:
            found.append(("budget", f"a study has at most {MAX_BUDGET} CPU seconds; make it smaller"))
        sizes = {arm.name: len(arm.candidates()) for arm in self.arms if "grid" not in arm.differs}
        if len(set(sizes.values())) > 1:
            text = ", ".join(f"{name}: {size}" for name, size in sizes.items())
            found.append(("grid", f"every arm gets as many candidates ({text}), or differs={{'grid': why}}"))
        if self.tuned and len(self.tuning_units) < 2:
            found.append(("tuning", f"knobs are chosen on tuning {self.unit}s; name at least two"))
        for arm in self.arms:
            if json.loads(json.dumps(arm.candidates(), default=str)) != arm.candidates():
                found.append((arm.name, f"arm {arm.name!r}: as knobs give numbers, texts or lists of them"))
            if wrong := set(arm.differs) - set(ASPECTS):
                found.append((arm.name, f"differs: {min(wrong)!r} is none of {', '.join(ASPECTS)}"))
        for claim in self.claims:
            for name in itertools.chain(*claim.pairs().values()):
                if name not in names:
                    found.append(
                        (claim.id, f"claim {claim.id}: its arm {name!r} is not among the arms; add it")
                    )
            if any(arm == rival for arm, rival in claim.pairs().values()):
                found.append((claim.id, f"claim {claim.id}: an arm cannot be its own rival; name the rival"))
            if not claim.skeptic.strip():
                found.append(
                    (claim.id, f"claim {claim.id}: no skeptic; say what else would explain the effect")
                )
            if claim.metric not in self.metrics:
                found.append((claim.id, f"claim {claim.id}: {claim.metric!r} is not among the metrics"))
            if claim.margin < 0 or bool(claim.without) != bool(claim.when):
                found.append(
                    (claim.id, f"claim {claim.id}: margin >= 0, and `without` and `when` go together")
                )
        return found
