"""Multi-label classification: metrics, chains and thresholds against scikit-learn, attention and pooling
against PyTorch, answers against brute force."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier

from tests.oracles.oracle import Defect, Oracle, agree

# --- metrics ---------------------------------------------------------------------------


def metrics(code):
    """On random tables, with ties among few levels, and a label that nobody ever gives."""
    for n, labels, levels in itertools.product((1, 2, 7, 40), (1, 3, 8), (2, 5, 1000)):
        y, q = torch.rand(n, labels) < torch.rand(labels), torch.rand(n, labels) < 0.4
        y[0], q[:, 0], s = True, False, (torch.rand(n, labels) * levels).floor()
        agree(code.subset_accuracy(y, q), sk.accuracy_score(y, q))
        agree(code.hamming_loss(y, q), sk.hamming_loss(y, q))
        precision = [sk.average_precision_score(*pair) for pair in zip(y.T, s.T, strict=True)]
        agree(code.mean_average_precision(y, s), np.mean(precision))
        y[:, 0] &= levels > 2  # nor does it occur
        macro = np.mean([sk.f1_score(*pair, zero_division=0) for pair in zip(y.T, q.T, strict=True)])
        agree(code.f1(y, q, "macro"), macro)
        agree(code.f1(y, q, "micro"), sk.f1_score(y.ravel(), q.ravel(), zero_division=0))


def classifier_chain(code):
    """Answers equal scikit-learn's chain and its independent classifiers, in any order of the labels."""
    given = 0
    for labels in (1, 2, 3, 3, 4):
        x = torch.randn(150, 5)
        y = (x @ torch.randn(5, labels) + torch.randn(150, labels) > 0).double()
        y[:, -1] = torch.where(torch.rand(150) < 0.8, y[:, 0], y[:, -1])  # dependence
        new, order = torch.randn(400, 5), torch.randperm(labels).tolist()
        base = LogisticRegression(tol=1e-10, max_iter=5000)
        for model, links in (ClassifierChain(base, order=order), order), (MultiOutputClassifier(base), []):
            want = model.fit(x.numpy(), y.numpy()).predict(new.numpy())
            q = code.answer(new, *code.fit(x, y, links), links or range(labels))
            # a score within rounding of 0 may fall on either side
            assert (q.numpy() != want).any(1).mean() <= 0.01
            given += q.sum()
    assert given > 0


def answers_minimize_their_loss(code):
    """By brute force over the four answers, on random joint tables."""
    pairs = list(itertools.product((0, 1), repeat=2))
    for _ in range(300):
        p = torch.rand(2, 2) ** 3
        p /= p.sum()
        code.truth.copy_(p)
        wrong = {a: sum(p[b] for b in pairs if b != a) for a in pairs}
        hamming = {a: sum(p[b] * np.not_equal(a, b).mean() for b in pairs) for a in pairs}
        for a in pairs:
            agree(code.risks(a), [wrong[a], hamming[a]])
        assert code.binary_relevance(p) == min(pairs, key=hamming.get)
        assert code.label_powerset(p) == code.searched_chain(p) == min(pairs, key=wrong.get)
        first, second = int(p[1].sum() > p[0].sum()), int(p[:, 1].sum() > p[:, 0].sum())
        assert code.chain(p) == (first, int(p[first, 1] > p[first, 0]))
        assert code.chain_reversed(p) == (int(p[1, second] > p[0, second]), second)


# --- thresholds ------------------------------------------------------------------------


def best_threshold(code):
    """The threshold's F1 equals the best over scikit-learn's whole curve, with ties too."""
    for n, levels in itertools.product((1, 2, 5, 30, 200), (1, 2, 7, 10**6)):
        for _ in range(5):
            p = (torch.rand(n) * levels).floor() / levels
            y = torch.rand(n) < 0.3
            y[torch.randint(n, ())] = True
            precision, recall, _ = sk.precision_recall_curve(y, p)
            best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
            agree(sk.f1_score(y, p >= code.best_threshold(p, y)), best)


def calibrated():
    for n, share in itertools.product((1, 2, 60), (0, 0.3, 1)):
        yield torch.rand(n), (torch.rand(n) < share).double()


def f1_curve(p, y):
    cuts = p.sort(descending=True).values
    return cuts, [sk.f1_score(y, p >= cut, zero_division=0) for cut in cuts]


