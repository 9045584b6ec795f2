"""From runs to a result file, and from a result file back to what it must say."""

import datetime
import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from answerbook.project import Problem, replace
from answerbook.run.digest import code_digest
from answerbook.run.environment import environment
from answerbook.study.declare import Arm, Claim, Study, StudyError
from answerbook.study.protocol import DIGITS, Job, load_study, run_job
from answerbook.study.statistics import certification_seeds, chance, interval, verdict, verdict_when

TOLERANCE = 0.002  # between a recorded value and the same run on another processor


def study_names(root: Path) -> list[str]:
    """Names ``<topic>/<study>`` of all studies, sorted."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in Path(root, "studies").glob("*/*.py"))


def digest_of(root: Path, name: str) -> str:
    """What a result belongs to: the study's code without comments and docstrings."""
    return code_digest(Path(root, "studies", f"{name}.py").read_text())


def read_result(root: Path, name: str) -> dict | None:
    """The recorded result of a study, or None."""
    path = Path(root, "studies", f"{name}.json")
    return json.loads(path.read_text()) if path.exists() else None


def write_result(root: Path, name: str, result: dict) -> None:
    """Replace the result file, never half of it; lists of numbers stay on one line."""
    text = json.dumps(result, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + " ".join(m[1].split()) + "]", text)
    replace(Path(root, "studies", f"{name}.json"), (text + "\n").encode())


# A certification


def certify(root: Path, name: str, run_all: Callable[[str, list[Job]], list[dict]]) -> dict:
    """Tune every arm, then run all pairs: the new result, with earlier ones in its history.

    Args:
        root: of the repository.
        name: ``<topic>/<study>``.
        run_all: ``run_all(what, jobs)`` runs jobs and returns their records in order.

    Raises:
        StudyError: the declaration lacks something, arms are not comparable, or a run fails. What
            shows in the tuning runs stops it before any certification seed is spent.
    """
    study, earlier, digest = checked(root, name), read_result(root, name), digest_of(root, name)
    history = [*earlier["history"], summary(earlier)] if earlier else []
    spent = []

    def records_of(what: str, plan: list[tuple[Arm, dict]], units: list, part: str) -> list[list[dict]]:
        jobs = [
            Job(str(root), name, digest, arm.name, unit, knobs, part) for unit in units for arm, knobs in plan
        ]
        records = run_all(what, jobs)
        spent.extend(record["cpu_seconds"] for record in records)
        return [records[k :: len(plan)] for k in range(len(plan))]

    arms = {arm.name: {"chosen": arm.candidates()[0], "edges": [], "grid": []} for arm in study.arms}
    plan = [(arm, knobs) for arm in study.arms for knobs in arm.candidates()]
    if study.tuned:
        part = "test" if study.photographs else "validation"  # a tuning photograph is no test photograph
        for (arm, knobs), own in zip(plan, records_of("tuning", plan, study.tuning_units, part), strict=True):
            entry = arms[arm.name]
            scores = [record["values"][next(iter(study.metrics))] for record in own]
            entry["grid"].append({"knobs": knobs, "scores": scores})
            if best_candidate(study, entry["grid"]) == knobs:  # of those so far
                entry |= {"chosen": knobs, "edges": arm.edges(knobs)} | training(study, own)
        for needle, message in fairness(study, arms):
            raise StudyError(f"{_place(root, name, needle)}: {message} (seen while tuning)")
    units = certification_units(study, digest, history)
    plan = [(arm, arms[arm.name]["chosen"]) for arm in study.arms]
    for (arm, _), own in zip(plan, records_of("certification", plan, units, "test"), strict=True):
        values = {metric: [record["values"][metric] for record in own] for metric in study.metrics}
        intervals = {metric: ends(values[metric]) for metric in study.metrics}
        arms[arm.name] |= training(study, own)
        arms[arm.name] |= {"values": values, "intervals": intervals, "differs": arm.differs}
    return {
        "study": name,
        "digest": digest,
        "date": datetime.date.today().isoformat(),
        **environment("numpy"),
        "cpu_seconds": round(sum(spent), 1),
        "question": study.question,
        "equal": study.equal,
        "metrics": study.metrics,
        "unit": study.unit,
        "tuning": study.tuning_units,
        "units": units,
        "claims": decide(study, arms),
        "arms": arms,
        "history": history,
    }


