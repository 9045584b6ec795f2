"""Every algorithm in a snippet agrees with an independent reference, which notices each planted defect."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from tests.oracles.oracle import load_functions

MODULES = [path.stem for path in sorted(Path(__file__).parent.glob("*.py"))]
TABLES = {
    name.replace("_", "-"): table
    for name in MODULES
    if not name.startswith(("test_", "_", "conftest"))
    and (table := getattr(import_module(f"tests.oracles.{name}"), "ORACLES", None))
}
ROWS = [(f"{topic}/{name}", row) for topic, table in TABLES.items() for row in table for name in row.snippets]
PLANTED = [(name, row, defect) for name, row in ROWS for defect in row.defects]


@pytest.mark.parametrize(("name", "row"), [pytest.param(*row, id=f"{row[0]}-{row[1].name}") for row in ROWS])
def test_agrees(name, row):
    row.run(load_functions(name, data=row.data()))


@pytest.mark.parametrize(
    ("name", "row", "defect"),
    [pytest.param(*planted, id=f"{planted[0]}-{planted[1].name}-{planted[2].old}") for planted in PLANTED],
)
def test_catches(name, row, defect):
    """The check fails with the defect in place: by a wrong result, or by the crash that the row names."""
    code = load_functions(name, defect, row.data())
    with pytest.raises(defect.crashes or AssertionError), np.errstate(all="ignore"):
        row.run(code)


def test_each_row_plants_a_defect():
    """Without a defect that it notices, nobody knows what a check sees."""
    assert not [f"{name}: {row.name}" for name, row in ROWS if not row.defects]


def test_no_defect_is_planted_twice():
    planted = [(name, defect.old, defect.new, defect.where, row.name) for name, row, defect in PLANTED]
    assert len(planted) == len(set(planted))
