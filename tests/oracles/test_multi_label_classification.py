"""The algorithms of docs/little-data/multi-label-classification.md against oracles.

Oracles: scikit-learn's metrics, ClassifierChain and precision-recall curve, torch's own
attention and pooling, and brute force over answers and thresholds.
"""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from tests.snippet_functions import load_functions

TOPIC = "multi-label-classification"


def load(name, defect=None):
    return load_functions(f"{TOPIC}/{name}", defect)


# --- metrics ---------------------------------------------------------------------------


def metrics_agree(functions) -> bool:
    """Every metric equals scikit-learn's on random tables, with ties and silent labels."""
    for n, labels, levels in itertools.product((1, 2, 7, 40), (1, 3, 8), (2, 5, 1000)):
        y, q = torch.rand(n, labels) < torch.rand(labels), torch.rand(n, labels) < 0.4
        y[0], s = True, (torch.rand(n, labels) * levels).floor()  # few levels: many ties
        q[:, 0] = False
        pairs = [
            (functions.subset_accuracy(y, q), sk.accuracy_score(y, q)),
            (functions.hamming_loss(y, q), sk.hamming_loss(y, q)),
            (functions.mean_average_precision(y, s), np.mean(
                [sk.average_precision_score(a, b) for a, b in zip(y.T, s.T)]
            )),
        ]  # fmt: skip
        pairs += [
            (functions.f1(y, q, kind), np.mean(
                [sk.f1_score(a, b, zero_division=0) for a, b in zip(y.T, q.T)]
            ) if kind == "macro" else sk.f1_score(y.ravel(), q.ravel(), zero_division=0))
            for kind in ("micro", "macro")
        ]  # fmt: skip
        if any(abs(float(a) - b) > 1e-9 for a, b in pairs):
            return False
    return True


def test_metrics_equal_scikit_learn():
    assert metrics_agree(load("metrics"))


@pytest.mark.parametrize(
    "defect",
    [
        (".all(1)", ".any(1)"),
        ("(y != q)", "(y & ~q)"),  # false alarms forgotten
        ("2 * hits + errors", "hits + errors"),  # Jaccard, not F1
        ('average == "micro"', 'average == "macro"'),
        ("s >= s[y]", "s > s[y]"),  # the positive itself is not above
        ("(above & y)", "above"),
    ],
)
def test_metric_defects_are_caught(defect):
    assert not metrics_agree(load("metrics", defect))


# --- classifier chain ------------------------------------------------------------------


def chains_agree(functions) -> bool:
    """Answers equal scikit-learn's chain and its independent classifiers, for all orders."""
    sure = 0
    for trial, labels in enumerate((1, 2, 3, 3, 4)):
        x = torch.randn(150, 5)
        y = (x @ torch.randn(5, labels) + torch.randn(150, labels) > 0).double()
        y[:, -1] = torch.where(torch.rand(150) < 0.8, y[:, 0], y[:, -1])  # dependence
        new, order = torch.randn(400, 5), torch.randperm(labels).tolist()
        base = LogisticRegression(tol=1e-10, max_iter=5000)
        oracle = ClassifierChain(base, order=order).fit(x.numpy(), y.numpy())
        lone = MultiOutputClassifier(base).fit(x.numpy(), y.numpy())
        for model, mine in (oracle, order), (lone, []):
            w, b = functions.fit(x, y, mine)
            q = functions.answer(new, w, b, mine or range(labels))
            differs = (q.numpy() != model.predict(new.numpy())).any(1).mean()
            if differs > 0.01:  # a score within rounding of 0 may fall on either side
                return False
            sure += q.sum().item()
    return sure > 0


def test_chain_equals_scikit_learn():
    assert chains_agree(load("classifier_chain"))


@pytest.mark.parametrize(
    "defect",
    [
        ("order[:k]] = 1", "order[:k + 1]] = 1"),  # a label sees itself
        ("order[:k]] = 1", "order[k + 1:]] = 1"),  # later labels instead of earlier
        ("w.square().sum() / 2", "w.square().sum()"),  # twice the penalty
        ("for k in order:", "for k in order[::-1]:"),
        ("b[k] > 0", "b[k] > 0.5"),  # a probability's threshold on a logit
    ],
)
def test_chain_defects_are_caught(defect):
    assert not chains_agree(load("classifier_chain", defect))


# --- the two-label table ---------------------------------------------------------------


def table_agrees(functions) -> bool:
    """Each answer minimizes its loss by brute force, on random joint tables."""
    pairs = list(itertools.product((0, 1), repeat=2))
    for _ in range(300):
        p = torch.rand(2, 2) ** 3
        p /= p.sum()
        wrong = {a: sum(p[b].item() for b in pairs if b != a) for a in pairs}
        hamming = {a: sum(p[b].item() * (a[0] != b[0]) / 2 for b in pairs) + sum(
            p[b].item() * (a[1] != b[1]) / 2 for b in pairs) for a in pairs}  # fmt: skip
        mode = min(wrong, key=wrong.get)
        first = int(p[1].sum() > p[0].sum())
        greedy = first, int(p[first, 1] > p[first, 0])
        second = int(p[:, 1].sum() > p[:, 0].sum())
        backward = int(p[1, second] > p[0, second]), second
        functions.risks.__globals__["truth"] = p
        if not (
            functions.binary_relevance(p) == min(hamming, key=hamming.get)
            and functions.label_powerset(p) == functions.searched_chain(p) == mode
            and functions.chain(p) == greedy
            and functions.chain_reversed(p) == backward
            and all(np.allclose(functions.risks(a), (wrong[a], hamming[a])) for a in pairs)
        ):
            return False
    return True


