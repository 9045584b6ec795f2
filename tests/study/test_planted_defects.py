"""Each unfair comparison that the protocol forbids, planted in the toy study or its result, is caught."""

import re

import pytest

from answerbook.study import StudyError, results
from tests.study.toy import NAME, SOURCE

REMEDIES = re.compile(
    "run `|restore|make|build|draw|train|choose|split|give|add|name|say|or |need|none of|goes|delete"
)


def caught_in_code(toy, message: str) -> None:
    """The study does not run, and one line says why, where and what to do."""
    with pytest.raises(StudyError, match=message) as caught:
        toy.certify_here()
    text = str(caught.value)
    assert text.startswith(f"studies/{NAME}.py") and "\n" not in text and REMEDIES.search(text), text


def caught_in_result(toy, *messages: str) -> None:
    """The check reports it, with file and line."""
    text = toy.messages()
    for message in messages:
        assert re.search(message, text), text
    assert all(REMEDIES.search(line) for line in text.splitlines()), text


def test_test_data_used_to_fit(toy):
    toy.change(
        "    model = run.initialize(network)\n", "    x = data.test\n    model = run.initialize(network)\n"
    )
    caught_in_code(
        toy, r"an arm reads the test set; choose and fit on data.train and data.validation \(line 21\)"
    )


def test_test_data_among_the_training_data(toy):
    toy.change("    return split(seed, (x,),", "    return split(seed, (x.repeat(2, 1)[:120],),")
    toy.change("torch.rand(120, 1,", "torch.rand(60, 1,")
    caught_in_code(toy, "test examples are also in '(train|validation)'; split before you copy")


def test_knobs_chosen_on_test_data(toy):
    """The better candidate on test data, or by hand, is not the one of the recorded validation scores."""
    toy.edit(lambda result: result["arms"]["none"].update(chosen={"gain": -0.2, "noise": 0.01}))
    caught_in_result(toy, "arm 'none': its knobs do not have the best validation score")


@pytest.mark.parametrize(
    "spoil", [lambda grid: grid.pop(0), lambda grid: grid.clear(), lambda grid: grid[0]["scores"].pop()]
)
def test_another_grid(toy, spoil):
    toy.edit(lambda result: spoil(result["arms"]["none"]["grid"]))
    caught_in_result(toy, "arm 'none': its grid is not the one of the code")


def test_unpaired_weights(toy):
    toy.change("run.initialize(network)", "run.initialize(lambda: torch.nn.Linear(1, 1 + (gain > 0)))")
    caught_in_code(toy, "'large' and 'none' do not start from the same weights; build both by run.initialize")


def test_unpaired_weights_by_an_own_seed(toy):
    toy.change("network)\n", "lambda: (torch.manual_seed(int(gain * 1000) % 97), network())[1])\n")
    caught_in_code(toy, "do not start from the same weights")


def test_unpaired_batches(toy):
    toy.change("run.batches(20, 5,", "run.batches(20 if gain > 0 else 19, 5,")
    caught_in_code(toy, "'large' and 'none' do not see the same batches; draw both by run.batches")


def test_unequal_steps(toy):
    toy.change("STEPS, watch", "STEPS * (2 if gain > 0 else 1), watch")
    caught_in_code(toy, "do not see the same batches")
    toy.change(
        '{"gain": [-0.1, 0.1], "noise": [0.01]}',
        '{"gain": [-0.1, 0.1], "noise": [0.01]}, {"batches": "more"}',
    )
    toy.change(
        '{"gain": [0.003, -0.1], "noise": [0.01]}',
        '{"gain": [0.003, -0.1], "noise": [0.01]}, {"batches": "more"}',
    )
    caught_in_code(toy, "'large' and 'none' train for 32.0 and 16.0 steps; make them equal, or say why")
    toy.change('{"batches": "more"}', '{"batches": "more", "steps": "two passes"}')
    toy.certify()
    assert toy.messages() == ""


def test_other_arms_in_the_result(toy):
    def spoil(result):
        result["arms"]["large"].update(start="0123456789ab", batches="0123456789ab", steps=99)

    toy.edit(spoil)
    caught_in_result(toy, "do not start", "the same batches", "99 and 16.0 steps")


def test_a_rival_left_out_of_the_study(toy):
    toy.change('        Arm("none", fit, {"gain": [-0.2, 0.0], "noise": [0.01]}),\n', "")
    caught_in_code(toy, r"line 39: claim large-gains: its arm 'none' is not among the arms; add it")


def test_a_claim_without_a_skeptic(toy):
    toy.change('skeptic="Noise."', 'skeptic=""')
    caught_in_code(toy, "claim large-gains: no skeptic; say what else would explain the effect")


def test_a_rival_left_out_of_the_result(toy):
    toy.edit(lambda result: result["arms"].pop("none"))
    caught_in_result(toy, "arm 'none' is left out")


def test_a_value_left_out(toy):
    toy.edit(lambda result: result["arms"]["none"]["values"]["score"].pop())
    caught_in_result(toy, "arm 'none' is left out, or some of its 10 values are")


def test_pairs_left_out(toy):
    def spoil(result):
        del result["units"][7:]
        for arm in result["arms"].values():
            for values in arm["values"].values():
                del values[7:]

    toy.edit(spoil)
    caught_in_result(toy, "these are not the study's 10 seeds")


def test_a_result_that_is_none(toy):
    toy.edit(lambda result: result["claims"].update(result.pop("arms")))
    caught_in_result(toy, r"cannot be read as a result \(KeyError\('arms'\)\); restore it from git")
    toy.file.write_text("{")
    caught_in_result(toy, "cannot be read as a result")


