"""Oracles for class imbalance: metrics against scikit-learn, losses against PyTorch and closed forms.

Each check takes a snippet's functions and says whether they agree with the oracle; planted defects
must make it disagree.
"""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import multivariate_normal
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from sklearn.neighbors import NearestNeighbors
from snippet_functions import load_functions

TOPIC = "class-imbalance"


def close(a, b, atol=1e-9):
    return np.allclose(np.asarray(a), np.asarray(b), rtol=1e-9, atol=atol)


def labels(n, share):
    """Binary labels of both classes in random order."""
    y = (torch.rand(n) < share).long()
    y[:2] = torch.tensor([0, 1])
    return y[torch.randperm(n)]


# --- metrics ---------------------------------------------------------------------------


def confusion_metrics_agree(code) -> bool:
    for n, share, flagged in itertools.product((2, 3, 17, 400), (0.5, 0.03), (0, 0.02, 0.5, 1)):
        y, predicted = labels(n, share), (torch.rand(n) < flagged).long()
        table = code.confusion(y, predicted)
        if not close(table, sk.confusion_matrix(y, predicted, labels=[0, 1])):
            return False
        oracle = {
            "accuracy": sk.accuracy_score(y, predicted),
            "balanced": sk.balanced_accuracy_score(y, predicted),
            "precision": sk.precision_score(y, predicted, zero_division=0),
            "F1": sk.f1_score(y, predicted, zero_division=0),
            "MCC": sk.matthews_corrcoef(y, predicted),
        }
        found = code.metrics(table)
        if found.keys() != oracle.keys() or not all(close(found[k], oracle[k]) for k in oracle):
            return False
    return True


def made_labels_have_the_counts(code) -> bool:
    cases = [(5000, 4500, 500), (1, 0, 0), (100, 100, 9900), (9999, 3, 1)]
    for positives, found, alarms in cases:
        y, predicted = code.labels(positives, found, alarms)
        want = [[10_000 - positives - alarms, alarms], [positives - found, found]]
        if not close(sk.confusion_matrix(y, predicted, labels=[0, 1]), want):
            return False
    return True


def curve_areas_agree(code) -> bool:
    for n, share, levels in itertools.product((2, 5, 60, 700), (0.5, 0.05), (1, 3, 10, None)):
        y = labels(n, share)
        score = torch.randn(n) + y
        if levels:  # few distinct scores: many ties, in the limit all equal
            score = (score.sigmoid() * levels).floor()
        if not close(code.roc_auc(y, score), sk.roc_auc_score(y, score)):
            return False
        if not close(code.average_precision(y, score), sk.average_precision_score(y, score)):
            return False
    return True


def calibration_agrees(code) -> bool:
    for n, bins in itertools.product((30, 1000), (2, 5, 10)):
        p = torch.cat([torch.tensor([0.0, 1.0]), torch.rand(n).square()])
        y = (torch.rand(n + 2) < p.sqrt()).double()
        count, predicted, observed = code.reliability(p, y, bins)
        filled = count > 0
        share, mean = calibration_curve(y, p, n_bins=bins)
        if not (close(observed[filled], share) and close(predicted[filled], mean)):
            return False
        edges = np.linspace(0, 1, bins + 1)
        weights = np.histogram(p, edges)[0][filled.numpy()] / (n + 2)
        if not close(code.ece(p, y, bins), (weights * np.abs(share - mean)).sum()):
            return False
    return True


def cost_agrees(code) -> bool:
    for n, threshold in itertools.product((2, 300), (0.0, 0.05, 0.5, 1.0)):
        y, p = labels(n, 0.1).numpy(), torch.rand(n).numpy()
        table = sk.confusion_matrix(y, p > threshold, labels=[0, 1])
        if not close(code.cost(p, y, threshold), (table[0, 1] + 19 * table[1, 0]) / n):
            return False
    return True


# --- losses ----------------------------------------------------------------------------


def binary_focal_agrees(code) -> bool:
    for gamma, alpha in itertools.product((0, 0.5, 1, 2, 5), (None, 0.25)):
        z = (3 * torch.randn(200)).requires_grad_()
        y = labels(200, 0.3).double()
        loss = code.focal_loss(z, y, gamma, alpha)
        p = z.detach().sigmoid()
        p_t = torch.where(y == 1, p, 1 - p)
        a_t = 1 if alpha is None else torch.where(y == 1, alpha, 1 - alpha)
        bce = F.binary_cross_entropy_with_logits(z.detach(), y, reduction="none")
        if gamma == 0 and not close(loss.detach(), a_t * bce):
            return False
        if not close(loss.detach(), -a_t * (1 - p_t) ** gamma * p_t.log()):
            return False
        # the derivative in Lin et al., appendix A, with labels of -1 and 1
        slope = (2 * y - 1) * (1 - p_t) ** gamma * (gamma * p_t * p_t.log() + p_t - 1)
        if not close(torch.autograd.grad(loss.sum(), z)[0], a_t * slope):
            return False
    return True


