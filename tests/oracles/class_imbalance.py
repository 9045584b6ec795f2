"""Class imbalance: metrics against scikit-learn, losses against PyTorch and closed forms."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import multivariate_normal
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from sklearn.neighbors import NearestNeighbors

from tests.oracles.oracle import Defect, Oracle, agree, load_functions


def labels(n, share):
    """Binary labels of both classes in random order."""
    y = (torch.rand(n) < share).long()
    y[:2] = torch.tensor([0, 1])
    return y[torch.randperm(n)]


# --- metrics ---------------------------------------------------------------------------


def predictions():
    for n, share, flagged in itertools.product((2, 3, 17, 400), (0.5, 0.03), (0, 0.02, 0.5, 1)):
        yield labels(n, share), (torch.rand(n) < flagged).long()


def confusion_metrics(code):
    for y, predicted in predictions():
        table = code.confusion(y, predicted)
        agree(table, sk.confusion_matrix(y, predicted, labels=[0, 1]))
        want = {
            "accuracy": sk.accuracy_score(y, predicted),
            "balanced": sk.balanced_accuracy_score(y, predicted),
            "precision": sk.precision_score(y, predicted, zero_division=0),
            "F1": sk.f1_score(y, predicted, zero_division=0),
            "MCC": sk.matthews_corrcoef(y, predicted),
        }
        agree(code.metrics(table), want)


def made_labels_have_the_counts(code):
    for positives, found, alarms in [(5000, 4500, 500), (1, 0, 0), (100, 100, 9900), (9999, 3, 1)]:
        y, predicted = code.labels(positives, found, alarms)
        want = [[10_000 - positives - alarms, alarms], [positives - found, found]]
        assert sk.confusion_matrix(y, predicted, labels=[0, 1]).tolist() == want


def scored_labels():
    """Few distinct scores: many ties, in the limit all equal."""
    for n, share, levels in itertools.product((2, 5, 60, 700), (0.5, 0.05), (1, 3, 10, None)):
        y = labels(n, share)
        score = torch.randn(n) + y
        yield y, (score.sigmoid() * levels).floor() if levels else score


def reliability(code):
    for n, bins in itertools.product((30, 1000), (2, 5, 10)):
        p = torch.cat([torch.tensor([0.0, 1.0]), torch.rand(n).square()])
        y = (torch.rand(n + 2) < p.sqrt()).double()
        count, predicted, observed = code.reliability(p, y, bins)
        filled = count > 0
        share, mean = calibration_curve(y, p, n_bins=bins)
        agree((observed[filled], predicted[filled]), (share, mean))
        weights = np.histogram(p, np.linspace(0, 1, bins + 1))[0][filled.numpy()] / (n + 2)
        agree(code.ece(p, y, bins), (weights * np.abs(share - mean)).sum())


def decisions():
    for n, threshold in itertools.product((2, 300), (0.0, 0.05, 0.5, 1.0)):
        yield torch.rand(n).numpy(), labels(n, 0.1).numpy(), threshold


def counted_cost(p, y, threshold):
    table = sk.confusion_matrix(y, p > threshold, labels=[0, 1])
    return (table[0, 1] + 19 * table[1, 0]) / len(y)


# --- losses ----------------------------------------------------------------------------


def binary_focal_loss(code):
    for gamma, alpha in itertools.product((0, 0.5, 1, 2, 5), (None, 0.25)):
        z = (3 * torch.randn(200)).requires_grad_()
        y = labels(200, 0.3).double()
        loss = code.focal_loss(z, y, gamma, alpha)
        p = z.detach().sigmoid()
        p_t = torch.where(y == 1, p, 1 - p)
        a_t = 1 if alpha is None else torch.where(y == 1, alpha, 1 - alpha)
        agree(loss, -a_t * (1 - p_t) ** gamma * p_t.log())
        if gamma == 0:
            agree(loss, a_t * F.binary_cross_entropy_with_logits(z.detach(), y, reduction="none"))
        # the derivative in Lin et al., appendix A, with labels of -1 and 1
        slope = (2 * y - 1) * (1 - p_t) ** gamma * (gamma * p_t * p_t.log() + p_t - 1)
        agree(torch.autograd.grad(loss.sum(), z)[0], a_t * slope)


def multiclass_focal_loss(code):
    """Equal to the definition, and for two classes to the binary loss of the logit's difference."""
    binary = load_functions("class-imbalance/focal_loss").focal_loss
    for classes in (2, 3, 10):
        z, y = 3 * torch.randn(50, classes), torch.randint(classes, (50,))
        p = z.softmax(1).gather(1, y[:, None])
        agree(code.focal_loss(z, y), -((1 - p) ** 2 * p.log()).mean())
        if classes == 2:
            agree(code.focal_loss(z, y), binary(z[:, 1] - z[:, 0], y.double(), 2.0).mean())


