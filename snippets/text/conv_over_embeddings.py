"""A filter over word vectors adds one score per slot: it is a soft n-gram detector.

Four ways to the same numbers: Conv1d over embeddings, Conv2d with a kernel as wide as
the vectors, a matrix product with the n-grams, and k lookups in tables of word scores.
So the n-gram a filter likes best has the best word in each slot.
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)


def by_conv2d(e, weight, bias):
    """Sentences as one-channel images (N, 1, L, d), kernel (k, d)."""
    kernel = weight.transpose(1, 2)[:, None]  # (F, d, k) -> (F, 1, k, d)
    return nn.functional.conv2d(e[:, None], kernel, bias)[..., 0].transpose(1, 2)


def by_matrix(e, weight, bias):
    """Each n-gram as one long row (N, L - k + 1, d k), times (d k, F)."""
    grams = e.unfold(1, weight.shape[2], 1)  # (N, L - k + 1, d, k)
    return grams.flatten(2) @ weight.flatten(1).T + bias


def slot_scores(vectors, weight):
    """Score of every word in every slot of every filter: (k, V, F)."""
    return torch.einsum("vd, fdj -> jvf", vectors, weight)


def by_lookup(ids, scores, bias):
    """No vectors at all: add the k scores of the words in the window."""
    k, last = len(scores), ids.shape[1] - len(scores) + 1
    return sum(scores[j][ids[:, j : j + last]] for j in range(k)) + bias


V, d, F, k = 40, 8, 5, 3  # words, dimensions, filters, width
for seed in range(5):
    torch.manual_seed(seed)
    embed, conv = nn.Embedding(V, d), nn.Conv1d(d, F, k)
    ids = torch.randint(V, (16, 12))  # (N, L)
    e, (weight, bias) = embed(ids), conv.parameters()
    response = conv(e.transpose(1, 2)).transpose(1, 2)  # (N, L - k + 1, F)
    scores = slot_scores(embed.weight, weight)
    for other in (
        by_conv2d(e, weight, bias),
        by_matrix(e, weight, bias),
        by_lookup(ids, scores, bias),
    ):
        assert (response - other).abs().max() < 1e-12

    every = torch.cartesian_prod(*[torch.arange(V)] * k)  # all 64,000 trigrams
    best = by_lookup(every, scores, bias)[:, 0].argmax(0)  # (F,)
    assert (every[best].T == scores.argmax(1)).all()
assert (by_lookup(ids.flip(1), scores, bias).flip(1) - response).abs().max() > 0.1
print("Conv1d, Conv2d, matrix product, lookup: largest difference < 1e-12")
print(f"best of {len(every)} trigrams = best word of each slot, all filters, 5 seeds")
print("reading backward changes the responses: the slots are ordered")