def attended():
    """The maps of one 1 x 1 convolution; logits and weights of attention with one query per label."""
    for n, c, labels, h, w in [(1, 4, 1, 1, 1), (2, 6, 3, 2, 5), (3, 32, 5, 4, 4)]:
        x, kernel = torch.randn(n, c, h, w), torch.randn(2 * labels, c, 1, 1)
        query, value = kernel.flatten(1).split(labels)
        places = x.flatten(2).mT  # (N, P, C)
        summary, weights = (  # (N, L, C), each label's own, and (N, L, P)
            F.scaled_dot_product_attention(query.expand(n, -1, -1), places, v, scale=1.0)
            for v in (places, torch.eye(h * w).expand(n, -1, -1))
        )
        yield F.conv2d(x, kernel), (summary * value).sum(2), weights


def attend(code):
    for maps, logits, weights in attended():
        agree(code.attend(maps), (logits, weights))


def pool(code):
    for maps, logits, _ in attended():
        agree(code.pool(maps, "attention"), logits)
        evidence = maps.chunk(2, 1)[1]
        agree(code.pool(maps, "mean"), F.adaptive_avg_pool2d(evidence, 1).flatten(1))
        agree(code.pool(maps, "max"), F.adaptive_max_pool2d(evidence, 1).flatten(1))


ORACLES = [
    Oracle(
        "metrics",
        metrics,
        defects=[
            Defect(".all(1)", ".any(1)"),
            Defect("(y != q)", "(y & ~q)"),  # false alarms forgotten
            Defect("2 * hits + errors", "hits + errors"),  # Jaccard, not F1
            Defect('average == "micro"', 'average == "macro"'),
            Defect("s >= s[y]", "s > s[y]"),  # the positive itself is not above
            Defect("(above & y)", "above"),
        ],
    ),
    Oracle(
        "classifier_chain",
        classifier_chain,
        defects=[
            Defect("order[:k]] = 1", "order[:k + 1]] = 1"),  # a label sees itself
            Defect("order[:k]] = 1", "order[k + 1:]] = 1"),  # later labels instead of earlier
            Defect("w.square().sum() / 2", "w.square().sum()"),  # twice the penalty
            Defect("for k in order:", "for k in order[::-1]:"),
            Defect("b[k] > 0", "b[k] > 0.5"),  # a probability's threshold on a logit
        ],
    ),
    Oracle(
        "loss_decides",
        answers_minimize_their_loss,
        data=lambda: {"truth": torch.zeros(2, 2)},
        defects=[
            Defect("p[:, 1].sum() > 0.5", "p[0, 1] > 0.5"),
            Defect("p.argmax()", "p.T.argmax()"),
            Defect("p[y1, 1] / p[y1].sum()", "p[y1, 1]"),  # joint, not conditional
            Defect("chain(p.T)[::-1]", "chain(p.T)"),
            Defect("wrong.any(1)", "wrong.all(1)"),
            Defect("(p.sum(0) * (p / p.sum(0)))", "(p / p.sum(0))"),  # first factor forgotten
        ],
    ),
    Oracle(
        "tuned_thresholds",
        best_threshold,
        defects=[
            Defect("    f1[:-1][p[:-1] == p[1:]] = -1", "    pass"),  # cuts inside a tie
            Defect("p.sort(descending=True)", "p.sort()"),
            Defect("torch.arange(1, len(p) + 1)", "torch.arange(len(p))"),
            Defect("+ y.sum())", "+ 1)"),  # precision-like: recall forgotten
        ],
    ),
    Oracle(
        "f1_threshold",
        function="f1_curve",
        reference=f1_curve,
        cases=calibrated,
        defects=[
            Defect("weight[order]", "weight"),
            Defect("torch.arange(1, len(p) + 1)", "torch.arange(len(p))"),
            Defect("2 * weight", "weight"),
        ],
    ),
    Oracle(
        "label_attention",
        attend,
        defects=[
            Defect("match.softmax(2)", "match.softmax(1)"),  # labels compete, not places
            Defect("match.softmax(2)", "match.sigmoid()"),
            Defect("match, evidence =", "evidence, match ="),
        ],
    ),
    Oracle(
        "pooling_per_label",
        pool,
        defects=[
            Defect("evidence.mean(2)", "match.mean(2)"),
            Defect("evidence.amax(2)", "evidence.sum(2)"),
            Defect("match.softmax(2)", "match.softmax(1)"),
        ],
    ),
]
