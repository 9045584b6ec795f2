"""Embeddings and retrieval: losses, rankings, pooling and search against libraries and brute force."""

import itertools

import numpy as np
import torch
from scipy.spatial import procrustes as scipy_procrustes
from scipy.spatial.distance import cdist
from sklearn.metrics import average_precision_score
from sklearn.metrics.cluster import contingency_matrix
from torch.nn import functional as F

from tests.oracles.oracle import Defect, Oracle, agree

# --- losses ----------------------------------------------------------------------------


def triplets():
    for n, margin, squared in itertools.product((1, 50, 500), (0.05, 0.2, 3.0), (False, True)):
        yield *torch.randn(3, n, 7), margin, squared


def triplet_loss(a, p, n, margin, squared):
    if not squared:
        return F.triplet_margin_loss(a, p, n, margin=margin, reduction="none", eps=0)
    return np.maximum(np.diag(cdist(a, p)) ** 2 - np.diag(cdist(a, n)) ** 2 + margin, 0)


def metric_losses(code):
    """Contrastive and batch-hard, by loops over pairs and rows."""
    for n, classes in itertools.product((24, 25), (2, 3, 4, 5, 12)):
        z, y = torch.randn(n, 6), torch.arange(n) % classes
        d, pairs = cdist(F.normalize(z), F.normalize(z)), list(itertools.combinations(range(n), 2))
        same = [d[i, j] ** 2 for i, j in pairs if y[i] == y[j]]
        other = [max(0, 1 - d[i, j]) ** 2 for i, j in pairs if y[i] != y[j]]
        agree(code.contrastive(z, y, None), np.mean(same) + np.mean(other))
        hard = [row[y == c].max() - row[y != c].min() + 0.2 for row, c in zip(d**2, y, strict=True)]
        agree(code.triplet(z, y, None), np.maximum(hard, 0).mean())


# --- rankings --------------------------------------------------------------------------


def retrieval(z, y):
    """Recall@1, and scikit-learn's average precision of each query."""
    cosine, scores = 1 - cdist(z, z, "cosine"), []
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        relevant, likeness = (y == y[i]).numpy()[others], cosine[i][others]
        scores.append((relevant[likeness.argmax()], average_precision_score(relevant, likeness)))
    return np.mean(scores, 0)


def clusters():
    for n, k in itertools.product((1, 50, 50, 50), range(1, 7)):
        yield tuple(torch.randint(k, (2, n)))


def rankings(query, gallery):
    orders = {m: np.argsort(cdist(query, gallery, m)) for m in ("cosine", "euclidean")}
    return orders | {"dot": np.argsort(-(query @ gallery.T).numpy())}


def shared(a, b):
    """Of every row of b, the share that occurs in that of a."""
    return [len({*i} & {*j}) / len(j) for i, j in zip(a.tolist(), b.tolist(), strict=True)]


def found_and_exact():
    for k, exact in [(5, 8), (10, 10), (1, 1), (12, 3)] * 10:
        yield torch.rand(7, 12).argsort(1)[:, :k], torch.rand(7, 12).argsort(1)[:, :exact]


# --- pooling and histograms ------------------------------------------------------------


def activations():
    for h, w in [(1, 1), (3, 5), (12, 12), (7, 2)]:
        maps = torch.randn(2, 3, h, w).relu()
        yield from ((maps, p) for p in (1, 2, 3, 6.5, 100, 1e12))


def gem(maps, p):
    """PyTorch's power-average pooling; in the limit the maximum."""
    size = maps.shape[2:]
    if p > 100:
        return maps.amax((2, 3))
    return F.lp_pool2d(maps, p, size)[..., 0, 0] / size.numel() ** (1 / p)


def histogram(x, bins):
    points = x.flatten(2).mT.numpy()
    counts = [np.histogramdd(p, bins, range=[(0, 1)] * 3)[0].flatten() for p in points]
    return np.sqrt(np.array(counts) / points.shape[1])


# --- search ----------------------------------------------------------------------------