def checked(root: Path, name: str) -> Study:
    """The study, if its declaration lacks nothing.

    Raises:
        StudyError: naming the first lack, its file and line.
    """
    study = load_study(Path(root), name)
    for needle, message in study.problems():
        raise StudyError(f"{_place(root, name, needle)}: {message}")
    return study


def _place(root: Path, name: str, needle: str) -> str:
    return f"studies/{name}.py, line {line_of(Path(root, 'studies', f'{name}.py'), needle)}"


def certification_units(study: Study, digest: str, history: Sequence[dict]) -> list:
    """The photographs, or seeds from the code that neither tuning nor an earlier certification used."""
    if study.photographs:
        return list(study.photographs)
    used = {*study.tuning_seeds, *(unit for entry in history for unit in entry["units"])}
    return certification_seeds(digest, study.pairs, used)


def best_candidate(study: Study, grid: list[dict]) -> dict:
    """The knobs with the best mean validation score over the tuning units; the first of equals."""
    sign = study.sign(next(iter(study.metrics)))

    def score(entry) -> float:
        return -math.inf if None in entry["scores"] else round(sign * float(np.mean(entry["scores"])), 9)

    return max(grid, key=score)["knobs"]


def training(study: Study, records: list[dict]) -> dict:
    """How an arm was trained: steps, digests of starts and batches, the mean validation curve.

    "late" is, for each run, how much better the last quarter of its curve is than the third, on average.
    """
    length = min(len(record["curve"]) for record in records)
    points = np.array([record["curve"][:length] for record in records]).reshape(len(records), length, 2)
    scores, quarter = points[:, :, 1], length // 4
    late = scores[:, -quarter:].mean(1) - scores[:, -2 * quarter : -quarter].mean(1) if quarter else []
    sign = study.sign(next(iter(study.metrics)))
    return {
        "steps": round(float(np.mean([record["steps"] for record in records])), 1),
        "shared_steps": records[0]["shared_steps"],
        "start": _digest([record["starts"].get("model") for record in records]),
        "batches": _digest([record["orders"].get("model") for record in records]),
        "curve": {
            "steps": [int(step) for step in points[:1, :, 0].ravel()],
            "mean": [round(sign * float(score), DIGITS) for score in scores.mean(0)],
        },
        "late": [round(float(gain), DIGITS) for gain in late],
    }


def _digest(values: list) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12] if any(values) else ""


def decide(study: Study, arms: dict[str, dict]) -> dict[str, dict]:
    """Differences, intervals and verdicts of all claims, from the arms' recorded values."""
    return {claim.id: _decide(study, claim, arms) for claim in study.claims}


def ends(values) -> list[float]:
    """The 95 % interval of the mean of ``values`` (n,), as it is recorded."""
    return [round(float(end), DIGITS) for end in interval(np.array(values, float))]


def _decide(study: Study, claim: Claim, arms: dict[str, dict]) -> dict:
    found, verdicts = {}, []
    for condition, (arm, rival) in claim.pairs().items():
        values = (np.array(arms[name]["values"][claim.metric], float) for name in (arm, rival))
        differences = study.sign(claim.metric) * np.subtract(*values)
        low, high = ends(differences)
        verdicts.append(verdict(low, high, claim.threshold))
        found[condition] = {
            "arm": arm,
            "rival": rival,
            "difference": round(float(differences.mean()), DIGITS),
            "interval": [low, high],
            "better_in": int((differences > 0).sum()),
        }
    return {
        "sentence": claim.sentence,
        "metric": claim.metric,
        "threshold": claim.threshold,
        "when": claim.when,
        "skeptic": claim.skeptic,
        "refutes": claim.refutes,
        **found,
        "verdict": verdict_when(*verdicts) if claim.without else verdicts[0],
    }


def summary(result: dict) -> dict:
    """What the history keeps of a certification."""
    claims = {
        name: {
            key: claim[key] for key in ("sentence", "threshold", "with", "without", "verdict") if key in claim
        }
        for name, claim in result["claims"].items()
    }
    return {key: result[key] for key in ("digest", "date", "units")} | {"claims": claims}


# What a result must say


