"""Class imbalance: metrics against scikit-learn, losses against PyTorch and closed forms."""

import itertools

import torch
import torch.nn.functional as F
from sklearn import metrics as sk
from sklearn.utils.class_weight import compute_sample_weight

from tests.oracles.oracle import Defect, Oracle, agree


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


def weighted_logits():
    for n, classes in itertools.product((1, 7, 100), (2, 5)):
        yield 3 * torch.randn(n, classes), torch.randint(classes, (n,)), torch.rand(classes) * 10 + 0.1


def pairwise_adjusted(z, y, log_prior, tau=1.0):
    """The form in Menon et al.: log(1 + sum over others of (pi_o / pi_y)^tau exp(z_o - z_y))."""
    prior, total = (tau * log_prior).exp(), 0.0
    for row, c in zip(z, y, strict=True):
        odds = prior / prior[c] * (row - row[c]).exp()
        total += torch.log1p(odds.sum() - odds[c]) / len(y)
    return total


def priors():
    for n, classes in itertools.product((1, 40), (2, 10)):
        log_prior = torch.rand(classes).log_softmax(0)
        yield 2 * torch.randn(n, classes), torch.randint(classes, (n,)), log_prior


def priors_and_taus():
    for case, tau in itertools.product(priors(), (0.0, 0.5, 1.0, 2.0)):
        yield *case, tau


def prior_sampler_and_recall(code):
    for n in (10, 300):
        y = torch.cat([torch.arange(5), torch.randint(5, (n,)).square() // 5])
        agree(code.log_prior(y, 5).exp(), [(y == c).double().mean().item() for c in range(5)])
        weights = code.balanced_sampler(y).weights
        agree(weights / weights.sum(), compute_sample_weight("balanced", y) / len(y))
        assert len(list(code.balanced_sampler(y))) == len(y)
        z = torch.randn(len(y), 5)
        model = torch.nn.Identity()
        agree(code.class_recall(model, z, y, 5), sk.recall_score(y, z.argmax(1), average=None))


# --- resampling ------------------------------------------------------------------------


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
        defects=[Defect("positives + alarms", "alarms")],
    ),
    Oracle(
        "roc_and_pr",
        function="roc_auc",
        reference=sk.roc_auc_score,
        cases=scored_labels,
        defects=[
            Defect("last[:-1] = score[1:] != score[:-1]", "last[:-1] = True"),  # ties split at random
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
        "threshold_moving",
        function="cost",
        reference=counted_cost,
        cases=decisions,
        defects=[
            Defect("misses = ~alarm & (y == 1)", "misses = ~alarm"),
            Defect("c_fp * false_alarms", "c_fn * false_alarms"),
            Defect("alarm = p > threshold", "alarm = p < threshold"),
        ],
    ),
    Oracle(
        "focal_loss",
        binary_focal_loss,
        defects=[
            Defect("-torch.expm1(-bce)", "(-bce).exp()"),
            Defect("miss**gamma * bce", "miss ** (gamma + 1) * bce"),
            Defect("alpha * y + (1 - alpha) * (1 - y)", "alpha * (1 - y) + (1 - alpha) * y"),
        ],
    ),
    Oracle(
        "weights_equal_duplicates",
        function="weighted_mean_ce",
        reference=lambda z, y, weight: F.cross_entropy(z, y, weight=weight),
        cases=weighted_logits,
        defects=[Defect("/ weight[y].sum()", "/ len(y)")],
    ),
    Oracle(
        "adjusted_loss_is_a_bias",
        function="adjusted_loss",
        reference=pairwise_adjusted,
        cases=priors,
        defects=[Defect("z + log_prior", "z - log_prior")],
    ),
    Oracle(
        "training_step",
        function="adjusted_cross_entropy",
        reference=pairwise_adjusted,
        cases=priors_and_taus,
        defects=[
            Defect("logits + tau * log_prior", "logits - tau * log_prior"),
            Defect("logits + tau * log_prior", "logits + log_prior"),
        ],
    ),
    Oracle(
        "training_step",
        prior_sampler_and_recall,
        defects=[
            Defect("1 / counts[labels]", "counts[labels]"),
            Defect("(counts / counts.sum()).log()", "counts.log()"),
            Defect("argmax(1) == labels", "argmin(1) == labels"),
        ],
    ),
    Oracle(
        "leak_before_split",
        oversampling,
        defects=[
            Defect("len(y) - 2 * len(ones)", "len(y) - len(ones)"),
            Defect("order[:cut], order[cut:]", "order, order[cut:]"),  # the test part is trained on
        ],
    ),
]
