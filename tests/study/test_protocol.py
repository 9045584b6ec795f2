"""What the protocol gives to an arm, keeps from it, and writes down; the toy study from run to page."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from answerbook.pages.studies import details_markdown, table_markdown, verdict_text
from answerbook.study import StudyError, protocol, report, results, split
from answerbook.study.command import due
from tests.study.toy import NAME, Toy

ROOT = Path(__file__).parent.parent.parent


def test_verdicts_of_the_toy(certified):
    assert certified.messages() == ""
    verdicts = {name: claim["verdict"] for name, claim in certified.result()["claims"].items()}
    assert verdicts == {
        "large-gains": "holds",
        "large-errs-less": "holds",
        "small-gains": "fails",
        "small-no-worse": "holds",
        "only-large": "holds-when",
    }
    arms = certified.result()["arms"]
    assert {name: arm["chosen"]["gain"] for name, arm in arms.items()} == {
        "none": 0.0,
        "small": 0.003,
        "large": 0.1,
    }
    assert all(len(values) == 10 for arm in arms.values() for values in arm["values"].values())


def test_arms_of_a_pair_share_start_order_and_random_numbers():
    one, other, next_pair = (protocol.Run(seed, False, lambda model: 0.0, ("toy",)) for seed in (5, 5, 6))
    torch.rand(3)  # what one arm draws beforehand does not matter
    for run in (one, other, next_pair):
        run.model = run.initialize(lambda: torch.nn.Linear(4, 4))
        run.order = torch.stack(list(run.batches(20, 6, 7)))
    assert torch.equal(one.order, other.order) and torch.equal(one.model.weight, other.model.weight)
    assert (one.starts, one.orders) == (other.starts, other.orders)
    assert one.starts["model"] != next_pair.starts["model"] and one.orders != next_pair.orders
    assert one.order[:3].flatten().unique().numel() == 18  # a pass repeats no example
    member = one.initialize(lambda: torch.nn.Linear(4, 4), "member 2")
    assert not torch.equal(member.weight, one.model.weight)
    assert one.steps == 7


def test_watching_a_model_changes_nothing_and_finds_its_best_step():
    def score(model):
        torch.rand(5)
        return -((model.weight.item() - 3) ** 2)

    run = protocol.Run(1, False, score, ("toy",))
    model = run.initialize(lambda: torch.nn.Linear(1, 1))
    for step, _ in enumerate(run.batches(10, 5, 32, watch=model), 1):
        model.weight.data.fill_(step / 4)
    assert [step for step, _ in run.curves["model"]] == list(range(2, 33, 2))
    assert run.best(model).weight.item() == 3.0


def test_what_arms_share_is_made_once_and_cannot_be_spoiled():
    made = []

    def make(own):
        made.append(list(own.batches(10, 5, 4)))
        return own.initialize(lambda: torch.nn.Linear(1, 1))

    runs = [protocol.Run(77, False, lambda model: 0.0, ("toy", "shared")) for _ in range(2)]
    first = runs[0].shared("teacher", make)
    weight = first.weight.item()
    first.weight.data.zero_()
    assert runs[1].shared("teacher", make).weight.item() == weight
    assert len(made) == 1 and runs[1].shared_steps == {"teacher": 4} and runs[1].steps == 0


def test_split_is_disjoint_and_complete():
    x = torch.arange(100)
    parts = split(3, (x, -x), train=30, rest=None, test=20)
    assert {name: len(part[0]) for name, part in parts.items()} == {"train": 30, "rest": 50, "test": 20}
    assert torch.equal(torch.cat([part[0] for part in parts.values()]).sort().values, x)
    assert all(torch.equal(a, -b) for a, b in parts.values())
    with pytest.raises(StudyError, match="make one smaller"):
        split(3, (x,), train=101)


def test_photographs_are_units(tmp_path):
    toy = Toy(tmp_path)
    toy.code.write_text("""
