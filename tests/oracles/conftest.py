"""Every oracle computes as the snippets do, and the planted defects are counted."""

import pytest
import torch
from snippet_functions import PLANTED


@pytest.fixture(autouse=True)
def double_precision_and_a_seed():
    """float64 by default and seed 0; other tests must not notice."""
    with torch.random.fork_rng():
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        yield
        torch.set_default_dtype(torch.float32)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A defect counts as caught if every test that plants it passes."""
    before = set(PLANTED)
    try:
        return (yield)
    except BaseException:
        PLANTED.update(dict.fromkeys(set(PLANTED) - before, False))
        raise


def pytest_terminal_summary(terminalreporter):
    snippets = {name for name, _ in PLANTED}
    terminalreporter.write_line(
        f"planted defects: {sum(PLANTED.values())} of {len(PLANTED)} caught, in {len(snippets)} snippets"
    )