def test_answers_minimize_their_loss():
    assert table_agrees(load("loss_decides"))


@pytest.mark.parametrize(
    "defect",
    [
        ("p[:, 1].sum() > 0.5", "p[0, 1] > 0.5"),
        ("p[y1, 1] / p[y1].sum()", "p[y1, 1]"),  # joint, not conditional
        ("chain(p.T)[::-1]", "chain(p.T)"),
        ("wrong.any(1)", "wrong.all(1)"),
        ("(p.sum(0) * (p / p.sum(0)))", "(p / p.sum(0))"),  # first factor forgotten
    ],
)
def test_table_defects_are_caught(defect):
    assert not table_agrees(load("loss_decides", defect))


# --- thresholds ------------------------------------------------------------------------


def thresholds_agree(functions) -> bool:
    """The threshold's F1 equals the best over scikit-learn's whole curve, with ties too."""
    for n, levels in itertools.product((1, 2, 5, 30, 200), (1, 2, 7, 10**6)):
        for _ in range(5):
            p = (torch.rand(n) * levels).floor() / levels
            y = torch.rand(n) < 0.3
            y[torch.randint(n, ())] = True
            precision, recall, _ = sk.precision_recall_curve(y, p)
            best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
            mine = sk.f1_score(y, p >= functions.best_threshold(p, y))
            if abs(mine - best) > 1e-9:
                return False
    return True


def test_best_threshold_is_the_best():
    assert thresholds_agree(load("tuned_thresholds"))


@pytest.mark.parametrize(
    "defect",
    [
        ("    f1[:-1][p[:-1] == p[1:]] = -1", "    pass"),  # cuts inside a tie
        ("p.sort(descending=True)", "p.sort()"),
        ("torch.arange(1, len(p) + 1)", "torch.arange(len(p))"),
        ("+ y.sum())", "+ 1)"),  # precision-like: recall forgotten
    ],
)
def test_threshold_defects_are_caught(defect):
    assert not thresholds_agree(load("tuned_thresholds", defect))


# --- attention -------------------------------------------------------------------------


def attention_agrees(attend) -> bool:
    """One 1 x 1 convolution is scaled dot-product attention with a query per label."""
    for n, c, labels, h, w in [(1, 4, 1, 1, 1), (2, 6, 3, 2, 5), (3, 32, 5, 4, 4)]:
        x, kernel = torch.randn(n, c, h, w), torch.randn(2 * labels, c, 1, 1)
        query, value = kernel.flatten(1).split(labels)
        places = x.flatten(2).mT  # (N, P, C)
        pooled = F.scaled_dot_product_attention(
            query.expand(n, -1, -1), places, places, scale=1.0
        )  # (N, L, C): each label's own summary
        if not torch.allclose(attend(F.conv2d(x, kernel)), (pooled * value).sum(2)):
            return False
    return True


def pooling_agrees(functions) -> bool:
    maps = torch.randn(3, 8, 2, 5)
    oracles = {"mean": F.adaptive_avg_pool2d, "max": F.adaptive_max_pool2d}
    return attention_agrees(lambda maps: functions.pool(maps, "attention")) and all(
        torch.allclose(functions.pool(maps, kind), oracle(maps[:, 4:], 1).flatten(1))
        for kind, oracle in oracles.items()
    )


def test_attention_is_torchs_attention():
    functions = load("label_attention")
    assert attention_agrees(lambda maps: functions.attend(maps)[0])
    assert pooling_agrees(load("pooling_per_label"))


@pytest.mark.parametrize(
    "defect",
    [
        ("evidence.mean(2)", "match.mean(2)"),
        ("evidence.amax(2)", "evidence.sum(2)"),
        ("match.softmax(2)", "match.softmax(1)"),
    ],
)
def test_pooling_defects_are_caught(defect):
    assert not pooling_agrees(load("pooling_per_label", defect))


@pytest.mark.parametrize(
    "defect",
    [
        ("match.softmax(2)", "match.softmax(1)"),  # labels compete, not places
        ("match.softmax(2)", "match.sigmoid()"),
        ("match, evidence =", "evidence, match ="),
    ],
)
def test_attention_defects_are_caught(defect):
    functions = load("label_attention", defect)
    assert not attention_agrees(lambda maps: functions.attend(maps)[0])


# --- F1 and its threshold --------------------------------------------------------------


def f1_curve_agrees(functions) -> bool:
    p, y = torch.rand(60), torch.rand(60) < 0.3
    scores, f1 = functions.f1_curve(p, y.double())
    return np.allclose(f1, [sk.f1_score(y, p >= score) for score in scores])


@pytest.mark.parametrize(
    "defect",
    [
        ("weight[order]", "weight"),
        ("torch.arange(1, len(p) + 1)", "torch.arange(len(p))"),
        ("2 * weight", "weight"),
    ],
)
def test_f1_curve_is_scikit_learns(defect):
    assert f1_curve_agrees(load("f1_threshold"))
    assert not f1_curve_agrees(load("f1_threshold", defect))
