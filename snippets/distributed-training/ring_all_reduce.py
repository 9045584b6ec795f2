"""Ring all-reduce: 2(N-1) steps to a neighbor, 2(N-1)/N of the buffer sent per rank.

Source: Patarasuk and Yuan, 2009. Buffers (N, M), one row per rank. Chunk c of a row
is row[cuts[c] : cuts[c + 1]]. The figure counts the ranks whose numbers a chunk holds.
"""

import matplotlib.pyplot as plt
import numpy as np


def ring_all_reduce(buffers):
    """Sums (N, M), numbers sent per rank (N,), terms per chunk (steps + 1, N, N)."""
    n, m = buffers.shape
    data, sent = buffers.copy(), np.zeros(n, dtype=int)
    cuts = [c * m // n for c in range(n + 1)]
    terms = np.ones((n, n), dtype=int)
    history = [terms.copy()]
    for step in range(2 * (n - 1)):
        before, held = data.copy(), terms.copy()  # all ranks send at the same time
        for rank in range(n):
            chunk, right = (rank - step) % n, (rank + 1) % n
            part = slice(cuts[chunk], cuts[chunk + 1])
            keep = step < n - 1  # reduce-scatter adds, all-gather overwrites
            data[right, part] = before[rank, part] + keep * before[right, part]
            terms[right, chunk] = held[rank, chunk] + keep * held[right, chunk]
            sent[rank] += cuts[chunk + 1] - cuts[chunk]
        history.append(terms.copy())
    return data, sent, history


rng = np.random.default_rng(0)
for n in (2, 3, 4, 8, 64):
    buffers = rng.normal(size=(n, 960 * n))
    sums, sent, history = ring_all_reduce(buffers)
    assert np.abs(sums - buffers.sum(0)).max() < 1e-10
    assert len(history) - 1 == 2 * (n - 1)
    assert (sent == 2 * (n - 1) * 960).all()
    share = sent[0] / buffers.shape[1]
    print(f"N={n:2d}: {2 * (n - 1):3d} steps, each rank sends {share:.2f} buffers")

_, _, history = ring_all_reduce(np.ones((4, 4)))
figure, axes = plt.subplots(2, 4, figsize=(7, 4), layout="constrained")
for step, (ax, terms) in enumerate(zip(axes.flat, history)):
    ax.imshow(terms, cmap="Blues", vmin=0, vmax=6)
    for rank, chunk in np.ndindex(4, 4):
        ax.text(chunk, rank, terms[rank, chunk], ha="center", va="center", fontsize=12)
    half = "start" if not step else "reduce-scatter" if step < 4 else "all-gather"
    ax.set_title(f"{step}: {half}", fontsize=10)
    ax.set(xticks=range(4), xticklabels="abcd", yticks=range(4))
    ax.set_ylabel("rank" if step % 4 == 0 else "")
    ax.set_xlabel("chunk" if step > 2 else "")
axes[1, 3].axis("off")
plt.show()
