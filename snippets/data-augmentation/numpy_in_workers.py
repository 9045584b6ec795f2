"""Loader workers no longer share NumPy's global seed, but a stored generator repeats.

Each worker process gets a copy of the data set. A generator made in __init__ is
copied with its state, so every worker draws the same "random" augmentations.
"""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Augmented(Dataset):
    """Item i is the random number with which image i would be augmented."""

    def __init__(self, source):
        self.source, self.rng = source, np.random.default_rng(0)

    def __len__(self):
        return 8

    def __getitem__(self, i):
        if self.source == "global NumPy":
            return np.random.random()  # the loader seeds it anew in each worker
        if self.source == "torch":
            return torch.rand(()).item()
        if self.source == "stored, reseeded" and not hasattr(self, "mine"):
            self.mine = np.random.default_rng(get_worker_info().seed)
        return getattr(self, "mine", self.rng).random()


def epoch(loader):
    """Values by worker, (2, 4): batches of 2 alternate between the two workers."""
    first, second, third, fourth = (batch.tolist() for batch in loader)
    return np.array([first + third, second + fourth])


if __name__ == "__main__":  # worker processes may import this file
    for source in ("global NumPy", "torch", "stored", "stored, reseeded"):
        same_worker, same_epoch = [], []
        for seed in range(5):
            torch.manual_seed(seed)
            loader = DataLoader(Augmented(source), batch_size=2, num_workers=2)
            one, two = epoch(loader), epoch(loader)
            same_worker.append((one[0] == one[1]).all())
            same_epoch.append((one == two).all())
        repeats = source == "stored"
        assert all(same == repeats for same in same_worker + same_epoch)
        print(f"{source:16}  workers alike: {repeats}  epochs alike: {repeats}")
    print("5 seeds, 2 workers, 2 epochs")
