"""Oracles for occlusion: NMS and its ceiling, the unseen variance, hidden pixels, light."""

import itertools

import numpy as np
import pytest
import torch
from tests.oracles.onnx_operators import onnx_nms
from scipy.stats import zscore
from skimage.exposure import equalize_hist
from tests.snippet_functions import load_functions

TOPIC = "occlusion"


def load(technique, defect=None):
    return load_functions(f"{TOPIC}/{technique}", defect)


def crowd(n, size=40.0):
    corner, side = size * torch.rand(n, 2), 10 + 20 * torch.rand(n, 2)
    return torch.cat([corner, corner + side], 1)


# --- NMS against ONNX Runtime ------------------------------------------------------------


def nms_agrees(code) -> bool:
    for n, threshold in itertools.product((1, 2, 10, 40), (0.1, 0.3, 0.5, 0.7, 0.9)):
        boxes, scores = crowd(n), torch.randperm(n).double() / n
        if code.nms(boxes, scores, threshold) != onnx_nms(boxes, scores, threshold):
            return False
    exact = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])  # IoU of exactly 0.5: both stay
    return code.nms(exact, torch.tensor([1.0, 0.5]), 0.5) == [0, 1]


def test_nms_equals_onnxruntime():
    assert nms_agrees(load("crowd_ceiling"))


@pytest.mark.parametrize(
    "defect",
    [
        ("[0] <= threshold]", "[0] < threshold]"),
        ("descending=True", "descending=False"),
        ("area_b - inter", "area_b"),
        (".clamp(min=0)", ""),
    ],
)
def test_nms_defects_are_caught(defect):
    assert not nms_agrees(load("crowd_ceiling", defect))


# --- the ceiling on recall against all subsets -------------------------------------------


def largest_without_clash(clash) -> int:
    n = len(clash)
    for size in range(n, 0, -1):
        for subset in itertools.combinations(range(n), size):
            if not clash[list(subset)][:, list(subset)].any():
                return size
    return 0


def ceiling_agrees(code) -> bool:
    for n, share in itertools.product((0, 1, 2, 5, 8), (0.0, 0.2, 0.5, 1.0)):
        for _ in range(3):
            upper = torch.triu(torch.rand(n, n) < share, 1)
            clash = upper | upper.T
            if code.ceiling(clash) != largest_without_clash(clash):
                return False
    return True


def test_ceiling_equals_brute_force():
    assert ceiling_agrees(load("crowd_ceiling"))


@pytest.mark.parametrize(
    "defect",
    [
        ("clash[others][:, others]", "clash[free][:, free]"),
        ("others & ~clash[worst]", "others"),
        ("max(ceiling(", "min(ceiling("),
    ],
)
def test_ceiling_defects_are_caught(defect):
    assert not ceiling_agrees(load("crowd_ceiling", defect))


# --- variance without detections, Kalman update ------------------------------------------


def filter_agrees(code) -> bool:
    code.unseen.__globals__["F"] = torch.tensor([[1.0, 1], [0, 1]])
    code.unseen.__globals__["noise"] = torch.tensor([0.5, 1])
    root = torch.randn(2, 2)
    P = start = root @ root.T
    x = torch.randn(3, 2, 2)
    for k in range(1, 15):  # the sum over all accelerations, and the recursion
        x, P = code.predict(x, P)
        A = torch.tensor([[1.0, k], [0, 1]])
        total = (A @ start @ A.T)[0, 0] + sum(code.Q * (k - j + 0.5) ** 2 for j in range(1, k + 1))
        if abs(code.unseen(start, k) - total) > 1e-9 or abs(P[0, 0] - total) > 1e-9:
            return False
    z = torch.randn(3, 2)  # Bayes: the posterior's precision is the sum of precisions
    after, covariance = code.update(x, P, z)
    H = torch.tensor([[1.0, 0]])
    precision = torch.linalg.inv(P) + H.T @ H / code.R
    information = x @ torch.linalg.inv(P) + z[..., None] * H / code.R
    expected = information @ torch.linalg.inv(precision)
    return torch.allclose(covariance, torch.linalg.inv(precision)) and torch.allclose(after, expected)


def test_filter_equals_sums_and_bayes():
    assert filter_agrees(load("occlusion_gate"))


@pytest.mark.parametrize(
    "defect",
    [
        ("(4 * k**2 - 1) / 12", "(4 * k**2 + 1) / 12"),
        ("2 * k * P[0, 1]", "k * P[0, 1]"),
        ("P[:, 0] / (P[0, 0] + R)", "P[:, 0] / P[0, 0]"),
        ("P - K[:, None] * P[0]", "P"),
    ],
)
def test_filter_defects_are_caught(defect):
    assert not filter_agrees(load("occlusion_gate", defect))


# --- hidden pixels: the best of all explanations -----------------------------------------


