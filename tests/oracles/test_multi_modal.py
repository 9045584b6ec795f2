"""The fusion snippets' own functions against torch, scikit-learn, scipy and brute force."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import multivariate_normal
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score
from tests.snippet_functions import load_functions

TOPIC = "multi-modal"


def check_cross_attention(functions) -> None:
    """One query at a time, in loops; other sizes than the snippet's."""
    for seed, (n, rows, words, heads, size) in enumerate([(2, 3, 5, 1, 4), (3, 1, 2, 2, 3), (1, 4, 1, 3, 2)]):
        torch.manual_seed(seed)
        d = heads * size
        a, b, (wq, wk, wv) = torch.randn(n, rows, d), torch.randn(n, words, d), torch.randn(3, d, d)
        there = torch.rand(n, words) < 0.6
        got = functions.cross_attention(a, b, there, wq, wk, wv, heads)
        assert got.shape == (n, rows, d)
        for s in range(n):
            for i in range(rows):
                want = torch.zeros(d)
                for h in range(heads):
                    part = slice(h * size, (h + 1) * size)
                    q = (a[s, i] @ wq)[part]
                    terms = [
                        (((b[s, j] @ wk)[part] @ q / size**0.5).exp(), (b[s, j] @ wv)[part])
                        for j in range(words)
                        if there[s, j]
                    ]
                    if terms:
                        want[part] = sum(e * v for e, v in terms) / sum(e for e, _ in terms)
                assert torch.allclose(got[s, i], want)


def check_experts(functions) -> None:
    """Densities from scipy, Bayes' rule in a loop, bins one by one."""
    torch.manual_seed(0)
    n, m, c, d = 12, 2, 3, 2
    means, x, prior = torch.randn(m, c, d), torch.randn(n, m, d), torch.tensor([0.6, 0.3, 0.1])
    log_p = functions.expert_posteriors(x, means, prior)
    fused = functions.product(log_p, prior).exp()
    for s in range(n):
        density = np.array(
            [[multivariate_normal.pdf(x[s, i], means[i, k]) for k in range(c)] for i in range(m)]
        )
        alone = density * prior.numpy()
        assert np.allclose(log_p[s].exp(), alone / alone.sum(1, keepdims=True))
        whole = density.prod(0) * prior.numpy()
        assert np.allclose(fused[s], whole / whole.sum())
    votes = functions.vote(log_p)
    for s in range(n):
        counts = np.bincount(log_p[s].argmax(1), minlength=c)
        assert np.allclose(votes[s], counts / m)
    p, y = torch.randn(400, c).mul(2).softmax(1), torch.randint(c, (400,))
    p[0] = torch.tensor([1.0, 0.0, 0.0])  # the upper border
    confidence, guess, total = p.amax(1), p.argmax(1), 0.0
    for low in range(10):
        inside = (confidence * 10 >= low) & ((confidence * 10 < low + 1) | (low == 9))
        if inside.any():
            hit = (guess == y)[inside].double().mean()
            total += inside.double().mean() * (confidence[inside].mean() - hit).abs()
    assert torch.allclose(functions.calibration_error(p, y), total)


def check_clip(functions) -> None:
    """The formula in two loops, and the floor and ceiling of the loss."""
    for seed in range(5):
        torch.manual_seed(seed)
        n, scale = 2 + seed, 0.5 + 3 * seed
        a, b = torch.randn(n, 7), 3 * torch.randn(n, 7)
        s = scale * F.cosine_similarity(a[:, None], b[None], dim=2)
        want = 0.0
        for i in range(n):
            want -= (s[i, i].exp() / s[i].exp().sum()).log() / (2 * n)
            want -= (s[i, i].exp() / s[:, i].exp().sum()).log() / (2 * n)
        assert torch.allclose(functions.clip_loss(a, b, scale), want)
        assert functions.clip_loss(torch.eye(n), torch.eye(n), 100.0) < 1e-6
    counts = functions.write(["a red seven", "a seven seven"], ["seven", "red", "a", "two"])
    assert counts.tolist() == [[1, 1, 1, 0], [2, 0, 1, 0]]


class Network:
    """A model for scikit-learn whose columns 0 to 3 are one modality, the rest another."""

    def __init__(self, w):
        self.w = w

    def fit(self, x, y):
        return self

    def predict(self, x):
        return (x @ self.w).argmax(1)