def weighted_logits():
    for n, classes in itertools.product((1, 7, 100), (2, 5)):
        yield 3 * torch.randn(n, classes), torch.randint(classes, (n,)), torch.rand(classes) * 10 + 0.1


def adjusted_loss(code):
    """The pairwise form in Menon et al.: log(1 + sum over others of pi_o / pi_y exp(z_o - z_y))."""
    prior = code.log_prior.exp()
    z, y = 2 * torch.randn(40, 10), torch.randint(10, (40,))
    total = 0.0
    for row, c in zip(z, y, strict=True):
        odds = prior / prior[c] * (row - row[c]).exp()
        total += torch.log1p(odds.sum() - odds[c]) / len(y)
    agree(code.adjusted_loss(z, y), total)


def logit_adjustment(code):
    """Bayes' rule by scipy's densities; adjusting by the log prior leaves the likelihood alone."""
    for tau in (0.0, 0.5, 1.0):
        prior = torch.rand(3).softmax(0)
        x = 3 * torch.randn(60, 2)
        density = np.stack([multivariate_normal(c).pdf(x) for c in code.centers.numpy()], 1)
        joint = density * prior.numpy()
        z = code.log_posterior(x, prior)
        agree(z.exp(), joint / joint.sum(1, keepdims=True))
        tilted = density * prior.numpy() ** (1 - tau)
        agree(code.adjust(z, prior.log(), tau).softmax(1), tilted / tilted.sum(1, keepdims=True))


# --- resampling ------------------------------------------------------------------------


def smote(code):
    """Each new row lies between its start and one of scikit-learn's k nearest neighbors of it."""
    for n, width, k in ((6, 1, 5), (30, 4, 5), (30, 4, 1), (80, 20, 3)):
        x = torch.randn(n, width)
        new, start, end = code.smote(x, 200, k)
        nearest = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)
        assert all(b in nearest[a] for a, b in zip(start.tolist(), end.tolist(), strict=True))
        line = x[end] - x[start]
        u = ((new - x[start]) * line).sum(1) / line.square().sum(1)
        assert u.min() >= 0 and u.max() <= 1 and u.std() >= 0.2
        agree(x[start] + u[:, None] * line, new)
        assert len(set(end.tolist())) > 1


def oversampling(code):
    for n, ones in ((10, 1), (500, 50), (40, 20)):
        x, y = torch.randn(n, 3), (torch.arange(n) < ones).long()
        more, y_more = code.oversample(x, y)
        agree(y_more.bincount(), [n - ones, n - ones])
        agree(more[:n], x)
        rows = {tuple(r) for r in x[:ones].tolist()}
        assert all(tuple(r) in rows for r in more[n:].tolist())
        (x1, y1), (x2, y2) = code.split(x, y)
        assert sorted(map(tuple, torch.cat([x1, x2]).tolist())) == sorted(map(tuple, x.tolist()))
        assert y1.sum() + y2.sum() == ones


def sampler_gradient(code):
    i, scale = torch.randint(40, (16,)), torch.rand(16)
    w = torch.randn(64, 10, requires_grad=True)
    loss = (scale * F.cross_entropy(code.x[i] @ w, code.y[i], reduction="none")).mean()
    agree(code.gradient(w.detach(), i, scale), torch.autograd.grad(loss, w)[0])