def fairness(study: Study, arms: dict[str, dict]) -> list[tuple[str, str]]:
    """Arms that are compared but not comparable, and arms not trained to the end: (needle, message)."""
    found = []
    texts = {
        "start": "do not start from the same weights; build both by run.initialize with the same layers",
        "batches": "do not see the same batches; draw both by run.batches with the same n, size and steps",
        "steps": "train for {} and {} steps; make them equal",
    }
    for claim in study.claims:
        for names in claim.pairs().values():
            pair = [study.arm(name) for name in names]
            for aspect, text in texts.items():
                one, other = (arms[arm.name][aspect] for arm in pair)
                if one != other and not any(aspect in arm.differs for arm in pair):
                    text = text.format(one, other)
                    why = f"or say why: differs={{'{aspect}': …}}"
                    found.append((claim.id, f"claim {claim.id}: {names[0]!r} and {names[1]!r} {text}, {why}"))
    for arm in study.arms:
        late = np.array(arms[arm.name]["late"])
        if not arms[arm.name]["steps"] or "plateau" in arm.differs:
            continue
        if not len(late):
            found.append(
                (arm.name, f"arm {arm.name!r} has no validation curve; give run.batches watch=model")
            )
        elif len(late) > 2 and late.mean() > max(study.plateau, chance(late)):
            text = f"arm {arm.name!r} still gains {late.mean():.4f} in the last quarter of its curve"
            why = "train longer, or claim about time: differs={'plateau': …}"
            found.append((arm.name, f"{text}; {why}"))
    return found


REDO = "it was edited by hand, so restore it from git or run `python -m answerbook study NAME --again`"


def verify(study: Study, result: dict) -> list[tuple[str, str]]:
    """What a result of the study's present code says without ground: (text to look for, message)."""
    count = len(result["units"])
    for arm in study.arms:
        values = result["arms"].get(arm.name, {}).get("values", {})
        if any(len(values.get(metric, [])) != count for metric in study.metrics):
            return [(arm.name, f"arm {arm.name!r} is left out, or some of its {count} values are; {REDO}")]
    found = _verify_units(study, result) + _verify_knobs(study, result)
    for name, arm in result["arms"].items():
        if not _agree(
            {metric: ends(arm["values"][metric]) for metric in study.metrics}, arm.get("intervals")
        ):
            found.append((name, f"arm {name!r}: its intervals do not follow from its values; {REDO}"))
    for name, claim in decide(study, result["arms"]).items():
        recorded = result["claims"].get(name, {})
        for key in sorted(set(claim) | set(recorded)):
            if not _agree(claim.get(key), recorded.get(key)):
                found.append((name, f"claim {name}: {key} does not follow from the recorded values; {REDO}"))
    return found + fairness(study, result["arms"])


def _verify_units(study: Study, result: dict) -> list[tuple[str, str]]:
    if study.photographs:
        same = result["units"] == list(study.photographs)
        return [] if same else [("units", f"these are not the study's photographs; {REDO}")]
    found, seen = [], list(study.tuning_seeds)
    if len(result["units"]) != study.pairs:
        found.append(("units", f"these are not the study's {study.pairs} seeds; {REDO}"))
    for number, entry in enumerate([*result["history"], result], 1):
        units = entry["units"]
        if again := set(seen) & set(units):
            found.append((str(min(again)), f"seed {min(again)} was used before; {REDO}"))
        elif units != certification_seeds(entry["digest"], len(units), seen):
            found.append(("units", f"the seeds of attempt {number} do not follow from its code; {REDO}"))
        seen += units
    return found


def _verify_knobs(study: Study, result: dict) -> list[tuple[str, str]]:
    found = []
    for arm in study.arms:
        entry = result["arms"][arm.name]
        tried = [row["knobs"] for row in entry["grid"]]
        counts = {len(row["scores"]) for row in entry["grid"]} | {len(result["tuning"])}
        if tried != (arm.candidates() if study.tuned else []) or counts != {len(study.tuning_units)}:
            found.append((arm.name, f"arm {arm.name!r}: its grid is not the one of the code; {REDO}"))
        elif entry["chosen"] != (best_candidate(study, entry["grid"]) if tried else arm.candidates()[0]):
            message = "its knobs do not have the best validation score, so they were chosen on other data"
            found.append((arm.name, f"arm {arm.name!r}: {message}; {REDO}"))
    return found


