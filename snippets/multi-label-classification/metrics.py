"""The metric picks the winner, and Hamming loss may prefer silence to a fair model.

Labels y (N, L), predictions q (N, L) in {0, 1}, scores s (N, L). 20 labels occur in
32 % down to 0.5 % of the samples. Scores are simulated, not learned.
"""

import torch

torch.set_default_dtype(torch.float64)


def subset_accuracy(y, q):  # share of samples with every label right
    return (y == q).all(1).double().mean()


def hamming_loss(y, q):  # share of wrong cells
    return (y != q).double().mean()


def f1(y, q, average):
    hits, errors = (y & q).sum(0), (y ^ q).sum(0)  # (L,)
    if average == "micro":  # pool the counts, then one F1: frequent labels dominate
        hits, errors = hits.sum(), errors.sum()
    return (2 * hits / (2 * hits + errors).clamp(min=1)).mean()


def average_precision(y, s):  # one label: mean precision at the rank of each positive
    above = s >= s[y][:, None]  # (positives, N), ties count
    return ((above & y).sum(1) / above.sum(1)).mean()


def mean_average_precision(y, s):
    return torch.stack([average_precision(*pair) for pair in zip(y.T, s.T)]).mean()


names = ["exact", "Hamming", "micro F1", "macro F1", "mAP"]
rate = torch.logspace(-0.5, -2.3, 20)
often = torch.arange(20) < 6
table = torch.zeros(5, 3, 5)
for seed in range(5):
    torch.manual_seed(seed)
    y, noise = torch.rand(3000, 20) < rate, torch.randn(3000, 20)
    silent = noise, noise > 99  # knows nothing, says nothing
    s = torch.where(often, 4 * y + noise, noise - 5)
    frequent = s, s > 2  # sharp on six labels, blind to the rare ones
    s = 2.5 * y + noise
    even = s, s > 1.25  # fair on every label
    for k, (s, q) in enumerate([silent, frequent, even]):
        table[seed, k] = torch.stack(
            [
                subset_accuracy(y, q),
                hamming_loss(y, q),
                f1(y, q, "micro"),
                f1(y, q, "macro"),
                mean_average_precision(y, s),
            ]
        )

silent, frequent, even = table.unbind(1)
assert (silent[:, 1] < even[:, 1] - 0.01).all()  # silence "wins" at Hamming
assert (silent[:, 2:4] == 0).all()  # and F1 unmasks it
assert (frequent[:, 2] > even[:, 2] + 0.1).all()  # micro: frequent labels count
assert (even[:, 3:5] > frequent[:, 3:5] + 0.1).all()  # macro: rare ones too
print("5 seeds   " + "  ".join(f"{name:>8}" for name in names))
for name, row in zip(["silent", "frequent", "even"], table.mean(0)):
    print(f"{name:8}  " + "  ".join(f"{value:8.2f}" for value in row))