def explanation_agrees(code) -> bool:
    """The score is the best over all 2^P assignments of pixels to class or occluder."""
    pixels, prior = 2 * torch.randn(4, 3, 6), 0.3
    score, hidden = code.explain(pixels, prior)
    choices = torch.tensor(list(itertools.product((False, True), repeat=6)))  # (64, 6)
    seen = pixels[..., None, :] + np.log(1 - prior)
    value = torch.where(choices, torch.tensor(np.log(prior)), seen).sum(-1)  # (4, 3, 64)
    best, index = value.max(-1)
    if not torch.allclose(score, best) or not (hidden == choices[index]).all():
        return False
    x, mean, std = torch.rand(5, 6), torch.rand(3, 6), 0.1 + torch.rand(3, 6)
    want = torch.distributions.Normal(mean, std).log_prob(x[:, None])
    return torch.allclose(code.log_likelihood(x, mean, std), want)


def test_explanation_equals_brute_force():
    assert explanation_agrees(load("part_votes"))


def evidence_agrees(code) -> bool:
    x, mean, std = torch.rand(5, 2, 3), torch.rand(3, 2, 3), 0.1 + torch.rand(3, 2, 3)
    want = torch.distributions.Normal(mean, std).log_prob(x[:, None]).clamp(min=-1.4)
    return torch.allclose(code.evidence(x, mean, std), want.sum((2, 3)))


@pytest.mark.parametrize(
    "defect",
    [
        (" - (std * (2 * torch.pi) ** 0.5).log()", ""),  # wide classes would win
        ("min=-1.4", "max=-1.4"),
        (".sum((2, 3))", ".sum((1, 2))"),
    ],
)
def test_evidence_is_torchs_density(defect):
    assert evidence_agrees(load("temporal_fusion"))
    assert not evidence_agrees(load("temporal_fusion", defect))


@pytest.mark.parametrize(
    "defect",
    [
        ("torch.maximum(", "torch.minimum("),
        ("torch.tensor(1 - prior)", "torch.tensor(1.0)"),
        ("hidden > seen", "hidden < seen"),
        ("z.square() / 2", "z.square()"),
    ],
)
def test_explanation_defects_are_caught(defect):
    assert not explanation_agrees(load("part_votes", defect))


# --- light -------------------------------------------------------------------------------


def equalization_agrees(code) -> bool:
    x = torch.randint(0, 256, (20, 30)).double() / 255
    want = equalize_hist(x.numpy(), nbins=256)  # interpolates: equal to about one bin
    ranks = (x.flatten()[:, None] >= x.flatten()).double().mean(1).view(20, 30)
    got = code.equalize(x)
    return torch.allclose(got, ranks) and np.abs(got.numpy() - want).max() < 0.02


def test_equalization_equals_scikit_image():
    assert equalization_agrees(load("lighting_table"))
    assert not equalization_agrees(load("lighting_table", ("right=True", "right=False")))


# --- the spatial transformer's placing ---------------------------------------------------


def place_agrees(code) -> bool:
    """The digit is where its shift says."""
    code.place.__globals__["k"] = torch.arange(8)
    x = torch.rand(6, 3, 8, 8)
    big, shift = code.place(x, 4)
    for n, s in itertools.product(range(6), range(3)):
        dx, dy = shift[n, s].long().tolist()
        want = torch.zeros(16, 16)
        want[4 + dy : 12 + dy, 4 + dx : 12 + dx] = x[n, s]
        if not torch.equal(big[n, s], want):
            return False
    return True


@pytest.mark.parametrize(
    "defect",
    [
        ("4 + dy", "4 - dy"),
        ("[dx, dy]", "[dy, dx]"),
        ("rows.mT @ x @ columns", "rows.mT @ x.mT @ columns"),
    ],
)
def test_place_of_the_digit(defect):
    assert place_agrees(load("spatial_transformer"))
    assert not place_agrees(load("spatial_transformer", defect))


def light_agrees(code) -> bool:
    """SciPy's z-scores, whatever gain and offset; the shadow column by column."""
    x = torch.rand(3, 2, 8, 8)
    scores = torch.from_numpy(zscore(x.flatten(2).numpy(), axis=2, ddof=1)).view_as(x)
    shade = x.clone()
    shade[..., 0] *= 0.4
    shade[..., 1] *= 0.4
    return (
        torch.allclose(code.standardize(x), scores)
        and torch.allclose(code.standardize(3 * x + 2), scores)
        and torch.equal(code.shadow(x, 0.4, 2), shade)
    )


def test_light():
    assert light_agrees(load("gain_and_offset"))
    for defect in (
        ("x.mean((-2, -1), True)", "x.mean()"),
        ("x.std(", "x.var("),
        ("torch.arange(8) < edge", "torch.arange(8) <= edge"),
    ):
        assert not light_agrees(load("gain_and_offset", defect)), defect