def _agree(one, other) -> bool:
    """Equal, or numbers that differ in the last recorded digit."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=2 * 10**-DIGITS)
    return one == other


def check(root: Path, names: Sequence[str] | None = None) -> list[Problem]:
    """All problems of the studies and their recorded results; nothing is trained."""
    root, found = Path(root), []
    for name in study_names(root) if names is None else names:
        code, file = f"studies/{name}.py", f"studies/{name}.json"
        for path, needle, message in _problems(root, name, code, file):
            found.append(Problem(path, line_of(root / path, needle), message))
        if (root / file).exists() and not figure_path(root, name).exists():
            remedy = f"run `python -m answerbook study {name} --figures`"
            found.append(Problem(f"docs/figures/{name}.svg", 1, f"the figure is missing; {remedy}"))
    for path in sorted(root.glob("studies/*/*.json")):
        if not path.with_suffix(".py").exists():
            found.append(Problem(path.relative_to(root).as_posix(), 1, "belongs to no study; delete it"))
    return found


def _problems(root: Path, name: str, code: str, file: str) -> list[tuple[str, str, str]]:
    """Of one study: (file, text to look for, message)."""
    remedy = f"run `make study ONLY={name}`"
    try:
        study = load_study(root, name)
        if lacks := study.problems():
            return [(code, needle, message) for needle, message in lacks]
        if (result := read_result(root, name)) is None:
            return [(code, "STUDY", f"no result is recorded; {remedy}")]
        if result["digest"] != digest_of(root, name):
            return [(file, '"digest"', f"the code changed since; {remedy}")]
        return [(file, needle, message) for needle, message in verify(study, result)]
    except StudyError as error:
        return [(code, "", str(error))]
    except (ValueError, KeyError, TypeError) as error:
        return [(file, "", f"cannot be read as a result ({error!r}); restore it from git")]


def figure_path(root: Path, name: str) -> Path:
    """Where the forest plot of a study lies."""
    return Path(root, "docs", "figures", f"{name}.svg")


def line_of(path: Path, needle: str) -> int:
    """The first line of a file that contains the text, from 1; 1 if none does."""
    lines = path.read_text().splitlines()
    return next((number for number, line in enumerate(lines, 1) if needle in line), 1)


def repeat(
    root: Path, name: str, run_all: Callable, arms: Sequence[str] = (), numbers: Sequence[int] = ()
) -> list[Problem]:
    """Run recorded pairs again with the knobs that were chosen; the values must come again.

    Args:
        root: of the repository.
        name: ``<topic>/<study>``; its recorded result is of its present code.
        run_all: as for :func:`certify`.
        arms, numbers: which arms on which units, by their place in the result; empty: all.

    Returns:
        A problem for each value that differs by more than ``TOLERANCE`` from the recorded one.
    """
    study, result, found = checked(root, name), read_result(root, name), []
    plan = [(arm, n) for arm in arms or result["arms"] for n in numbers or range(len(result["units"]))]
    jobs = [
        Job(str(root), name, result["digest"], arm, result["units"][n], result["arms"][arm]["chosen"], "test")
        for arm, n in plan
    ]
    for (arm, n), record in zip(plan, run_all("repetition", jobs), strict=True):
        for metric, value in record["values"].items():
            old = result["arms"][arm]["values"][metric][n]
            if abs(value - old) > TOLERANCE:
                text = f"arm {arm!r}, {study.unit} {result['units'][n]}: {metric} is {value}, recorded {old}"
                line = line_of(Path(root, "studies", f"{name}.json"), f'"{arm}"')
                found.append(Problem(f"studies/{name}.json", line, f"{text}; find what is not seeded"))
    return found


def repeat_pair(root: Path, name: str, index: int) -> list[Problem]:
    """Run one recorded pair again: the two arms of a claim on one unit.

    ``index`` is any integer >= 0; it counts through the claims, and then through the units.
    """
    study, result = checked(root, name), read_result(root, name)
    claim = study.claims[index % len(study.claims)]
    number = index // len(study.claims) % len(result["units"])
    pair = [claim.arm, claim.rival]
    return repeat(root, name, lambda _, jobs: [run_job(job) for job in jobs], pair, [number])


def quick(root: Path, name: str, run_all: Callable[[str, list[Job]], list[dict]]) -> None:
    """Every arm once with a few steps: does the study run at all? Writes nothing.

    Raises:
        StudyError: it does not, or its declaration lacks something.
    """
    study, digest = checked(root, name), digest_of(root, name)
    unit = study.photographs[0] if study.photographs else 1
    jobs = [
        Job(str(root), name, digest, arm.name, unit, arm.candidates()[0], "test", True) for arm in study.arms
    ]
    run_all("quick", jobs)
