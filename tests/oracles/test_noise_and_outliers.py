"""The algorithms of docs/little-data/noise-and-outliers.md against oracles.

Oracles: torch's own losses and autograd, scikit-learn's HuberRegressor, QuantileRegressor,
roc_auc_score and NearestNeighbors, scipy's filters, scikit-image's PSNR.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio
from sklearn.linear_model import HuberRegressor, LinearRegression, QuantileRegressor
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from tests.snippet_functions import load_functions

TOPIC = "noise-and-outliers"


def load(name, defect=None):
    return load_functions(f"{TOPIC}/{name}", defect=defect)


def close(a, b, tolerance=1e-9):
    return torch.allclose(torch.as_tensor(a), torch.as_tensor(b), rtol=tolerance, atol=tolerance)


# --- losses for classification ----------------------------------------------------------


def losses_agree(f) -> bool:
    """Limits and gradient of GCE, MAE against torch, smoothing against its definition."""
    for n, classes in [(1, 2), (7, 3), (40, 10)]:
        z = (3 * torch.randn(n, classes)).requires_grad_()
        y = torch.randint(classes, (n,))
        p = z.softmax(1)
        onehot = F.one_hot(y, classes).double()
        ce, (g_ce,) = F.cross_entropy(z, y), torch.autograd.grad(F.cross_entropy(z, y), z)
        l1 = F.l1_loss(p, onehot, reduction="sum") / n
        if not close(f.gce(z, y, 1e-7), ce, 1e-4) or not close(f.gce(z, y, 1.0), l1 / 2):
            return False
        if not close(f.mae(z, y), l1):
            return False
        # The gradient is cross-entropy's, image by image, times p^q.
        (g,) = torch.autograd.grad(f.gce(z, y), z)
        weight = p.gather(1, y[:, None]) ** 0.7
        if not close(g, weight * g_ce):
            return False
        soft = 0.8 * onehot + 0.2 / classes
        if not close(f.smooth(z, y), -(soft * p.log()).sum(1).mean()):
            return False
        # Summed over all labels, MAE is constant: Ghosh's condition for robustness.
        total = sum(f.mae(z, torch.full((n,), k)) for k in range(classes))
        if not close(total, 2.0 * (classes - 1)):
            return False
    return True


def test_robust_losses():
    assert losses_agree(load("robust_losses"))


@pytest.mark.parametrize(
    "defect",
    [
        ("((1 - p ** q) / q)", "(1 - p ** q)"),
        ("p ** q", "p * q"),
        (".abs().sum(1)", ".abs().mean(1)"),
        ("(onehot - logits.softmax(1)).abs()", "(onehot - logits.softmax(1)).pow(2)"),
        ("label_smoothing=0.2", "label_smoothing=0.1"),
    ],
)
def test_defective_losses_are_caught(defect):
    assert not losses_agree(load("robust_losses", defect))


def correction_agrees(f) -> bool:
    for classes in (2, 5, 10):
        z, y = torch.randn(30, classes), torch.randint(classes, (30,))
        T = torch.rand(classes, classes).softmax(1)  # rows add up to 1, not symmetric
        if not close(f.forward_correction(z, y, torch.eye(classes)), F.cross_entropy(z, y)):
            return False
        p = z.softmax(1)
        by_hand = -sum(
            torch.log(sum(p[n, i] * T[i, y[n]] for i in range(classes))) for n in range(30)
        )
        if not close(f.forward_correction(z, y, T), by_hand / 30):
            return False
    return True


def test_forward_correction():
    assert correction_agrees(load("class_dependent_noise"))


@pytest.mark.parametrize("defect", [("@ T)", "@ T.T)"), ("logits.softmax(1) @", "logits @")])
def test_defective_correction_is_caught(defect):
    assert not correction_agrees(load("class_dependent_noise", defect))


def selection_agrees(f) -> bool:
    for n, share in [(60, 0.6), (7, 0.5), (10, 1.0), (5, 0.2)]:
        loss = torch.rand(n)
        kept = f.select(loss, share)
        if len(kept) != round(share * n):
            return False
        dropped = loss[~torch.isin(torch.arange(n), kept)]
        if len(dropped) and loss[kept].max() > dropped.min():
            return False
    return True


def test_small_loss_selection():
    assert selection_agrees(load("small_loss_selection"))


@pytest.mark.parametrize("defect", [("loss.argsort()", "loss.argsort(descending=True)"), ("share * len(loss)", "share * len(loss) / 2")])
def test_defective_selection_is_caught(defect):
    assert not selection_agrees(load("small_loss_selection", defect))


# --- regression -------------------------------------------------------------------------


def huber_loss_agrees(f) -> bool:
    for delta in (0.1, 0.5, 3.0):
        a, b = 3 * torch.randn(2, 200)
        a[0] = b[0] + delta  # on the corner
        if not close(f.huber(a, b, delta), F.huber_loss(a, b, delta=delta)):
            return False
    return True


def test_huber_loss():
    assert huber_loss_agrees(load("robust_regression"))


@pytest.mark.parametrize("defect", [("r ** 2 / 2", "r ** 2"), ("(r - delta / 2)", "(r - delta)"), ("(prediction - target).abs()", "prediction - target")])
def test_defective_huber_loss_is_caught(defect):
    assert not huber_loss_agrees(load("robust_regression", defect))


def shift_agrees(f) -> bool:
    """Whole-pixel shifts move the columns; halves average two neighbors."""
    x = F.pad(torch.rand(5, 1, 8, 8), (2, 2))
    moved = f.shifted(x, torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    whole = all(close(moved[i], x[i].roll(i - 2, 2)) for i in range(5))
    half = f.shifted(x[:1], torch.tensor([0.5]))
    return whole and close(half, (x[:1] + x[:1].roll(1, 3)) / 2)


def test_shift():
    assert shift_agrees(load("robust_regression"))


@pytest.mark.parametrize("defect", [("-pixels * 2", "pixels * 2"), ("-pixels * 2 / x.shape[3]", "-pixels * 2 / 8"), ("align_corners=False)\n    return", "align_corners=True)\n    return")])
def test_defective_shift_is_caught(defect):
    assert not shift_agrees(load("robust_regression", defect))


def lines_agree(f) -> bool:
    for seed in range(4):
        torch.manual_seed(seed)
        x = torch.rand(150) * 2 - 1
        y = 2 * x + 0.1 * torch.randn(150) + 8 * (torch.rand(150) < 0.1 * (seed % 3))
        column = x.numpy()[:, None]
        line = LinearRegression().fit(column, y.numpy())
        slope, intercept = f.fit(x, y, "squared")
        if not close([slope, intercept], [line.coef_[0], line.intercept_], 1e-8):
            return False
        # scikit-learn estimates the scale too: take its scale, compare the line.
        huber = HuberRegressor(alpha=0, tol=1e-10, max_iter=2000).fit(column, y.numpy())
        delta = huber.epsilon * huber.scale_
        f.fit.__globals__["DELTA"] = delta
        slope, intercept = f.fit(x, y, "Huber")
        if not close([slope, intercept], [huber.coef_[0], huber.intercept_], 1e-4):
            return False
        median = QuantileRegressor(quantile=0.5, alpha=0).fit(column, y.numpy())
        slope, intercept = f.fit(x, y, "absolute")
        loss = (y - slope * x - intercept).abs().mean()
        best = np.abs(y.numpy() - median.predict(column)).mean()
        if not best - 1e-9 <= loss <= best + 1e-4:
            return False
    return True


def influences_agree(f) -> bool:
    """Each psi is the derivative of its loss."""
    r = torch.linspace(-2, 2, 81) + 0.003
    r.requires_grad_()
    c, d = 1.0, 0.2
    tukey = torch.where(r.abs() < c, 1 - (1 - (r / c) ** 2) ** 3, 1.0) * c**2 / 6
    zero = torch.zeros_like(r)
    losses = {
        "squared": r**2 / 2,
        "Huber": F.huber_loss(r, zero, delta=d, reduction="none"),
        "absolute": d * r.abs(),
        "Tukey": tukey,
    }
    for name, loss in losses.items():
        (slope,) = torch.autograd.grad(loss.sum(), r)
        if not close(f.influence(r.detach(), name), slope):
            return False
    return True


def test_robust_lines():
    assert influences_agree(load("huber_line"))
    assert lines_agree(load("huber_line"))


@pytest.mark.parametrize(
    "defect",
    [
        ("w[:, None] * A", "A"),
        ("r = y - A @ beta", "r = y - x * beta[0]"),
        ("w = influence(r, loss) / r", "w = influence(r, loss)"),
    ],
)
def test_defective_fits_are_caught(defect):
    try:
        assert not lines_agree(load("huber_line", defect))
    except torch.linalg.LinAlgError:
        pass  # the defect made the system singular


@pytest.mark.parametrize("defect", [("clamp(-DELTA, DELTA)", "clamp(-1, 1)"), ("clamp(min=0) ** 2", "clamp(min=0)"), ("(r / (5 * DELTA)) ** 2)", "(r / DELTA) ** 2)")])
def test_defective_influences_are_caught(defect):
    assert not influences_agree(load("huber_line", defect))


# --- filters, scores --------------------------------------------------------------------


def filters_agree(f) -> bool:
    for size in [(16, 16), (9, 31)]:
        x = torch.rand(*size)
        image = x.numpy()
        for k in (3, 5):
            if not close(f.median_filter(x, k), ndimage.median_filter(image, k, mode="mirror")):
                return False
        for sigma in (0.6, 1.0, 1.4):
            radius = int(3 * sigma + 0.5)
            expected = ndimage.gaussian_filter(image, sigma, mode="mirror", radius=radius)
            if not close(f.gaussian_filter(x, sigma), expected):
                return False
        y = torch.rand(*size)
        if not close(f.psnr(y, x), peak_signal_noise_ratio(image, y.numpy(), data_range=1)):
            return False
    return True


def test_filters():
    assert filters_agree(load("denoising_filters"))


@pytest.mark.parametrize(
    "defect",
    [
        (".median(0).values", ".mean(0)"),
        ("view(x.shape[2] - k + 1, -1)", "view(-1, x.shape[2] - k + 1).T"),
        ("(2 * sigma ** 2)", "sigma ** 2"),
        ("g / g.sum()", "g"),
        ("g.transpose(2, 3)", "g"),
        ("-10 * torch.log10", "-20 * torch.log10"),
    ],
)
def test_defective_filters_are_caught(defect):
    try:
        assert not filters_agree(load("denoising_filters", defect))
    except RuntimeError:
        pass  # wrong shape


def batch_median_agrees(f) -> bool:
    x = torch.rand(4, 1, 8, 8)
    expected = [ndimage.median_filter(one[0].numpy(), 3, mode="mirror") for one in x]
    return close(f.median(x)[:, 0], np.stack(expected))


def test_batch_median():
    assert batch_median_agrees(load("noisy_inputs"))


@pytest.mark.parametrize("defect", [("median(1).values", "mean(1)"), ('mode="reflect"', 'mode="constant"')])
def test_defective_batch_median_is_caught(defect):
    assert not batch_median_agrees(load("noisy_inputs", defect))


def auroc_agrees(f) -> bool:
    for a, b, levels in [(30, 50, 0), (5, 3, 0), (40, 40, 4), (1, 1, 1)]:
        inside, outside = torch.rand(a) + 0.3, torch.rand(b)
        if levels:  # ties
            inside, outside = (inside * levels).round(), (outside * levels).round()
        familiar = [1] * a + [0] * b
        if not close(f.auroc(inside, outside), roc_auc_score(familiar, torch.cat([inside, outside]))):
            return False
    return True


def test_auroc_and_energy():
    functions = load("out_of_distribution")
    assert auroc_agrees(functions)
    z = torch.randn(20, 8)
    assert close(functions.negative_energy(z), z.exp().sum(1).log())
    assert close(functions.largest_softmax(z), (z.exp() / z.exp().sum(1, keepdim=True)).amax(1))


@pytest.mark.parametrize("defect", [("mean() / 2", "mean()"), ("pairs > 0", "pairs < 0"), (" + (pairs == 0).double().mean() / 2", "")])
def test_defective_auroc_is_caught(defect):
    assert not auroc_agrees(load("out_of_distribution", defect))


def neighbors_agree(f) -> bool:
    for n, d, k in [(30, 2, 3), (100, 64, 10), (12, 5, 1)]:
        x = torch.rand(n, d)
        search = NearestNeighbors(n_neighbors=k).fit(x.numpy())
        expected = search.kneighbors()[0][:, -1]  # its own row is left out
        if not close(f.outlier_score(x, k), expected, 1e-6):
            return False
    return True


def test_outlier_score():
    assert neighbors_agree(load("outlier_removal"))


@pytest.mark.parametrize("defect", [("kthvalue(k + 1,", "kthvalue(k,"), ("torch.cdist(x, x)", "torch.cdist(x, x, p=1)")])
def test_defective_outlier_score_is_caught(defect):
    assert not neighbors_agree(load("outlier_removal", defect))