def multiclass_focal_agrees(code) -> bool:
    """Equal to the definition, and for two classes to the binary loss of the logit's difference."""
    binary = load_functions(f"{TOPIC}/focal_loss").focal_loss
    for classes in (2, 3, 10):
        z, y = 3 * torch.randn(50, classes), torch.randint(classes, (50,))
        p = z.softmax(1).gather(1, y[:, None])
        if not close(code.focal_loss(z, y), -((1 - p) ** 2 * p.log()).mean()):
            return False
        if classes == 2:
            other = binary(z[:, 1] - z[:, 0], y.double(), 2.0).mean()
            if not close(code.focal_loss(z, y), other):
                return False
    return True


def weighted_mean_agrees(code) -> bool:
    for n, classes in itertools.product((1, 7, 100), (2, 5)):
        z, y = 3 * torch.randn(n, classes), torch.randint(classes, (n,))
        weight = torch.rand(classes) * 10 + 0.1
        if not close(code.weighted_mean_ce(z, y, weight), F.cross_entropy(z, y, weight=weight)):
            return False
    return True


def adjusted_loss_agrees(code) -> bool:
    """The pairwise form in Menon et al.: log(1 + sum over others of pi_o / pi_y exp(z_o - z_y))."""
    prior = torch.rand(10).softmax(0)
    code.adjusted_loss.__globals__["log_prior"] = prior.log()
    z, y = 2 * torch.randn(40, 10), torch.randint(10, (40,))
    total = 0.0
    for row, c in zip(z, y):
        odds = prior / prior[c] * (row - row[c]).exp()
        total += torch.log1p(odds.sum() - odds[c]) / len(y)
    return close(code.adjusted_loss(z, y), total)


def logit_adjustment_agrees(code) -> bool:
    """Bayes' rule by scipy's densities; adjusting by the log prior leaves the likelihood alone."""
    for tau in (0.0, 0.5, 1.0):
        prior = torch.rand(3).softmax(0)
        x = 3 * torch.randn(60, 2)
        density = np.stack([multivariate_normal(c).pdf(x) for c in code_centers(code)], 1)
        joint = density * prior.numpy()
        z = code.log_posterior(x, prior)
        if not close(z.exp(), joint / joint.sum(1, keepdims=True)):
            return False
        tilted = density * prior.numpy() ** (1 - tau)
        p = code.adjust(z, prior.log(), tau).softmax(1)
        if not close(p, tilted / tilted.sum(1, keepdims=True)):
            return False
    return True


def code_centers(code):
    centers = torch.tensor([[0.0, 0.0], [2.0, 0.5], [0.8, 2.0]])
    code.log_posterior.__globals__["centers"] = centers
    return centers.numpy()


# --- resampling ------------------------------------------------------------------------


def smote_agrees(code) -> bool:
    """Each new row lies between its start and one of scikit-learn's k nearest neighbors of it."""
    for n, width, k in ((6, 1, 5), (30, 4, 5), (30, 4, 1), (80, 20, 3)):
        x = torch.randn(n, width)
        new, start, end = code.smote(x, 200, k)
        nearest = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)
        if any(b not in nearest[a] for a, b in zip(start.tolist(), end.tolist())):
            return False
        line = x[end] - x[start]
        u = ((new - x[start]) * line).sum(1) / line.square().sum(1)
        if u.min() < 0 or u.max() > 1 or u.std() < 0.2:
            return False
        if not close(x[start] + u[:, None] * line, new):
            return False
        if len(set(end.tolist())) < 2:
            return False
    return True


def oversampling_agrees(code) -> bool:
    for n, ones in ((10, 1), (500, 50), (40, 20)):
        x, y = torch.randn(n, 3), (torch.arange(n) < ones).long()
        more, y_more = code.oversample(x, y)
        if not close(y_more.bincount(), [n - ones, n - ones]) or not torch.equal(more[:n], x):
            return False
        rows = {tuple(r) for r in x[:ones].tolist()}
        if not all(tuple(r) in rows for r in more[n:].tolist()):
            return False
        (x1, y1), (x2, y2) = code.split(x, y)
        back = sorted(map(tuple, torch.cat([x1, x2]).tolist()))
        if back != sorted(map(tuple, x.tolist())) or y1.sum() + y2.sum() != ones:
            return False
    return True


