"""Noise and outliers: losses against torch's own and autograd; fits, scores and neighbors against
scikit-learn; filters against SciPy and scikit-image."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio
from sklearn.linear_model import HuberRegressor, LinearRegression, QuantileRegressor
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from tests.oracles.oracle import Defect, Oracle, agree

# --- losses for classification ---------------------------------------------------------


def labeled_logits():
    for n, classes in [(1, 2), (7, 3), (40, 10)]:
        yield 3 * torch.randn(n, classes), torch.randint(classes, (n,))


def summed_distance(z, y):
    """Of probabilities and one-hot labels, mean over images."""
    onehot = F.one_hot(y, z.shape[1]).double()
    return F.l1_loss(z.softmax(1), onehot, reduction="sum") / len(y)


def generalized_cross_entropy(code):
    """Its limits, and the gradient: cross-entropy's, image by image, times p^q."""
    for z, y in labeled_logits():
        z.requires_grad_()
        agree(code.gce(z, y, 1e-7), F.cross_entropy(z, y), 1e-4)
        agree(code.gce(z, y, 1.0), summed_distance(z, y) / 2)
        (want,) = torch.autograd.grad(F.cross_entropy(z, y), z)
        weight = z.softmax(1).gather(1, y[:, None]) ** 0.7
        agree(torch.autograd.grad(code.gce(z, y), z)[0], weight * want)


def mean_absolute_error(code):
    """Summed over all labels it is constant: Ghosh's condition for robustness."""
    for z, y in labeled_logits():
        agree(code.mae(z, y), summed_distance(z, y))
        classes = z.shape[1]
        total = sum(code.mae(z, torch.full_like(y, k)) for k in range(classes))
        agree(total, 2.0 * (classes - 1))


def smoothed(z, y):
    soft = 0.8 * F.one_hot(y, z.shape[1]) + 0.2 / z.shape[1]
    return -(soft * z.softmax(1).log()).sum(1).mean()


def noisy_labels():
    for classes in (2, 5, 10):
        z, y = torch.randn(30, classes), torch.randint(classes, (30,))
        yield z, y, torch.eye(classes)  # cross-entropy
        yield z, y, torch.rand(classes, classes).softmax(1)  # rows add up to 1, not symmetric


def corrected_by_hand(z, y, T):
    p, (n, classes) = z.softmax(1), z.shape
    return -sum(torch.log(sum(p[k, i] * T[i, y[k]] for i in range(classes))) for k in range(n)) / n


def selection(code):
    for n, share in [(60, 0.6), (7, 0.5), (10, 1.0), (5, 0.2), (5, 0.0)]:
        loss = torch.rand(n)
        smallest = sorted(range(n), key=loss.tolist().__getitem__)[: round(share * n)]
        assert sorted(code.select(loss, share).tolist()) == sorted(smallest)


# --- regression ------------------------------------------------------------------------


def residuals():
    for delta in (0.1, 0.5, 3.0):
        a, b = 3 * torch.randn(2, 200)
        a[0] = b[0] + delta  # on the corner
        yield a, b, delta


def shift(code):
    """Whole-pixel shifts move the columns; halves average two neighbors."""
    x = F.pad(torch.rand(5, 1, 8, 8), (2, 2))
    moved = code.shifted(x, torch.arange(-2.0, 3))
    agree(moved, torch.stack([x[i].roll(i - 2, 2) for i in range(5)]))
    agree(code.shifted(x[:1], torch.tensor([0.5])), (x[:1] + x[:1].roll(1, 3)) / 2)


