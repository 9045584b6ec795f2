"""Verdicts under simulation: how often they are wrong, what they find, and that nobody picks the seeds."""

import json

import numpy as np
import pytest

from answerbook.project import ROOT
from answerbook.study import simulate, statistics


@pytest.fixture(scope="module")
def recorded() -> dict[tuple, dict]:
    """What ``--power`` found, by (n, shape, effect)."""
    rows = json.loads((ROOT / "studies/power.json").read_text())
    return {(row["n"], row["shape"], row["effect"]): row for row in rows}


@pytest.mark.parametrize("n", [10, 20])
def test_a_thousand_studies_without_any_effect(n, recorded):
    """At most 3 % say "holds", and of an effect that is there no more say "does not hold".

    A claim has a margin, here a quarter of a standard deviation. Hardest is a true effect on the margin
    itself: 2.5 % of normal intervals should lie above and 2.5 % below it.
    """
    assert simulate.rates(n, -0.25)["holds"] <= 0.03
    assert simulate.rates(n, 0.25)["fails"] <= 0.03
    hardest = recorded[n, "normal", 0.0]
    assert hardest["studies"] == 10_000 and max(hardest["holds"], hardest["fails"]) <= 0.03


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize("shape", simulate.SHAPES)
def test_intervals_cover_the_truth(n, shape, recorded):
    assert 0.93 <= recorded[n, shape, 0.0]["covered"] <= 0.97
    found = simulate.rates(n, 0.0, shape)
    for share in ("covered", "holds", "fails"):  # the record is of this code
        assert found[share] == pytest.approx(recorded[n, shape, 0.0][share], abs=0.025)


def test_plain_percentiles_would_not_cover(monkeypatch):
    monkeypatch.setattr(statistics, "expanded_level", lambda n: 0.95)
    assert simulate.rates(10, 0.0)["covered"] < 0.93


@pytest.mark.parametrize("n", [10, 20])
def test_power_is_as_recorded(n, recorded):
    power = [recorded[n, "normal", effect]["holds"] for effect in simulate.EFFECTS]
    assert power == sorted(power) and power[-1] > 0.99
    for effect in (0.5, 1.0):
        found = simulate.rates(n, effect, studies=500)["holds"]
        assert found == pytest.approx(recorded[n, "normal", effect]["holds"], abs=0.07)


def test_equal_differences_have_an_interval_of_no_width():
    assert statistics.interval(np.full(10, 0.25)) == (0.25, 0.25)
    assert statistics.interval(np.zeros((2, 10)))[0].tolist() == [0.0, 0.0]


def test_an_interval_of_many_values_is_students():
    values = np.random.default_rng(3).normal(2, 1, 1000)
    low, high = statistics.interval(values)
    assert [low, high] == pytest.approx([values.mean() - 0.0621, values.mean() + 0.0621], abs=0.005)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.011, 0.02, "holds"),
        (0.01, 0.02, "open"),
        (0.0, 0.01, "open"),
        (0.0, 0.009, "fails"),
        (-1, 1, "open"),
    ],
)
def test_verdict(low, high, expected):
    assert statistics.verdict(low, high, 0.01) == expected


def test_verdict_when():
    words = {
        (a, b): statistics.verdict_when(a, b)
        for a in ("holds", "fails", "open")
        for b in ("holds", "fails", "open")
    }
    assert words.pop(("holds", "fails")) == "holds-when"
    assert words.pop(("holds", "holds")) == "holds"
    assert words.pop(("holds", "open")) == "open"
    assert {word for (a, _), word in words.items() if a == "fails"} == {"fails"}
    assert {word for (a, _), word in words.items() if a == "open"} == {"open"}


def test_seeds_follow_from_the_code_and_never_come_again():
    first = statistics.certification_seeds("some digest", 20, ())
    assert first == statistics.certification_seeds("some digest", 20, ())
    assert len(set(first)) == 20 and all(0 <= seed < 2**31 for seed in first)
    second = statistics.certification_seeds("some digest", 20, first)
    assert not set(first) & set(second)
    assert first != statistics.certification_seeds("another digest", 20, ())