def sampler_gradient_agrees(code) -> bool:
    x, y = torch.randn(40, 64), torch.randint(10, (40,))
    code.gradient.__globals__.update(x=x, y=y)
    i, scale = torch.randint(40, (16,)), torch.rand(16)
    w = torch.randn(64, 10, requires_grad=True)
    loss = (scale * F.cross_entropy(x[i] @ w, y[i], reduction="none")).mean()
    return close(code.gradient(w.detach(), i, scale), torch.autograd.grad(loss, w)[0])


CHECKS = [
    ("accuracy_paradox", confusion_metrics_agree),
    ("accuracy_paradox", made_labels_have_the_counts),
    ("roc_and_pr", curve_areas_agree),
    ("calibration", calibration_agrees),
    ("threshold_moving", cost_agrees),
    ("focal_loss", binary_focal_agrees),
    ("loss_level_remedies", multiclass_focal_agrees),
    ("weights_equal_duplicates", weighted_mean_agrees),
    ("adjusted_loss_is_a_bias", adjusted_loss_agrees),
    ("logit_adjustment", logit_adjustment_agrees),
    ("smote_on_pixels", smote_agrees),
    ("leak_before_split", oversampling_agrees),
    ("sampler_gradient", sampler_gradient_agrees),
]
DEFECTS = [
    (0, "2 * y + predicted", "y + 2 * predicted"),
    (0, "(recall + specificity) / 2", "(recall * specificity) ** 0.5"),
    (0, "2 * tp / (2 * tp + fp + fn)", "tp / (tp + fp + fn)"),
    (0, "tp * tn - fp * fn", "tp * tn"),
    (0, '"precision": tp / (tp + fp)', '"precision": tp / (tp + fn)'),
    (1, "positives * (1 - y)", "positives"),
    (2, "score[1:] != score[:-1]", "score[1:] == score[1:]"),  # ties split at random
    (2, "descending=True", "descending=False"),
    (2, "torch.cat([zero, tpr]), torch.cat([zero, fpr])", "tpr, fpr"),  # no point at the origin
    (2, "recall.diff(prepend=torch.zeros(1)) * precision", "recall * precision"),
    (3, "total / n)", "total / len(p))"),
    (3, ".clamp(max=bins - 1)", ".clamp(max=bins - 2)"),
    (3, "(n * (predicted - observed).abs())", "((predicted - observed).abs())"),
    (4, "alarm & (y == 0)", "alarm & (y == 1)"),
    (4, "p > threshold", "p < threshold"),
    (5, "(1 - (-bce).exp()) ** gamma", "(-bce).exp() ** gamma"),
    (5, "** gamma * bce", "** (gamma + 1) * bce"),
    (5, "alpha * y + (1 - alpha) * (1 - y)", "alpha * (1 - y) + (1 - alpha) * y"),
    (6, "** 2 * ce", "** 1 * ce"),
    (7, "/ w.sum()", "/ len(y)"),
    (8, "z + log_prior", "z - log_prior"),
    (9, "z - tau * log_prior", "z + tau * log_prior"),
    (9, ".square() / 2", ".square()"),
    (10, ".fill_diagonal_(torch.inf)", ".fill_diagonal_(0)"),  # an image is its own neighbor
    (10, "largest=False", "largest=True"),
    (10, "u * (x[end] - x[start])", "u * x[end]"),
    (10, "torch.rand(n, 1)", "2 * torch.rand(n, 1)"),
    (11, "len(y) - 2 * len(ones)", "len(y) - len(ones)"),
    (11, "order[:-len(y) // 3]", "order"),  # the test part is trained on
    (12, "/ len(i)", "/ scale.sum()"),
    (12, "wrong[torch.arange(len(i)), y[i]] -= 1", "wrong[torch.arange(len(i)), y[i]] += 1"),
]


@pytest.mark.parametrize(("snippet", "agrees"), CHECKS)
def test_agrees_with_oracle(snippet, agrees):
    assert agrees(load_functions(f"{TOPIC}/{snippet}"))


@pytest.mark.parametrize(("number", "old", "new"), DEFECTS)
def test_oracle_catches_the_defect(number, old, new):
    snippet, agrees = CHECKS[number]
    assert not agrees(load_functions(f"{TOPIC}/{snippet}", defect=(old, new)))