def robust_lines(code):
    for share in (0, 0.1, 0.2, 0.3):
        x = torch.rand(150) * 2 - 1
        y = 2 * x + 0.1 * torch.randn(150) + 8 * (torch.rand(150) < share)
        column = x[:, None].numpy()
        # scikit-learn estimates the scale too: bring y to the snippet's, compare the line.
        huber = HuberRegressor(alpha=0, tol=1e-10, max_iter=2000).fit(column, y)
        unit = code.DELTA / (huber.epsilon * huber.scale_)
        agree(code.fit(x, y * unit, "Huber") / unit, [huber.coef_[0], huber.intercept_], 1e-4)
        line = LinearRegression().fit(column, y)
        agree(code.fit(x, y, "squared"), [line.coef_[0], line.intercept_], 1e-8)
        slope, intercept = code.fit(x, y, "absolute")
        median = QuantileRegressor(quantile=0.5, alpha=0).fit(column, y)
        best = np.abs(y.numpy() - median.predict(column)).mean()
        assert best - 1e-9 <= (y - slope * x - intercept).abs().mean() <= best + 1e-4


def influences(code):
    """Each psi is the derivative of its loss."""
    r = (torch.linspace(-2, 2, 81) + 0.003).requires_grad_()
    d, c = code.DELTA, 5 * code.DELTA
    losses = {
        "squared": r**2 / 2,
        "Huber": F.huber_loss(r, torch.zeros_like(r), delta=d, reduction="none"),
        "absolute": d * r.abs(),
        "Tukey": torch.where(r.abs() < c, 1 - (1 - (r / c) ** 2) ** 3, 1.0) * c**2 / 6,
    }
    for name, loss in losses.items():
        agree(code.influence(r.detach(), name), torch.autograd.grad(loss.sum(), r)[0])


# --- filters, scores -------------------------------------------------------------------


def photos():
    return torch.rand(16, 16), torch.rand(9, 31), torch.ones(9, 9)


def gaussian_filter(x, sigma):
    return ndimage.gaussian_filter(x.numpy(), sigma, mode="mirror", radius=int(3 * sigma + 0.5))


def scores():
    for a, b, levels in [(30, 50, 0), (5, 3, 0), (40, 40, 4), (1, 1, 1)]:
        inside, outside = torch.rand(a) + 0.3, torch.rand(b)
        yield ((inside * levels).round(), (outside * levels).round()) if levels else (inside, outside)  # ties
    yield torch.zeros(3), torch.zeros(4)


def neighborhoods():
    for n, d, k in [(30, 2, 3), (100, 64, 10), (12, 5, 1)]:
        yield torch.rand(n, d), k
    yield torch.rand(10, 3).repeat(2, 1), 2  # each row twice