def check_importance(functions) -> None:
    """scikit-learn shuffles single columns, so each modality has one informative column."""
    rng = np.random.default_rng(0)
    n, repeats = 1500, 10
    x = rng.normal(size=(n, 2))
    w = np.array([[2.0, -1.0, 0.0], [0.3, 0.5, -1.0]])
    y = (x @ w + 0.5 * rng.normal(size=(n, 3))).argmax(1)
    want = permutation_importance(
        Network(w), x, y, n_repeats=repeats, random_state=0,
        scoring=lambda model, x, y: accuracy_score(y, model.predict(x)),
    ).importances_mean  # fmt: skip
    torch.manual_seed(0)
    t, weight, target = torch.from_numpy(x)[None], torch.from_numpy(w), torch.from_numpy(y)[None]
    inputs = [t[..., :1], t[..., 1:]]
    kept = [z.clone() for z in inputs]

    def predict(a, b):
        return a * weight[0] + b * weight[1]

    for which in (0, 1):
        got = functions.importance(predict, inputs, target, which, repeats)
        assert got.shape == (1,) and abs(got.item() - want[which]) < 0.02
        unused = functions.importance(lambda *z, i=which: predict(*z) * 0 + z[1 - i] * weight[1 - i],
                                      inputs, target, which, repeats)  # fmt: skip
        assert unused.abs().max() == 0
    assert all(torch.equal(a, b) for a, b in zip(inputs, kept))
    wide = torch.randn(1, 300, 4)  # columns of one sample stay together
    rows = {tuple(r) for r in wide[0].tolist()}

    def whole(a, b):
        assert not {tuple(r) for r in a[0].tolist()} ^ rows  # pytest would explain == for minutes
        return a

    functions.importance(whole, [wide, wide + 1], torch.zeros(1, 300), 0, 2)


def check_dropout(functions) -> None:
    torch.manual_seed(0)
    halves = [torch.ones(3, 20000, 2), 2 * torch.ones(3, 20000, 5)]
    for p in (0.0, 0.5, 1.0):
        top, bottom = functions.drop_one(halves, p)
        lost = [(x == 0).all(2) for x in (top, bottom)]
        assert not (lost[0] & lost[1]).any()  # never both
        for half, gone, full in zip((top, bottom), lost, halves):
            assert abs(gone.double().mean() - p / 2) < 0.01
            assert torch.equal(half[~gone], full[~gone])


def check_interactions(functions) -> None:
    """Mixed second difference: 0 for a sum, and the definitions by hand."""
    torch.manual_seed(0)
    w = [torch.randn(5, *s) for s in ((1, 12), (1, 12), (12, 4)) * 2]
    wide = [*w[:5], torch.randn(5, 12, 8)]
    joint = [torch.randn(5, *s) for s in ((2, 12), (1, 12), (12, 4))]
    a, b = torch.randn(2, 5, 6, 1)

    def mixed(f, w):
        zero = torch.zeros_like(a)
        return f(w, a, b) - f(w, a, zero) - f(w, zero, b) + f(w, zero, zero)

    assert mixed(functions.late, w).abs().max() < 1e-12
    for f, weights in ((functions.concat, joint), (functions.bilinear, w), (functions.film, wide)):
        assert mixed(f, weights).abs().max() > 0.1
    for s in range(5):
        u = torch.tanh(a[s] @ w[0][s] + w[1][s]) @ w[2][s]
        v = torch.tanh(b[s] @ w[3][s] + w[4][s]) @ w[5][s]
        g = torch.tanh(b[s] @ wide[3][s] + wide[4][s]) @ wide[5][s]
        assert torch.allclose(functions.late(w, a, b)[s], (u + v).mean(1) / 2)
        assert torch.allclose(functions.bilinear(w, a, b)[s], (u * v).sum(1))
        assert torch.allclose(functions.film(wide, a, b)[s], (g[:, :4] * u + g[:, 4:]).sum(1))