from answerbook.study import Arm, Claim, Study

def fit(run, photograph, bonus):
    crops = run.generator(photograph)  # many crops, one value
    import torch
    return {"score": len(photograph) / 10 + bonus + 0.01 * torch.rand(9, generator=crops).mean().item()}

STUDY = Study(
    question="?",
    arms=[Arm("a", fit, {"bonus": [0.0, 0.1]}), Arm("b", fit, {"bonus": [0.0, -0.1]})],
    claims=[Claim("c", "a beats b.", "a", "b", "score", 0.05, skeptic="Chance.")],
    metrics={"score": "larger"},
    equal="the network",
    photographs=[f"photo {'x' * k}" for k in range(12)],
    tuning_photographs=["one", "two"],
)
""")
    assert toy.certify() == []
    result = toy.result()
    assert result["unit"] == "photograph" and result["units"][0] == "photo " and len(result["units"]) == 12
    claim = result["claims"]["c"]
    assert claim["verdict"] == "holds" and claim["with"]["difference"] == pytest.approx(0.1)
    assert "12 photographs" in table_markdown(result)
    toy.change('["one", "two"]', '["photo xx"]')
    assert "is for tuning and for certification" in toy.messages()


def test_a_page_gets_tables_verdicts_details_and_a_figure(certified):
    result = certified.result()
    table = table_markdown(result)
    assert table.count("\n| ") == 3 and "gain 0.1" in table and "| 16 |" in table
    line = verdict_text(result, "small-gains")
    assert line.startswith("Does not hold here: A small gain gains.") and "Refutes: Everything gains." in line
    assert "Refutes" not in verdict_text(result, "small-no-worse")
    assert verdict_text(result, "only-large").startswith("Holds when it is large:")
    details = details_markdown(result)
    assert str(result["units"][0]) in details and "**gain 0.1, noise 0.01**" in details
    svg = report.forest_plot(result)
    assert svg == report.forest_plot(result) == results.figure_path(certified.root, NAME).read_bytes()
    assert svg.startswith(b"<?xml") and b"DOCTYPE" not in svg and b"<metadata>" not in svg


def test_history(toy):
    first = toy.result()
    assert due(toy.root, [NAME]) == []
    toy.change('"""Does the gain gain?"""', '"""Does it?"""  # a comment')
    assert due(toy.root, [NAME]) == [] and toy.messages() == ""
    toy.certify()  # again: the same code, new seeds
    second = toy.result()
    assert second["digest"] == first["digest"] and toy.messages() == ""
    toy.change('"noise": [0.01]', '"noise": [0.2]')
    assert due(toy.root, [NAME]) == [NAME]
    toy.certify()
    third = toy.result()
    assert [entry["digest"] for entry in third["history"]] == [first["digest"]] * 2
    seeds = [*first["units"], *second["units"], *third["units"], 0, 1, 2]
    assert len(set(seeds)) == len(seeds) == 33
    assert "Certified 3 times; earlier: holds (" in verdict_text(third, "large-gains")
    assert details_markdown(third).count("Earlier certification") == 2
    assert toy.messages() == ""


def test_a_recorded_pair_comes_again(toy):
    for index in (0, 7, 12345):
        assert results.repeat_pair(toy.root, NAME, index) == []
    toy.edit(lambda result: result["arms"]["large"]["values"]["score"].__setitem__(1, 0.9))
    (problem,) = results.repeat_pair(toy.root, NAME, 5)  # the first claim on the second seed
    assert "recorded 0.9" in problem.message and problem.line > 1


def test_stopped_and_resumed(toy):
    """Ctrl+C in the middle: finished runs are not run again, and the result is that of one go."""
    whole = toy.result()
    toy.file.unlink()
    toy.change("def fit(run, data, gain, noise):", "def fit(run, data, gain, noise):\n    note(gain)")
    toy.code.write_text(
        toy.code.read_text()
        + f"""