ORACLES = [
    Oracle(
        "robust_losses",
        generalized_cross_entropy,
        defects=[Defect("((1 - p**q) / q)", "(1 - p**q)"), Defect("p**q", "p * q")],
    ),
    Oracle(
        "robust_losses",
        mean_absolute_error,
        defects=[
            Defect(".abs().sum(1)", ".abs().mean(1)"),
            Defect("(onehot - logits.softmax(1)).abs()", "(onehot - logits.softmax(1)).pow(2)"),
        ],
    ),
    Oracle(
        "robust_losses",
        function="smooth",
        reference=smoothed,
        cases=labeled_logits,
        defects=[Defect("label_smoothing=0.2", "label_smoothing=0.1")],
    ),
    Oracle(
        "class_dependent_noise",
        function="forward_correction",
        reference=corrected_by_hand,
        cases=noisy_labels,
        defects=[Defect("@ T)", "@ T.T)"), Defect("logits.softmax(1) @", "logits @")],
    ),
    Oracle(
        "small_loss_selection",
        selection,
        defects=[
            Defect("loss.argsort()", "loss.argsort(descending=True)"),
            Defect("share * len(loss)", "share * len(loss) / 2"),
        ],
    ),
    Oracle(
        "robust_regression",
        function="huber",
        reference=lambda a, b, delta: F.huber_loss(a, b, delta=delta),
        cases=residuals,
        defects=[
            Defect("r**2 / 2", "r**2"),
            Defect("(r - delta / 2)", "(r - delta)"),
            Defect("(prediction - target).abs()", "prediction - target"),
        ],
    ),
    Oracle(
        "robust_regression",
        shift,
        defects=[
            Defect("-pixels * 2", "pixels * 2"),
            Defect("-pixels * 2 / x.shape[3]", "-pixels * 2 / 8"),
            Defect("align_corners=False)\n    return", "align_corners=True)\n    return"),
        ],
    ),
    Oracle(
        "huber_line",
        influences,
        defects=[
            Defect("clamp(-DELTA, DELTA)", "clamp(-1, 1)"),
            Defect("clamp(min=0) ** 2", "clamp(min=0)"),
            Defect("(r / (5 * DELTA)) ** 2)", "(r / DELTA) ** 2)"),
        ],
    ),
    Oracle(
        "huber_line",
        robust_lines,
        defects=[
            Defect("w[:, None] * A", "A"),
            Defect("r = y - A @ beta", "r = y - x * beta[0]"),
            Defect("w = influence(r, loss) / r", "w = influence(r, loss)"),
        ],
    ),
    Oracle(
        "denoising_filters",
        function="median_filter",
        reference=lambda x, k: ndimage.median_filter(x.numpy(), k, mode="mirror"),
        cases=lambda: itertools.product(photos(), (1, 3, 5)),
        defects=[
            Defect(".median(0).values", ".mean(0)"),
            Defect("view(x.shape[2] - k + 1, -1)", "view(-1, x.shape[2] - k + 1).T"),
        ],
    ),
    Oracle(
        "denoising_filters",
        function="gaussian_filter",
        reference=gaussian_filter,
        cases=lambda: itertools.product(photos(), (0.6, 1.0, 1.4)),
        defects=[
            Defect("(2 * sigma**2)", "sigma**2"),
            Defect("g / g.sum()", "g"),
            Defect("g.transpose(2, 3)", "g"),
        ],
    ),
    Oracle(
        "denoising_filters",
        function="psnr",
        reference=lambda x, clean: peak_signal_noise_ratio(clean.numpy(), x.numpy(), data_range=1),
        cases=lambda: ((torch.rand_like(x), x) for x in photos()),
        defects=[Defect("-10 * torch.log10", "-20 * torch.log10")],
    ),
    Oracle(
        "noisy_inputs",
        function="median",
        reference=lambda x: ndimage.median_filter(x.numpy(), (1, 1, 3, 3), mode="mirror"),
        cases=lambda: [(torch.rand(4, 1, 8, 8),), (torch.rand(1, 1, 5, 9),)],
        defects=[
            Defect("median(1).values", "mean(1)"),
            Defect('mode="reflect"', 'mode="constant"'),
        ],
    ),
    Oracle(
        "out_of_distribution",
        function="auroc",
        reference=lambda a, b: roc_auc_score([1] * len(a) + [0] * len(b), torch.cat([a, b])),
        cases=scores,
        defects=[
            Defect("mean() / 2", "mean()"),
            Defect("pairs > 0", "pairs < 0"),
            Defect(" + (pairs == 0).double().mean() / 2", ""),
        ],
    ),
    Oracle(
        "out_of_distribution",
        function="negative_energy",
        reference=lambda z: z.exp().sum(1).log(),
        cases=lambda: [(torch.randn(20, 8),)],
        defects=[Defect("logsumexp(1)", "logsumexp(1).neg()")],
    ),
    Oracle(
        "out_of_distribution",
        function="largest_softmax",
        reference=lambda z: (z.exp() / z.exp().sum(1, keepdim=True)).amax(1),
        cases=lambda: [(torch.randn(20, 8),)],
        defects=[Defect("logits.softmax(1)", "logits.softmax(0)")],
    ),
    Oracle(
        "outlier_removal",
        function="outlier_score",
        # the distance to the k-th neighbor, its own row left out
        reference=lambda x, k: NearestNeighbors(n_neighbors=k).fit(x).kneighbors()[0][:, -1],
        cases=neighborhoods,
        tolerance=1e-6,
        defects=[
            Defect("kthvalue(k + 1,", "kthvalue(k,"),
            Defect("torch.cdist(x, x)", "torch.cdist(x, x, p=1)"),
        ],
    ),
]