def test_a_grid_of_another_size(toy):
    toy.change('"gain": [-0.1, 0.1]', '"gain": [-0.1, 0.1, 0.2]')
    caught_in_code(toy, r"as many candidates \(none: 2, small: 2, large: 3\)")


@pytest.mark.parametrize("where", ["tuning", "history", "itself"])
def test_a_reused_seed(toy, where):
    def spoil(result):
        if where == "history":
            result["history"] = [results.summary(result) | {"digest": "earlier"}]
        else:
            result["units"][3] = 1 if where == "tuning" else result["units"][2]

    toy.edit(spoil)
    caught_in_result(toy, "was used before" if where != "itself" else "do not follow from its code")


def test_seeds_picked_by_hand(toy):
    toy.edit(lambda result: result.update(units=list(range(100, 110))))
    caught_in_result(toy, "the seeds of attempt 1 do not follow from its code")


def test_a_first_attempt_forgotten(toy):
    toy.certify()
    assert len(toy.result()["history"]) == 1
    toy.edit(lambda result: result.update(history=[]))
    caught_in_result(toy, "the seeds of attempt 1 do not follow from its code")


def test_a_plateau_not_reached(toy):
    loop = "    for index in run.batches(20, 5, STEPS, watch=model):\n"
    toy.change(loop, f"{loop}        model.value += 0.005 * (gain >= 0)\n")
    caught_in_code(toy, "arm '.*' still gains 0.02.* in the last quarter of its curve; train longer")
    toy.change('"noise": [0.01]}', '"noise": [0.01]}, {"plateau": "the claim is about 16 steps"}')
    toy.certify()
    assert toy.messages() == ""


def test_a_plateau_not_reached_in_the_result(toy):
    toy.edit(lambda result: result["arms"]["none"].update(late=[0.03, 0.04, 0.05] * 3))
    caught_in_result(toy, "arm 'none' still gains 0.0400")


def test_no_curve(toy):
    toy.change("STEPS, watch=model", "STEPS")
    caught_in_code(toy, "arm 'none' has no validation curve; give run.batches watch=model")


def test_a_stale_result(toy):
    toy.change("STEPS = 16", "STEPS = 32")
    caught_in_result(
        toy, rf"studies/toys/gain.json:\d+: the code changed since; run `make study ONLY={NAME}`"
    )


def test_a_result_that_is_missing(toy):
    toy.file.unlink()
    caught_in_result(toy, "gain.py:.*: no result is recorded; run `make study ONLY=")


def test_a_figure_that_is_missing(toy):
    results.figure_path(toy.root, NAME).unlink()
    caught_in_result(
        toy, "docs/figures/toys/gain.svg:1: the figure is missing; run `python -m answerbook study "
    )


def test_a_result_without_a_study(toy):
    toy.code.unlink()
    assert [p.message for p in results.check(toy.root)] == ["belongs to no study; delete it"]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("verdict", lambda claim: claim.update(verdict="holds")),
        ("with", lambda claim: claim["with"]["interval"].__setitem__(1, 0.08)),
        ("with", lambda claim: claim["with"].update(difference=0.01)),
        ("with", lambda claim: claim["with"].update(better_in=10)),
        ("threshold", lambda claim: claim.update(threshold=0.0)),
        ("refutes", lambda claim: claim.update(refutes="")),
    ],
)
def test_a_verdict_edited_by_hand(toy, key, change):
    toy.edit(lambda result: change(result["claims"]["small-gains"]))
    caught_in_result(
        toy, rf"gain.json:\d\d+: claim small-gains: {key} does not follow from the recorded values"
    )


def test_a_value_edited_by_hand(toy):
    toy.edit(lambda result: result["arms"]["small"]["values"]["score"].__setitem__(0, 3.0))
    caught_in_result(toy, "claim small-gains: with does not follow from the recorded values")


def test_a_claim_left_out(toy):
    toy.edit(lambda result: result["claims"].pop("small-gains"))
    caught_in_result(toy, "claim small-gains: .* does not follow")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("budget=60", "budget=601", "at most 600 CPU seconds"),
        ("[-0.1, 0.1]", "[(0, 1), (1, 0)]", "arm 'large': as knobs give numbers, texts or lists of them"),
        ("budget=60", "budget=60, tuning_seeds=[7]", "tuning seeds; name at least two"),
        ("budget=60", "budget=60, pairs=9", "9 pairs; an interval needs at least 10"),
        ("    data=data,\n", "", "give either data and measure, or photographs"),
        ('"error": "smaller"', '"error": "lower"', 'each "larger" or "smaller" is better'),
        ('"error", 0.05', '"errors", 0.05', "'errors' is not among the metrics"),
        ('"large", "none", "error"', '"large", "large", "error"', "an arm cannot be its own rival"),
        (', when="when it is large"', "", "`without` and `when` go together"),
        ("STUDY =", "STUDIES =", r"does not define its STUDY: AttributeError"),
        ("import torch\n", "import torch_\n", r"does not define its STUDY: ModuleNotFoundError.*\(line 3\)"),
        (
            '"error": -model.value',
            '"errors": -model.value',
            "measured errors, score; the metrics are score, error",
        ),
        ("gain + noise", "float('nan') + noise", "a value is not finite"),
    ],
)
def test_declarations_that_lack_something(toy, old, new, message):
    assert old in SOURCE
    toy.change(old, new)
    with pytest.raises(StudyError, match=message) as caught:
        toy.certify_here()
    assert f"studies/{NAME}.py" in str(caught.value) and "\n" not in str(caught.value)
