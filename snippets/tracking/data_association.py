"""The Hungarian algorithm finds the cheapest pairing; greedy choice can miss it.

Kuhn 1955; the form with potentials and shortest augmenting paths, O(n^3).
Shape: cost (n, m), n <= m; row i (a track) gets column assign[i] (a detection).
"""

import math
from itertools import permutations

import torch

torch.set_default_dtype(torch.float64)


def greedy(cost):  # take the cheapest free pair, again and again
    assign = [-1] * len(cost)
    for k in cost.flatten().argsort(stable=True).tolist():
        i, j = divmod(k, cost.shape[1])
        if assign[i] < 0 and j not in assign:
            assign[i] = j
    return assign


def hungarian(cost):
    n, m = cost.shape
    cost, u, v = cost.tolist(), [0.0] * n, [0.0] * (m + 1)  # u + v <= cost
    owner = [-1] * (m + 1)  # row of each column; column m is where a new row waits
    for i in range(n):
        owner[m], j = i, m
        least, parent, seen = [math.inf] * m, [m] * m, set()
        while owner[j] >= 0:  # Dijkstra from row i to a free column
            seen.add(j)
            row = owner[j]
            for k in set(range(m)) - seen:
                slack = cost[row][k] - u[row] - v[k]
                if slack < least[k]:
                    least[k], parent[k] = slack, j
            nearest = min(set(range(m)) - seen, key=lambda k: least[k])
            step = least[nearest]
            for k in seen:
                u[owner[k]] += step
                v[k] -= step
            least = [value - step for value in least]
            j = nearest
        while j != m:  # every row on the path moves to its next column
            owner[j] = owner[parent[j]]
            j = parent[j]
        owner[m] = -1
    return [owner.index(i) for i in range(n)]


def total(cost, assign):
    return sum(cost[i, j].item() for i, j in enumerate(assign))


cost = torch.tensor([[1.0, 2, 9], [2, 9, 9], [9, 3, 4]])
best = min(permutations(range(3)), key=lambda p: total(cost, p))
assert hungarian(cost) == list(best) and total(cost, greedy(cost)) > total(cost, best)
for method in (greedy, hungarian):
    pairs = method(cost)
    print(f"{method.__name__} pairing {pairs}: total cost {total(cost, pairs):.0f}")

print("20 targets, wrong pairs by jitter (in mean spacings), 5 seeds")
for jitter in (0.1, 0.2, 0.4):
    wrong = torch.zeros(5, 2)
    for seed in range(5):
        torch.manual_seed(seed)
        for _ in range(10):
            old = 20**0.5 * torch.rand(20, 2)  # one target per unit of area
            new = old + jitter * torch.randn(20, 2)
            cost = torch.cdist(old, new).square()
            for k, method in enumerate((greedy, hungarian)):
                missed = sum(i != j for i, j in enumerate(method(cost)))
                wrong[seed, k] += missed / 200
    assert jitter < 0.2 or wrong[:, 1].mean() < 0.9 * wrong[:, 0].mean()
    low, high = wrong.min(0).values, wrong.max(0).values
    texts = [f"{m:.2f} ({a:.2f}-{b:.2f})" for m, a, b in zip(wrong.mean(0), low, high)]
    print(f"{jitter}: greedy {texts[0]}, Hungarian {texts[1]}")
