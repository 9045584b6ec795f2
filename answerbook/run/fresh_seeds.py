"""Move every seed that a snippet sets to one that its author did not choose."""

import random

import numpy as np
import torch


def shift_seeds(offset: int) -> set[int]:
    """Add ``offset`` to each integer seed from here on, in torch, NumPy, scikit-learn and ``random``.

    Args:
        offset: what is added. A generator that the snippet leaves unseeded starts from it too.

    Returns:
        A set that fills with the seeds, as the snippet states them, while the snippet runs.
    """
    stated: set[int] = set()

    def moved(seed):
        if not hasattr(seed, "__index__") or getattr(seed, "ndim", 0):
            return seed  # None, an array, another generator; a tensor's element is a seed
        stated.add(int(seed))
        return (int(seed) + offset) % 2**32

    torch_seed, default_rng, random_seed, numpy_seed = (
        torch.manual_seed,
        np.random.default_rng,
        random.seed,
        np.random.seed,
    )

    class Generator(torch.Generator):
        def manual_seed(self, seed):
            return super().manual_seed(moved(seed))

    class RandomState(np.random.RandomState):
        def __init__(self, seed=None):
            super().__init__(moved(seed))

    class Random(random.Random):
        def __init__(self, seed=None):
            super().__init__(moved(seed))

    torch.manual_seed = torch.random.manual_seed = lambda seed: torch_seed(moved(seed))
    torch.Generator = Generator
    np.random.default_rng = lambda seed=None: default_rng(moved(seed))
    np.random.RandomState = RandomState  # scikit-learn's random_state=0 ends here
    np.random.seed = lambda seed=None: numpy_seed(moved(seed))
    random.Random = Random
    random.seed = lambda seed=None, *rest: random_seed(moved(seed), *rest)
    torch_seed(offset)
    numpy_seed(offset)
    random_seed(offset)
    return stated