def check_laziness(functions) -> None:
    """Logarithms in NumPy, scikit-learn's accuracy and ridge regression, torch's convolution."""
    S, N, D, train, test = 2, 60, 3, slice(40), slice(40, 60)
    y, images, z = torch.randint(0, 10, (S, N)), torch.randn(S, N, 1, 8, 8), torch.randn(S, N, 10)
    patches = F.unfold(images.flatten(0, 1), 4, stride=2).mT.unflatten(0, (S, N))
    values = {"S": S, "N": N, "D": D, "train": train, "test": test}
    functions.encode.__globals__.update(values, y=y, patches=patches)
    p = np.exp(z[:, train].numpy())
    p = np.take_along_axis(p, y[:, train, None].numpy(), 2)[..., 0] / p.sum(2)
    np.testing.assert_allclose(functions.cross_entropy(z[:, train]), -np.log(p).mean(1).sum())
    right = [accuracy_score(y[s, test], z[s, test].argmax(1)) for s in range(S)]
    np.testing.assert_allclose(functions.accuracy(z), right)
    w = [torch.randn(S, 16, D)]
    for part in (slice(None), train):
        got = functions.encode(w, part)
        for s in range(S):
            maps = F.conv2d(images[s, part], w[0][s].T.view(D, 1, 4, 4), stride=2).relu()
            torch.testing.assert_close(got[s], maps.permute(0, 2, 3, 1).flatten(1))
    for ridge in (0.01, 1.0, 300.0):
        scores = []
        for h, label in zip(F.pad(torch.randn(S, N, 30), (0, 1), value=1.0), y):
            model = Ridge(ridge, fit_intercept=False).fit(h[train], F.one_hot(label[train], 10) - 0.1)
            scores.append((h[:, :-1], accuracy_score(label[test], model.predict(h[test]).argmax(1))))
        features, expected = zip(*scores)
        np.testing.assert_allclose(functions.probe(torch.stack(features), ridge), expected)


CASES = {
    "cross_attention": check_cross_attention,
    "product_of_experts": check_experts,
    "clip": check_clip,
    "dominance": check_importance,
    "modality_dropout": check_dropout,
    "interactions": check_interactions,
    "laziness": check_laziness,
}


@pytest.mark.parametrize("snippet", CASES)
def test_snippet_agrees_with_its_oracle(snippet):
    CASES[snippet](load_functions(f"{TOPIC}/{snippet}"))


DEFECTS = [
    ("cross_attention", "q.shape[3] ** 0.5", "q.shape[3]"),
    ("cross_attention", "~there[:, None, None]", "there[:, None, None]"),
    ("cross_attention", "split(b @ wv, heads)", "split(b @ wk, heads)"),
    ("cross_attention", ".nan_to_num(0.0)", ""),
    ("cross_attention", "(heads, -1)", "(-1, heads)"),
    ("product_of_experts", "log_p.shape[1] - 1", "log_p.shape[1]"),  # prior counted wrong
    ("product_of_experts", "- (log_p.shape[1] - 1) * prior.log()", ""),
    ("product_of_experts", ".sum(3) / 2", ".sum(3)"),
    ("product_of_experts", "(likelihood + prior.log())", "likelihood"),
    ("product_of_experts", "gap.abs().sum()", "gap.sum().abs()"),
    ("product_of_experts", "log_p.argmax(2)", "log_p.argmin(2)"),
    ("clip", "+ F.cross_entropy(s.T, match)) / 2", "+ F.cross_entropy(s, match)) / 2"),  # one way
    ("clip", "F.normalize(b, dim=1)", "b"),
    ("clip", "scale * F", "F"),
    ("clip", "float(c.split().count(w))", "float(w in c.split())"),
    ("dominance", "mixed = list(inputs)", "mixed = inputs"),  # spoils the caller's data
    ("dominance", "return lost / repeats", "return lost"),
    ("dominance", "order.expand_as(mixed[which])", "torch.rand(mixed[which].shape).argsort(1)"),
    ("dominance", "mixed[which].gather(1", "mixed[1 - which].gather(1"),
    ("modality_dropout", "(u < 1 - p / 2)", "(u >= p / 2)"),  # both go together
    ("modality_dropout", "(u >= p / 2), ", "(u >= p), "),
    ("interactions", "(mlp(w[:3], a) + mlp", "(mlp(w[:3], a) * mlp"),
    ("interactions", "* mlp(w[3:], b)).sum(2)", "+ mlp(w[3:], b)).sum(2)"),
    ("interactions", "scale * mlp(w[:3], a) + shift", "mlp(w[:3], a) + shift"),
    ("laziness", "S * F.cross_entropy", "F.cross_entropy"),
    ("laziness", "z[:, test].argmax(2)", "z[:, test].argmin(2)"),
    ("laziness", "@ w[0]).relu()", "@ w[0])"),
    ("laziness", "x.mT @ x + ridge", "x.mT @ x - ridge"),
]  # fmt: skip


@pytest.mark.parametrize(("snippet", "old", "new"), DEFECTS)
def test_oracle_catches_a_planted_defect(snippet, old, new):
    functions = load_functions(f"{TOPIC}/{snippet}", (old, new))
    with pytest.raises((AssertionError, RuntimeError)):
        CASES[snippet](functions)