def note(gain):
    from pathlib import Path
    with open({str(toy.root / "log")!r}, "a") as log:
        log.write("+")
    if Path({str(toy.root / "stop")!r}).exists() and len(Path({str(toy.root / "log")!r}).read_text()) == 11:
        raise KeyboardInterrupt
"""
    )
    (toy.root / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        toy.certify()
    assert not toy.file.exists()
    kept = list(toy.root.glob(f".cache/studies/{NAME}/*/*.json"))
    (toy.root / "stop").unlink()
    (toy.root / "log").unlink()
    assert toy.certify() == []
    jobs = 3 * 2 * 3 + 3 * 10
    assert len(kept) == 10 and len((toy.root / "log").read_text()) == jobs - 10
    assert toy.result()["arms"]["large"]["grid"] == whole["arms"]["large"]["grid"]
    assert not list(toy.root.glob(f".cache/studies/{NAME}/*"))


def test_the_command_stops_at_ctrl_c_and_goes_on(tmp_path):
    """In real processes, with Ctrl+C as a terminal sends it."""
    toy = Toy(tmp_path)
    toy.change("    return run.best(model)", "    __import__('time').sleep(0.05)\n    return run.best(model)")
    program = (
        "import sys; from pathlib import Path; from answerbook.study import command\n"
        "try:\n"
        f"    sys.exit(bool(command.certify([], False, False, 2, Path({str(tmp_path)!r}))))\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    command, options = [sys.executable, "-c", program], {"cwd": ROOT, "text": True}
    first = subprocess.Popen(command, **options, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".cache/studies/*/*/*/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=60) == 130
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".cache/studies/*/*/*/*.json")}
    assert kept and not toy.file.exists()
    second = subprocess.run(command, **options, capture_output=True, timeout=120)
    assert second.returncode == 0, second.stderr
    assert "certification 30 of 30" in second.stdout and toy.messages() == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError('no\\nluck')", r"arm 'large', seed 1: ValueError: no luck \(line 21\)"),
        ("while True: pass", "still runs after 0.5 s; make it smaller"),
        ("import time; time.sleep(60)", "still runs after 0.5 s; make it smaller"),
    ],
)
def test_a_study_that_raises_or_hangs(toy, body, expected):
    before = toy.file.read_bytes()
    toy.change("    model = run.initialize(network)\n", f"    {body}\n")
    toy.change("budget=60", "budget=0.5")
    with pytest.raises(StudyError, match=r"^studies/toys/gain.py: .*" + expected):
        toy.run("large")
    with pytest.raises(StudyError):
        toy.certify_here()
    assert toy.file.read_bytes() == before


def test_a_study_over_its_budget(toy):
    before = toy.file.read_bytes()
    toy.change("budget=60", "budget=0.001")
    with pytest.raises(StudyError, match="over 0.001 CPU s, in tuning; make it smaller"):
        toy.certify()
    assert toy.file.read_bytes() == before


def test_a_study_that_changes_while_it_runs(toy):
    def run_all(what, jobs):
        if what == "certification":
            toy.change("STEPS = 16", "STEPS = 32")
        return [protocol.run_job(job) for job in jobs]

    with pytest.raises(StudyError, match="the file changed meanwhile; run the command again"):
        results.certify(toy.root, NAME, run_all)


def test_a_quick_run_writes_nothing(toy):
    before = {path: path.read_bytes() for path in toy.root.rglob("*.*") if path.is_file()}
    jobs = []
    results.quick(
        toy.root, NAME, lambda what, todo: jobs.extend(todo) or [protocol.run_job(job) for job in todo]
    )
    assert [job.arm for job in jobs] == ["none", "small", "large"]
    assert toy.run("large", quick=True)["steps"] == 2
    assert {path: path.read_bytes() for path in toy.root.rglob("*.*") if path.is_file()} == before
