"""All-reduce: the ring wins for large buffers, the tree for small ones, a server never.

Hockney's alpha-beta model: a message of b bytes takes alpha + beta * b; a rank sends
one and receives one message at a time. Closed forms against a simulation.
"""

import math

import matplotlib.pyplot as plt

COST = {  # seconds for N ranks, M bytes
    "ring": lambda n, m, a, b: 2 * (n - 1) * (a + b * m / n),
    "tree": lambda n, m, a, b: 2 * math.log2(n) * (a + b * m),
    "server": lambda n, m, a, b: 2 * (n - 1) * (a + b * m),
}


def schedule(kind, n, m):
    """Rounds of messages (source, target, bytes); n is a power of two."""
    if kind == "ring":
        return [[(r, (r + 1) % n, m / n) for r in range(n)] for _ in range(2 * (n - 1))]
    if kind == "server":  # rank 0 collects, then hands out
        return [[(r, 0, m) for r in range(1, n)], [(0, r, m) for r in range(1, n)]]
    strides = [2**k for k in range(int(math.log2(n)))]
    up = [[(r + s, r, m) for r in range(0, n, 2 * s)] for s in strides]
    return up + [[(t, s, b) for s, t, b in message] for message in reversed(up)]


def simulate(rounds, n, a, b):
    """Time at which the last rank is done; a message waits for both its ports."""
    ready = [0.0] * n
    for messages in rounds:
        out, inn, after = list(ready), list(ready), list(ready)
        for source, target, size in messages:
            end = max(out[source], inn[target]) + a + b * size
            out[source] = inn[target] = end
            after[source] = max(after[source], end)
            after[target] = max(after[target], end)
        ready = after
    return max(ready)


# Assumed, not measured: 25 us latency, 25 Gbit/s, 102 MB (25.6 million float32
# gradients, as many as ResNet-50 has), 0.2 s of computing per step, no overlap.
A, B, M, C = 25e-6, 8 / 25e9, 102.4e6, 0.2
ranks = [2**k for k in range(1, 11)]
for kind, cost in COST.items():
    for n in ranks[:7]:
        for m in (1e3, 1e6, M):
            moved = simulate(schedule(kind, n, m), n, A, B)
            assert math.isclose(cost(n, m, A, B), moved)
for m in (4e3, M):  # one small buffer, one whole network
    seconds = {kind: cost(64, m, A, B) for kind, cost in COST.items()}
    best = min(seconds, key=seconds.get)
    assert best == ("tree" if m < 1e5 else "ring")
    print(
        f"64 ranks, {m / 1e6:g} MB: best is the {best},",
        ", ".join(f"{k} {s / seconds[best]:.1f}x" for k, s in seconds.items()),
    )
efficiency = {k: [C / (C + f(n, M, A, B)) for n in ranks] for k, f in COST.items()}
strong = {k: [C / (C / n + f(n, M, A, B)) for n in ranks] for k, f in COST.items()}
for kind in COST:
    print(
        f"{kind:6s} batch grows: efficiency {efficiency[kind][5]:.2f} at 64 ranks;",
        f"batch fixed: speed-up {max(strong[kind]):.1f} at most",
    )
assert efficiency["ring"][5] > 0.7 and max(strong["ring"]) < 4

figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
for kind, marker in zip(COST, "osx"):
    axes[0].semilogx(ranks, efficiency[kind], marker=marker, label=kind, base=2)
    axes[1].loglog(ranks, strong[kind], marker=marker, label=kind, base=2)
axes[1].loglog(ranks, ranks, "k--", label="ideal", base=2)
axes[1].set_ylim(0.01, 100)
axes[0].set(title="batch grows with N", xlabel="ranks N", ylabel="efficiency")
axes[1].set(title="global batch fixed", xlabel="ranks N", ylabel="speed-up")
axes[0].legend(), axes[1].legend()
plt.show()
