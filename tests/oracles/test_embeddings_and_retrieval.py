"""Losses, rankings, pooling and search of the embeddings page, against libraries and brute force."""

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes as scipy_procrustes
from scipy.spatial.distance import cdist
from sklearn.metrics import average_precision_score
from sklearn.metrics.cluster import contingency_matrix
from tests.snippet_functions import load_functions
from torch.nn import functional as F

TOPIC = "embeddings-and-retrieval"


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def worst(pairs) -> float:
    """The largest difference between what was got and what was expected."""
    return max(float((torch.as_tensor(a) - torch.as_tensor(b)).abs().max()) for a, b in pairs)


def triplet_error(functions) -> float:
    pairs = []
    for seed, margin in itertools.product(range(10), (0.05, 0.2, 3.0)):
        a, p, n = random(3, 50, 7, seed=seed)
        for squared in (False, True):
            got = functions.triplet_loss(a, p, n, margin, squared)
            power = 2 if squared else 1
            near = np.diag(cdist(a, p)) ** power
            far = np.diag(cdist(a, n)) ** power
            pairs.append((got, np.maximum(near - far + margin, 0)))
        library = F.triplet_margin_loss(a, p, n, margin=margin, reduction="none", eps=0)
        pairs.append((functions.triplet_loss(a, p, n, margin, False), library))
    return worst(pairs)


def loss_error(functions) -> float:
    """Contrastive and batch-hard triplet loss, by loops over pairs."""
    pairs = []
    for seed in range(8):
        z = random(24, 6, seed=seed)
        y = torch.arange(24) % (2 + seed % 4)
        unit = (z / z.square().sum(1, keepdim=True).sqrt()).numpy()
        d = cdist(unit, unit)
        same = [d[i, j] ** 2 for i in range(24) for j in range(i) if y[i] == y[j]]
        other = [max(0, 1 - d[i, j]) ** 2 for i in range(24) for j in range(i) if y[i] != y[j]]
        expected = np.mean(same) + np.mean(other)
        pairs.append((functions.contrastive(z, y, None), expected))
        hard = [max(0, (d[i] ** 2)[y == y[i]].max() - (d[i] ** 2)[y != y[i]].min() + 0.2) for i in range(24)]
        pairs.append((functions.triplet(z, y, None), np.mean(hard)))
    return worst(pairs)


def retrieval_error(functions) -> float:
    """Recall@1 and mAP, the latter as scikit-learn's average precision of each query."""
    pairs = []
    for seed in range(10):
        z, y = random(40, 5, seed=seed), torch.arange(40) % (2 + seed % 5)
        cosine = 1 - cdist(z, z, "cosine")
        first, precision = [], []
        for i in range(40):
            others = np.arange(40) != i
            relevant = (y == y[i]).numpy()[others]
            first.append(relevant[cosine[i][others].argmax()])
            precision.append(average_precision_score(relevant, cosine[i][others]))
        expected = torch.tensor([np.mean(first), np.mean(precision)])
        pairs.append((functions.retrieval(z, y), expected))
    return worst(pairs)


def purity_error(functions) -> float:
    pairs = []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        cluster, y = torch.randint(1 + seed % 6, (2, 50), generator=generator)
        expected = contingency_matrix(y, cluster).max(0).sum() / 50
        pairs.append((functions.purity(cluster, y), expected))
    return worst(pairs)


def ranking_error(functions) -> float:
    pairs = []
    for seed in range(10):
        query, gallery = random(7, 4, seed=seed), random(30, 4, seed=seed + 100)
        got = functions.rankings(query, gallery)
        expected = {"dot": np.argsort(-(query @ gallery.T).numpy())}
        expected |= {m: np.argsort(cdist(query, gallery, m)) for m in ("cosine", "euclidean")}
        pairs += [(got[name], order) for name, order in expected.items()]
        a, b = got["dot"], got["cosine"]
        shared = [len(set(r[:10].tolist()) & set(s[:10].tolist())) / 10 for r, s in zip(a, b)]
        pairs.append((functions.overlap(a, b), torch.tensor(shared)))
    return worst(pairs)


def gem_error(functions) -> float:
    """Generalized mean against PyTorch's power-average pooling, average and maximum."""
    pairs = []
    for seed, (h, w) in enumerate([(1, 1), (3, 5), (12, 12), (7, 2)]):
        maps = random(2, 3, h, w, seed=seed).relu()
        for p in (1, 2, 3, 6.5):
            expected = F.lp_pool2d(maps, p, (h, w))[..., 0, 0] / (h * w) ** (1 / p)
            pairs.append((functions.gem(maps, p), expected))
        pairs.append((functions.gem(maps, 1), F.adaptive_avg_pool2d(maps, 1).flatten(1)))
        pairs.append((functions.gem(maps, 1e6), F.adaptive_max_pool2d(maps, 1).flatten(1)))
    return worst(pairs)


def histogram_error(functions) -> float:
    pairs = []
    for seed in range(5):
        x = random(3, 3, 6, 4, seed=seed).mul(0.5).clamp(0, 1)
        for bins in (2, 4):
            got = functions.histogram(x, bins)
            for row, image in zip(got, x):
                points = image.flatten(1).T.numpy()
                count = np.histogramdd(points, bins, range=[(0, 1)] * 3)[0]
                pairs.append((row, np.sqrt(count.flatten() / 24)))
    return worst(pairs)


