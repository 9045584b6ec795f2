"""Padding must be masked: unmasked, a sentence's features depend on its batch.

A sentence shorter than the widest filter crashes nn.Conv1d. Padding a batch to one
length adds windows over padding: they change a mean nearly always and a maximum often,
even if the padding's vector is zero, because words at the edge of a window and the bias
still count. The remedy pools only over windows that a sentence of its own would have.
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)


def padded(sentences, length):
    """Word ids as a batch (N, length); 0 is the padding."""
    batch = torch.zeros(len(sentences), length, dtype=torch.long)
    for row, ids in zip(batch, sentences):
        row[: len(ids)] = ids
    return batch


def window_mask(lengths, k, windows):
    """True where a window holds words only; the first one always: (N, 1, windows)."""
    own = (lengths - k + 1).clamp(min=1)
    return (torch.arange(windows) < own[:, None])[:, None]


def pool(h, mask, how):
    """h (N, F, windows) -> (N, F). Without a mask every window counts."""
    if mask is None:
        mask = torch.ones_like(h, dtype=torch.bool)
    if how == "max":
        return h.masked_fill(~mask, -torch.inf).amax(2)
    return (h * mask).sum(2) / mask.sum(2)


k, changed = 4, torch.zeros(5, 4)
for seed in range(5):
    torch.manual_seed(seed)
    embed = nn.Embedding(100, 16, padding_idx=0)  # the vector of word 0 is zero
    conv = nn.Conv1d(16, 32, k)
    lengths = torch.randint(1, 21, (200,))
    sentences = [torch.randint(1, 100, (n,)) for n in lengths.tolist()]
    short = padded([s for s in sentences if len(s) < k][:1], 3)
    try:
        conv(embed(short).transpose(1, 2))
    except RuntimeError as error:
        crash = str(error).split(". ")[-1]
    tight = [conv(embed(padded([s], max(len(s), k))).mT).relu() for s in sentences]
    h = conv(embed(padded(sentences, 30)).mT).relu()  # (200, 32, 27)
    mask = window_mask(lengths, k, h.shape[2])
    ways = [("max", None), ("mean", None), ("max", mask), ("mean", mask)]
    for i, (how, m) in enumerate(ways):
        alone = torch.cat([pool(t, None, how) for t in tight])
        gap = (pool(h, m, how) - alone).abs()
        changed[seed, i] = (gap > 1e-9).any(1).double().mean()
assert (changed[:, :2] > 0.9).all() and (changed[:, 2:] == 0).all()
print("one sentence of 3 words, width 4:", crash)
print("sentences whose features change when padded to 30, 5 seeds")
for name, v in zip(("max", "mean", "masked max", "masked mean"), changed.T):
    print(f"{name:11} {v.min():.2f} to {v.max():.2f}")
