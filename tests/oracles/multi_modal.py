"""Multi-modal fusion: PyTorch, scikit-learn, SciPy and brute force."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import multivariate_normal
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score

from tests.oracles.oracle import Defect, Oracle, agree


def tokens():
    """Sizes other than the snippet's; a sample with nothing to look up."""
    for n, rows, words, heads, size in [(2, 3, 5, 1, 4), (3, 1, 2, 2, 3), (1, 4, 1, 3, 2)]:
        d = heads * size
        a, b, weights = torch.randn(n, rows, d), torch.randn(n, words, d), torch.randn(3, d, d)
        yield a, b, torch.rand(n, words) < 0.6, *weights, heads
        yield a, b, torch.zeros(n, words) > 0, *weights, heads


def cross_attention(a, b, there, wq, wk, wv, heads):
    """One query and one head at a time, in loops."""
    want, (_, rows, d) = torch.zeros_like(a), a.shape
    for s, i, part in np.ndindex(len(a), rows, heads):
        part = slice(part * d // heads, (part + 1) * d // heads)
        q = (a[s, i] @ wq)[part] / (d // heads) ** 0.5
        terms = [(((word @ wk)[part] @ q).exp(), (word @ wv)[part]) for word in b[s][there[s]]]
        if terms:
            want[s, i, part] = sum(e * v for e, v in terms) / sum(e for e, _ in terms)
    return want


def experts(code):
    """Densities from SciPy, Bayes' rule for each sensor alone and for all, votes counted."""
    for m in (1, 2, 5):
        x, means, prior = torch.randn(12, m, 2), torch.randn(m, 3, 2), torch.tensor([0.6, 0.3, 0.1])
        density = torch.zeros(12, m, 3)
        for s, i, k in np.ndindex(density.shape):
            density[s, i, k] = multivariate_normal.pdf(x[s, i], means[i, k])
        alone, both = density * prior, density.prod(1) * prior
        log_p = code.expert_posteriors(x, means, prior)
        agree(log_p.exp(), alone / alone.sum(2, keepdim=True))
        agree(code.product(log_p, prior).exp(), both / both.sum(1, keepdim=True))
        agree(code.vote(log_p), [np.bincount(row.argmax(1), minlength=3) / m for row in alone])


def confident_guesses():
    for n, bins in (1, 10), (400, 10), (400, 3), (60, 1):
        p = torch.randn(n, 3).mul(2).softmax(1)
        p[0] = torch.tensor([1.0, 0.0, 0.0])  # the upper border
        yield p, torch.randint(3, (n,)), bins


def calibration_error(p, y, bins):
    confidence, right, total = p.amax(1), (p.argmax(1) == y).double(), 0.0
    for low in range(bins):
        inside = (confidence * bins >= low) & ((confidence * bins < low + 1) | (low == bins - 1))
        if inside.any():
            total += inside.double().mean() * (confidence[inside].mean() - right[inside].mean()).abs()
    return total


def pairs():
    for seed in range(6):
        n = 1 + seed
        yield torch.randn(n, 7), 3 * torch.randn(n, 7), 0.5 + 3 * seed
        yield torch.eye(n), torch.eye(n), 100.0  # all but no loss


def clip_loss(a, b, scale):
    """The formula in two loops."""
    s = (scale * F.cosine_similarity(a[:, None], b[None], dim=2)).exp()
    logs = [(s[i, i] / s[i].sum()).log() + (s[i, i] / s[:, i].sum()).log() for i in range(len(s))]
    return -sum(logs) / 2 / len(s)


def write(code):
    words = code.write(["a red seven", "a seven seven", ""], ["seven", "red", "a", "two"])
    agree(words, [[1, 1, 1, 0], [2, 0, 1, 0], [0, 0, 0, 0]])


def importance(code):
    """scikit-learn shuffles single columns, so each modality has one informative column."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1500, 2)), np.array([[2.0, -1.0, 0.0], [0.3, 0.5, -1.0]])
    y = (x @ w + 0.5 * rng.normal(size=(1500, 3))).argmax(1)
    model = LogisticRegression()
    model.coef_, model.intercept_, model.classes_ = w.T, np.zeros(3), np.arange(3)
    want = permutation_importance(model, x, y, n_repeats=10, random_state=0).importances_mean
    w, target = torch.from_numpy(w), torch.from_numpy(y)[None]
    inputs = list(torch.from_numpy(x)[None].split(1, 2))
    kept = [z.clone() for z in inputs]
    for which in (0, 1):
        got = code.importance(lambda a, b: a * w[0] + b * w[1], inputs, target, which, 10)
        assert got.shape == (1,) and abs(got - want[which]) < 0.02
        other = 1 - which
        unused = code.importance(lambda *z, i=other: z[i] * w[i], inputs, target, which, 10)
        agree(unused, [0])
        agree(inputs, kept)
    wide = torch.randn(1, 300, 4)  # a shuffle moves whole samples, all columns of one
    rows = {tuple(r) for r in wide[0].tolist()}

    def whole(a, b):
        assert not {tuple(r) for r in a[0].tolist()} ^ rows  # pytest would explain == for minutes
        return a

    code.importance(whole, [wide, wide + 1], torch.zeros(1, 300), 0, 2)


def drop_one(code):
    halves = [torch.ones(3, 20000, 2), 2 * torch.ones(3, 20000, 5)]
    for p in (0.0, 0.5, 1.0):
        dropped = code.drop_one(halves, p)
        lost = [(x == 0).all(2) for x in dropped]
        assert not (lost[0] & lost[1]).any()  # never both
        for half, gone, full in zip(dropped, lost, halves, strict=True):
            assert abs(gone.double().mean() - p / 2) < 0.01
            assert torch.equal(half[~gone], full[~gone])


def layers(w, x):
    return torch.stack([torch.tanh(x[s] @ w[0][s] + w[1][s]) @ w[2][s] for s in range(len(x))])


def interactions(code):
    """Seed by seed; a mixed second difference of 0 for a sum, so for late fusion only."""
    two = [torch.randn(5, *s) for s in ((1, 12), (1, 12), (12, 4)) * 2]
    wide = [*two[:5], torch.randn(5, 12, 8)]
    joint = [torch.randn(5, *s) for s in ((2, 12), (1, 12), (12, 4))]
    a, b = torch.randn(2, 5, 6, 1)
    u, v, (scale, shift) = layers(two, a), layers(two[3:], b), layers(wide[3:], b).chunk(2, 2)
    fusions = {
        "late": (two, (u + v).mean(2) / 2),
        "concat": (joint, layers(joint, torch.cat([a, b], 2)).mean(2)),
        "bilinear": (two, (u * v).sum(2)),
        "film": (wide, (scale * u + shift).sum(2)),
    }
    for name, (w, want) in fusions.items():
        fuse, zero = getattr(code, name), torch.zeros_like(a)
        agree(fuse(w, a, b), want)
        mixed = fuse(w, a, b) - fuse(w, a, zero) - fuse(w, zero, b) + fuse(w, zero, zero)
        assert mixed.abs().max() < 1e-12 if name == "late" else mixed.abs().max() > 0.1


# --- laziness --------------------------------------------------------------------------


def digits():
    """2 seeds, 60 images, 3 channels."""
    images = torch.randn(2, 60, 1, 8, 8)
    patches = F.unfold(images.flatten(0, 1), 4, stride=2).mT.unflatten(0, (2, 60))
    split = {"train": slice(40), "test": slice(40, 60), "y": torch.randint(0, 10, (2, 60))}
    return {"S": 2, "N": 60, "D": 3, "images": images, "patches": patches, **split}


def scores(code):
    z = torch.randn(2, 60, 10)
    p = z[:, code.train].exp().gather(2, code.y[:, code.train, None])[..., 0] / z[:, code.train].exp().sum(2)
    agree(code.cross_entropy(z[:, code.train]), -p.log().mean(1).sum())
    guesses = zip(code.y[:, code.test], z[:, code.test].argmax(2), strict=True)
    agree(code.accuracy(z), [accuracy_score(*guess) for guess in guesses])


def encode(code):
    w = [torch.randn(2, 16, 3)]
    for part in (slice(None), code.train):
        for s, got in enumerate(code.encode(w, part)):
            maps = F.conv2d(code.images[s, part], w[0][s].T.view(3, 1, 4, 4), stride=2).relu()
            agree(got, maps.permute(0, 2, 3, 1).flatten(1))


def probe(code):
    for ridge in (0.01, 1.0, 300.0):
        features, scores = torch.randn(2, 60, 30), []
        for h, y in zip(F.pad(features, (0, 1), value=1.0), code.y, strict=True):
            model = Ridge(ridge, fit_intercept=False)
            model.fit(h[code.train], F.one_hot(y[code.train], 10) - 0.1)
            scores.append(accuracy_score(y[code.test], model.predict(h[code.test]).argmax(1)))
        agree(code.probe(features, ridge), scores)


ORACLES = [
    Oracle(
        "cross_attention",
        function="cross_attention",
        reference=cross_attention,
        cases=tokens,
        defects=[
            Defect("q.shape[3] ** 0.5", "q.shape[3]"),
            Defect("~there[:, None, None]", "there[:, None, None]"),
            Defect("split(b @ wv, heads)", "split(b @ wk, heads)"),
            Defect(".nan_to_num(0.0)", ""),
            Defect("(heads, -1)", "(-1, heads)"),
        ],
    ),
    Oracle(
        "product_of_experts",
        experts,
        defects=[
            Defect(".sum(3) / 2", ".sum(3)"),
            Defect("(likelihood + prior.log())", "likelihood"),
            Defect("log_p.shape[1] - 1", "log_p.shape[1]"),  # prior counted wrong
            Defect("- (log_p.shape[1] - 1) * prior.log()", ""),
            Defect("log_p.argmax(2)", "log_p.argmin(2)", where="vote"),
        ],
    ),
    Oracle(
        "product_of_experts",
        function="calibration_error",
        reference=calibration_error,
        cases=confident_guesses,
        defects=[Defect("gap.abs().sum()", "gap.sum().abs()")],
    ),
    Oracle(
        "clip",
        function="clip_loss",
        reference=clip_loss,
        cases=pairs,
        defects=[
            Defect("+ F.cross_entropy(s.T, match)) / 2", "+ F.cross_entropy(s, match)) / 2"),  # one way
            Defect("F.normalize(b, dim=1)", "b"),
            Defect("scale * F", "F"),
        ],
    ),
    Oracle("clip", write, defects=[Defect("float(c.split().count(w))", "float(w in c.split())")]),
    Oracle(
        "dominance",
        importance,
        defects=[
            Defect("mixed = list(inputs)", "mixed = inputs"),  # spoils the caller's data
            Defect("return lost / repeats", "return lost"),
            Defect("order.expand_as(mixed[which])", "torch.rand(mixed[which].shape).argsort(1)"),
            Defect("mixed[which].gather(1", "mixed[1 - which].gather(1"),
        ],
    ),
    Oracle(
        "modality_dropout",
        drop_one,
        defects=[
            Defect("(u < 1 - p / 2)", "(u >= p / 2)"),  # both go together
            Defect("(u >= p / 2), ", "(u >= p), "),
        ],
    ),
    Oracle(
        "interactions",
        interactions,
        defects=[
            Defect("(mlp(w[:3], a) + mlp", "(mlp(w[:3], a) * mlp"),
            Defect("torch.cat([a, b], 2)", "torch.cat([b, a], 2)"),
            Defect("* mlp(w[3:], b)).sum(2)", "+ mlp(w[3:], b)).sum(2)"),
            Defect("scale * mlp(w[:3], a) + shift", "mlp(w[:3], a) + shift"),
        ],
    ),
    Oracle(
        "laziness",
        scores,
        data=digits,
        defects=[
            Defect("S * F.cross_entropy", "F.cross_entropy"),
            Defect("z[:, test].argmax(2)", "z[:, test].argmin(2)"),
        ],
    ),
    Oracle("laziness", encode, data=digits, defects=[Defect("@ w[0]).relu()", "@ w[0])")]),
    Oracle("laziness", probe, data=digits, defects=[Defect("x.mT @ x + ridge", "x.mT @ x - ridge")]),
]
