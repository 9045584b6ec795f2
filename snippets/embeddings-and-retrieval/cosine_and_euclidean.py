"""On unit vectors cosine, dot product and Euclidean distance rank alike; else not.

|a - b|^2 = 2 - 2 a.b if |a| = |b| = 1. Digits -> z (N, 144), random filters, ReLU
and max pooling; queries (Q, d), gallery (N, d).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

torch.set_default_dtype(torch.float64)


def rankings(query, gallery):  # indices (Q, N), best first
    dot = query @ gallery.T
    cosine = F.normalize(query) @ F.normalize(gallery).T
    distance = torch.cdist(query, gallery)
    return {
        "cosine": cosine.argsort(1, descending=True),
        "euclidean": distance.argsort(1),
        "dot": dot.argsort(1, descending=True),
    }


def overlap(a, b, k=10):  # share of common entries in the top k, (Q,)
    return (a[:, :k, None] == b[:, None, :k]).any(2).double().mean(1)


images, digit = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(digit)
same, right = torch.zeros(5, 2, 3), torch.zeros(5, 2, 3)  # seed, unit length, metric
for seed in range(5):
    torch.manual_seed(seed)
    query, gallery = torch.randperm(len(x)).split([297, 1500])
    z = F.max_pool2d(F.conv2d(x, torch.randn(16, 1, 3, 3)).relu(), 2).flatten(1)
    for unit, points in enumerate([z, F.normalize(z)]):
        ranks = rankings(points[query], points[gallery])
        for n, (metric, rank) in enumerate(ranks.items()):
            same[seed, unit, n] = overlap(rank, ranks["cosine"]).mean()
            right[seed, unit, n] = (y[gallery][rank[:, 0]] == y[query]).double().mean()
            if metric != "dot":  # scikit-learn agrees
                library = NearestNeighbors(n_neighbors=10, metric=metric)
                expected = library.fit(points[gallery]).kneighbors(points[query])[1]
                assert (rank[:, :10] == torch.tensor(expected)).all()
assert (same[:, 1] == 1).all()  # unit length: the same ten neighbors
assert same[:, 0, 1].max() < 0.95 and same[:, 0, 2].max() < 0.5
assert (right[:, 0, 0] - right[:, 0, 2]).min() > 0.1
print("length  metric     same top 10 as cosine  recall@1, mean (min to max)")
for unit, length in enumerate(["as is", "one"]):
    for n, metric in enumerate(ranks):
        a = right[:, unit, n]
        print(
            f"{length:6}  {metric:9}  {same[:, unit, n].mean():.2f}"
            f"{'':19}{a.mean():.2f} ({a.min():.2f} to {a.max():.2f})"
        )
