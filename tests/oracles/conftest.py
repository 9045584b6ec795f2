"""Every oracle computes as the snippets do."""

import pytest
import torch


@pytest.fixture(autouse=True)
def double_precision_and_a_seed():
    """float64 by default and seed 0; other tests must not notice."""
    with torch.random.fork_rng():
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        yield
        torch.set_default_dtype(torch.float32)
