"""The toy study in a folder of its own, and how its tests run and spoil it."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from answerbook.project import Problem
from answerbook.study import protocol, results
from answerbook.study.command import Runner

NAME = "toys/gain"
SOURCE = '''"""Does the gain gain?"""

import torch

from answerbook.study import Arm, Claim, Study, split

torch.set_default_dtype(torch.float64)
STEPS = 16


def data(seed):
    x = torch.rand(120, 1, generator=torch.Generator().manual_seed(seed))
    return split(seed, (x,), train=20, validation=50, test=None)


def network():
    return torch.nn.Linear(1, 1)


def fit(run, data, gain, noise):
    model = run.initialize(network)
    model.value = gain + noise * torch.randn(1, generator=run.generator(f"noise {gain}")).item()
    for index in run.batches(20, 5, STEPS, watch=model):
        assert data.train[0][index].shape == (5, 1)
    return run.best(model)


def measure(model, part):
    return {"score": part[0].mean() + model.value, "error": -model.value}


STUDY = Study(
    question="Does the gain gain?",
    arms=[
        Arm("none", fit, {"gain": [-0.2, 0.0], "noise": [0.01]}),
        Arm("small", fit, {"gain": [0.003, -0.1], "noise": [0.01]}),
        Arm("large", fit, {"gain": [-0.1, 0.1], "noise": [0.01]}),
    ],
    claims=[
        Claim("large-gains", "A large gain gains.", "large", "none", "score", 0.05, skeptic="Noise."),
        Claim("large-errs-less", "And errs less.", "large", "none", "error", 0.05, skeptic="Noise."),
        Claim("small-gains", "A small gain gains.", "small", "none", "score", 0.05, skeptic="Noise.",
              refutes="Everything gains."),
        Claim("small-no-worse", "It does not lose.", "small", "none", "score", 0.05, skeptic="Noise.",
              no_worse=True),
        Claim("only-large", "A gain gains if large.", "large", "none", "score", 0.05, skeptic="Noise.",
              without=("small", "none"), when="when it is large"),
    ],
    metrics={"score": "larger", "error": "smaller"},
    equal="everything",
    data=data,
    measure=measure,
    budget=60,
)
'''


class Toy:
    """A repository with one study."""

    def __init__(self, root: Path):
        self.root = root
        self.code, self.file = root / f"studies/{NAME}.py", root / f"studies/{NAME}.json"
        self.code.parent.mkdir(parents=True, exist_ok=True)
        if not self.code.exists():
            self.code.write_text(SOURCE)

    def change(self, old: str, new: str) -> None:
        """Replace a text of the code that must be there."""
        text = self.code.read_text()
        assert old in text, f"{old!r} is not in the toy study"
        self.code.write_text(text.replace(old, new))

    def edit(self, change) -> None:
        """Edit the recorded result by hand: ``change(result)``."""
        result = json.loads(self.file.read_text())
        change(result)
        self.file.write_text(json.dumps(result, indent=1))

    def certify(self) -> list[Problem]:
        """As the command does it, in one thread of this process."""
        with ThreadPoolExecutor(1) as pool:
            return Runner(self.root, pool).certify(NAME)

    def certify_here(self) -> dict:
        """The result of a certification in this thread, where time limits work; writes nothing."""
        return results.certify(self.root, NAME, lambda what, todo: [protocol.run_job(job) for job in todo])

    def run(self, arm: str = "large", unit: int = 1, part: str = "test", quick: bool = False) -> dict:
        """One job of the toy study in this process."""
        knobs = results.load_study(self.root, NAME).arm(arm).candidates()[0]
        return protocol.run_job(
            protocol.Job(
                str(self.root), NAME, results.digest_of(self.root, NAME), arm, unit, knobs, part, quick
            )
        )

    def messages(self) -> str:
        """All that a check says, a line each."""
        found = results.check(self.root)
        assert all(re.fullmatch(r"(studies|docs/figures)/toys/gain\.(py|json|svg)", p.file) for p in found), (
            found
        )
        return "\n".join(f"{p.file}:{p.line}: {p.message}" for p in found)

    def result(self) -> dict:
        return results.read_result(self.root, NAME)