ORACLES = [
    Oracle(
        "accuracy_paradox",
        confusion_metrics,
        defects=[
            Defect("2 * y + predicted", "y + 2 * predicted"),
            Defect("(recall + specificity) / 2", "(recall * specificity) ** 0.5"),
            Defect("2 * tp / (2 * tp + fp + fn)", "tp / (tp + fp + fn)"),
            Defect("tp * tn - fp * fn", "tp * tn"),
            Defect('"precision": tp / (tp + fp)', '"precision": tp / (tp + fn)'),
        ],
    ),
    Oracle(
        "accuracy_paradox",
        made_labels_have_the_counts,
        defects=[Defect("positives * (1 - y)", "positives")],
    ),
    Oracle(
        "roc_and_pr",
        function="roc_auc",
        reference=sk.roc_auc_score,
        cases=scored_labels,
        defects=[
            Defect("score[1:] != score[:-1]", "score[1:] == score[1:]"),  # ties split at random
            Defect("descending=True", "descending=False"),
            Defect("torch.cat([zero, tpr]), torch.cat([zero, fpr])", "tpr, fpr"),  # no point at the origin
        ],
    ),
    Oracle(
        "roc_and_pr",
        function="average_precision",
        reference=sk.average_precision_score,
        cases=scored_labels,
        defects=[Defect("recall.diff(prepend=torch.zeros(1)) * precision", "recall * precision")],
    ),
    Oracle(
        "calibration",
        reliability,
        defects=[
            Defect("total / n)", "total / len(p))"),
            Defect(".clamp(max=bins - 1)", ".clamp(max=bins - 2)"),
            Defect("(n * (predicted - observed).abs())", "((predicted - observed).abs())"),
        ],
    ),
    Oracle(
        "threshold_moving",
        function="cost",
        reference=counted_cost,
        cases=decisions,
        defects=[
            Defect("alarm & (y == 0)", "alarm & (y == 1)"),
            Defect("alarm = p > threshold", "alarm = p < threshold"),
        ],
    ),
    Oracle(
        "focal_loss",
        binary_focal_loss,
        defects=[
            Defect("(1 - (-bce).exp()) ** gamma", "(-bce).exp() ** gamma"),
            Defect("** gamma * bce", "** (gamma + 1) * bce"),
            Defect("alpha * y + (1 - alpha) * (1 - y)", "alpha * (1 - y) + (1 - alpha) * y"),
        ],
    ),
    Oracle("loss_level_remedies", multiclass_focal_loss, defects=[Defect("** 2 * ce", "** 1 * ce")]),
    Oracle(
        "weights_equal_duplicates",
        function="weighted_mean_ce",
        reference=lambda z, y, weight: F.cross_entropy(z, y, weight=weight),
        cases=weighted_logits,
        defects=[Defect("/ w.sum()", "/ len(y)")],
    ),
    Oracle(
        "adjusted_loss_is_a_bias",
        adjusted_loss,
        data=lambda: {"log_prior": torch.rand(10).log_softmax(0)},
        defects=[Defect("z + log_prior", "z - log_prior")],
    ),
    Oracle(
        "logit_adjustment",
        logit_adjustment,
        data=lambda: {"centers": torch.tensor([[0.0, 0.0], [2.0, 0.5], [0.8, 2.0]])},
        defects=[
            Defect("z - tau * log_prior", "z + tau * log_prior"),
            Defect(".square() / 2", ".square()"),
        ],
    ),
    Oracle(
        "smote_on_pixels",
        smote,
        defects=[
            Defect(".fill_diagonal_(torch.inf)", ".fill_diagonal_(0)"),  # an image is its own neighbor
            Defect("largest=False", "largest=True"),
            Defect("u * (x[end] - x[start])", "u * x[end]"),
            Defect("torch.rand(n, 1)", "2 * torch.rand(n, 1)"),
        ],
    ),
    Oracle(
        "leak_before_split",
        oversampling,
        defects=[
            Defect("len(y) - 2 * len(ones)", "len(y) - len(ones)"),
            Defect("order[: -len(y) // 3]", "order"),  # the test part is trained on
        ],
    ),
    Oracle(
        "sampler_gradient",
        sampler_gradient,
        data=lambda: {"x": torch.randn(40, 64), "y": torch.randint(10, (40,))},
        defects=[
            Defect("[:, None]) / len(i)", "[:, None]) / scale.sum()"),
            Defect("wrong[torch.arange(len(i)), y[i]] -= 1", "wrong[torch.arange(len(i)), y[i]] += 1"),
        ],
    ),
]