def quantizer(code):
    """Every vector's nearest words; table distances against those to the decoded vectors."""
    for m, n in itertools.product((1, 2, 4, 8), (1, 60, 60, 60, 60)):
        x, query, books = torch.randn(n, 8), torch.randn(5, 8), list(torch.randn(m, 6, 8 // m))
        codes = code.encode(x, books)
        nearest = [cdist(p, b).argmin(1) for p, b in zip(x.split(8 // m, 1), books, strict=True)]
        agree(codes, np.stack(nearest, 1))
        decoded = np.concatenate([b[c] for b, c in zip(books, codes.T, strict=True)], 1)
        agree(code.distances(query, codes, books), cdist(query, decoded, "sqeuclidean"))


def procrustes(code):
    """A known rotation is found; noisy clouds match as well as SciPy's optimum."""
    for _ in range(8):
        source, rotation = torch.randn(40, 5), torch.linalg.qr(torch.randn(5, 5))[0]
        agree(code.procrustes(source, source @ rotation), rotation)
        a, b = (c - c.mean(0) for c in torch.randn(2, 40, 5))
        a, b = a / a.norm(), b / b.norm()
        disparity = 1 - ((a @ code.procrustes(a, b)) * b).sum() ** 2  # with SciPy's best scale
        agree(disparity, scipy_procrustes(b.numpy(), a.numpy())[2])


ORACLES = [
    Oracle(
        "triplet_margin",
        function="triplet_loss",
        reference=triplet_loss,
        cases=triplets,
        defects=[
            Defect("near - far + margin", "far - near + margin"),
            Defect("if not squared", "if squared"),
        ],
    ),
    Oracle(
        "three_losses",
        metric_losses,
        defects=[
            Defect("distance[~same]).clamp(min=0)", "distance[~same])"),
            Defect("amax(1), (d", "amin(1), (d"),
            Defect("(d + 9 * same)", "(d - 9 * same)"),
        ],
    ),
    Oracle(
        "three_losses",
        function="retrieval",
        reference=retrieval,
        cases=lambda: [(torch.randn(40, 5), torch.arange(40) % (2 + k % 5)) for k in range(10)],
        defects=[
            Defect("[:, :-1]  # without", "  # without", crashes=RuntimeError),
            Defect("fill_diagonal_(-9)", "fill_diagonal_(9)"),  # every query finds itself
            Defect("(1, len(y))", "(2, len(y) + 1)"),
        ],
    ),
    Oracle(
        "clustering",
        function="purity",
        reference=lambda cluster, y: contingency_matrix(y, cluster).max(0).sum() / len(y),
        cases=clusters,
        defects=[Defect("bincount().max()", "bincount()[0]"), Defect("/ len(y)", "/ 49")],
    ),
    Oracle(
        "cosine_and_euclidean",
        function="rankings",
        reference=rankings,
        cases=lambda: [(torch.randn(7, 4), torch.randn(n, 4)) for n in (1, 2, 30, 100) * 5],
        defects=[
            Defect("query @ gallery.T", "-query @ gallery.T"),
            Defect("distance.argsort(1)", "cosine.argsort(1)"),
        ],
    ),
    Oracle(
        "cosine_and_euclidean",
        function="overlap",
        reference=lambda a, b, k: shared(a[:, :k], b[:, :k]),
        cases=lambda: [(*torch.rand(2, 7, 30).argsort(2), k) for k in (1, 10, 30) * 10],
        defects=[Defect("b[:, None, :k]", "b[:, None]")],
    ),
    Oracle(
        "pooling",
        function="gem",
        reference=gem,
        cases=activations,
        defects=[
            Defect("pow(1 / p)", "pow(p)"),
            Defect("top[..., 0, 0] * ", ""),
            Defect("mean((2, 3))", "sum((2, 3))", where="gem"),
        ],
    ),
    Oracle(
        "photo_retrieval",
        function="histogram",
        reference=histogram,
        cases=lambda: [(torch.randn(3, 3, 6, 4).mul(0.5).clamp(0, 1), bins) for bins in (2, 3, 4) * 5],
        defects=[Defect(".sqrt()", "", where="histogram"), Defect("clamp(max=bins - 1)", "clamp(max=1)")],
    ),
    Oracle(
        "photo_retrieval",
        function="recall_at",
        reference=lambda top, right, k: np.mean(shared(top[:, :k], right[:, None])),
        cases=lambda: [(torch.rand(12, 9).argsort(1), torch.arange(12) % 9, k) for k in (1, 4, 9) * 10],
        defects=[Defect("top[:, :k]", "top"), Defect(".any(1)", ".all(1)")],
    ),
    Oracle(
        "product_quantization",
        quantizer,
        defects=[Defect("argmin(1)", "argmax(1)"), Defect(".square()  # (Q, k)", "  # (Q, k)")],
    ),
    Oracle(
        "product_quantization",
        function="recall",
        reference=lambda found, exact: np.mean(shared(found, exact)),
        cases=found_and_exact,
        defects=[Defect(".any(1)", ".any(2)[:, :1]")],
    ),
    Oracle(
        "approximate_search",
        function="recall",
        reference=lambda found, exact: np.mean(shared(found, exact)),
        cases=lambda: [(found.numpy(), exact.numpy()) for found, exact in found_and_exact()],
        defects=[
            Defect(".any(1).mean()", ".any(2).mean()"),
            Defect(".any(1).mean()", ".any(1).all(1).mean()"),
        ],
    ),
    Oracle(
        "version_mismatch",
        procrustes,
        defects=[
            Defect("return u @ vt", "return vt.T @ u.T"),
            Defect("source.T @ target", "source.T @ source"),
        ],
    ),
]