def recall_error(functions) -> float:
    pairs = []
    for seed in range(10):
        top = random(12, 9, seed=seed).argsort(1)
        right = torch.arange(12) % 9
        for k in (1, 4, 9):
            expected = np.mean([r in row[:k] for r, row in zip(right.tolist(), top.tolist())])
            pairs.append((functions.recall_at(top, right, k), expected))
    return worst(pairs)


def quantizer_error(functions) -> float:
    """Codes and table distances against decoding every vector; recall by sets."""
    pairs = []
    for seed, m in itertools.product(range(4), (1, 2, 4)):
        x, query = random(60, 8, seed=seed), random(5, 8, seed=seed + 50)
        books = [random(6, 8 // m, seed=seed + 10 * n) for n in range(m)]
        codes = functions.encode(x, books)
        parts = np.split(x.numpy(), m, 1)
        nearest = [cdist(part, book).argmin(1) for part, book in zip(parts, books)]
        pairs.append((codes, np.stack(nearest, 1)))
        decoded = np.concatenate([book[c] for book, c in zip(books, codes.T)], 1)
        got = functions.distances(query, codes, books)
        pairs.append((got, cdist(query, decoded, "sqeuclidean")))
        found, exact = (d.argsort(1)[:, :10] for d in (got, torch.cdist(query, x)))
        share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), exact.tolist())])
        pairs.append((functions.recall(found, exact), share))
    return worst(pairs)


def search_error(functions) -> float:
    """Of 8 exact neighbors, the share in the set of 5 found."""
    rng, pairs = np.random.default_rng(0), []
    for _ in range(10):
        found, exact = (np.array([rng.permutation(12)[:k] for _ in range(7)]) for k in (5, 8))
        share = np.mean([len({*f} & {*e}) / 8 for f, e in zip(found, exact)])
        pairs.append((functions.recall(found, exact), share))
    return worst(pairs)


def procrustes_error(functions) -> float:
    """A known rotation is found; noisy clouds match as well as scipy's optimum."""
    pairs = []
    for seed in range(8):
        source, rotation = random(40, 5, seed=seed), torch.linalg.qr(random(5, 5, seed=seed + 9))[0]
        pairs.append((functions.procrustes(source, source @ rotation), rotation))
        a, b = (c - c.mean(0) for c in random(2, 40, 5, seed=seed))
        a, b = a / a.square().sum().sqrt(), b / b.square().sum().sqrt()
        aligned = functions.procrustes(a, b)
        disparity = 1 - ((a @ aligned) * b).sum() ** 2  # with scipy's best scale
        pairs.append((disparity, scipy_procrustes(b.numpy(), a.numpy())[2]))
    return worst(pairs)


CASES = {
    "triplet_margin": (triplet_error, [("near - far + margin", "far - near + margin"),
                                       ("if not squared", "if squared")]),
    "three_losses": (loss_error, [("distance[~same]).clamp(min=0)", "distance[~same])"),
                                  ("amax(1), (d", "amin(1), (d"),
                                  ("(d + 9 * same)", "(d - 9 * same)")]),
    "clustering": (purity_error, [("bincount().max()", "bincount()[0]"), ("/ len(y)", "/ 49")]),
    "cosine_and_euclidean": (ranking_error, [("query @ gallery.T", "-query @ gallery.T"),
                                             ("distance.argsort(1)", "cosine.argsort(1)"),
                                             ("b[:, None, :k]", "b[:, None]")]),
    "pooling": (gem_error, [("pow(1 / p)", "pow(p)"), ("top[..., 0, 0] * ", ""),
                            ("mean((2, 3))", "sum((2, 3))")]),
    "photo_retrieval": (recall_error, [("top[:, :k]", "top"), (".any(1)", ".all(1)")]),
    "product_quantization": (quantizer_error, [(".square()  # (Q, k)", "  # (Q, k)"),
                                               ("argmin(1)", "argmax(1)"),
                                               (".any(1)", ".any(2)[:, :1]")]),
    "approximate_search": (search_error, [(".any(1).mean()", ".any(2).mean()"),
                                          (".any(1).mean()", ".any(1).all(1).mean()")]),
    "version_mismatch": (procrustes_error, [("return u @ vt", "return vt.T @ u.T"),
                                            ("source.T @ target", "source.T @ source")]),
}  # fmt: skip
MORE = {
    "three_losses": (retrieval_error, [("[:, :-1]  # without", "  # without"),
                                       ("(1, len(y))", "(2, len(y) + 1)")]),
    "photo_retrieval": (histogram_error, [(".sqrt()\n\n", "\n\n"), ("clamp(max=bins - 1)", "clamp(max=1)")]),
}  # fmt: skip
ALL = [(name, *case) for cases in (CASES, MORE) for name, case in cases.items()]


@pytest.mark.parametrize("name, error", [(name, error) for name, error, _ in ALL])
def test_agrees_with_the_oracle(name, error):
    assert error(load_functions(f"{TOPIC}/{name}")) < 1e-4


@pytest.mark.parametrize(
    "name, error, defect", [(name, error, defect) for name, error, ds in ALL for defect in ds]
)
def test_planted_defects_are_caught(name, error, defect):
    functions = load_functions(f"{TOPIC}/{name}", defect=defect)
    try:
        found = error(functions)
    except (RuntimeError, IndexError):
        return  # wrong shapes: caught as well
    assert not found < 1e-3
