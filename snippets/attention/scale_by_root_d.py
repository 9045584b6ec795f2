"""Without 1/sqrt(d), softmax attention picks one key and stops learning.

Source: Vaswani and others, 2017, section 3.2.1. Entries are independent N(0, 1).
Shapes: q (500, d), k (64, d); weights a (500, 64).
"""

import torch

torch.set_default_dtype(torch.float64)


def statistics(d, scale, queries=500, keys=64):
    scores = torch.randn(queries, d) @ torch.randn(keys, d).T * scale
    a = scores.softmax(1)
    entropy = torch.special.entr(a).sum(1).exp()  # as if so many keys were mixed
    slope = (a * (1 - a)).sum(1)  # trace of d a / d scores; 0 when saturated
    return torch.stack([scores.var(), entropy.mean(), slope.mean()])


for name in ("scaled", "not scaled"):
    for d in (4, 64, 1024):
        rows = []
        for seed in range(5):
            torch.manual_seed(seed)
            rows.append(statistics(d, d**-0.5 if name == "scaled" else 1.0))
        low, high = torch.stack(rows).aminmax(dim=0)
        variance, mixed, slope = torch.stack(rows).mean(0)
        if name == "scaled":
            assert low[0] > 0.7 and high[0] < 1.4 and low[1] > 30 and low[2] > 0.9
        else:
            assert low[0] > 0.7 * d and high[0] < 1.4 * d  # Var(q.k) = d
            assert d < 1024 or (high[1] < 1.3 and high[2] < 0.15)
        print(
            f"{name}, d = {d}: mixes {low[1]:.1f}-{high[1]:.1f} of 64 keys, "
            f"slope {low[2]:.2f}-{high[2]:.2f}"
        )
print("variance of the scores: 1 scaled, d not scaled, within 40 % (5 seeds)")
