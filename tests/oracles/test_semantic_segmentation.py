"""Oracles for semantic segmentation: metrics, coarse masks, dilation, taps, ranks, bins.

Each check takes a snippet's functions and says whether they agree with the oracle: a library
(scikit-learn, SciPy, MONAI) or brute force. Planted defects must make it disagree.
"""

import itertools

import numpy as np
import pytest
import torch
from monai.metrics import compute_iou, compute_surface_dice
from scipy.stats import rankdata
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score
from tests.snippet_functions import load_functions

TOPIC = "semantic-segmentation"
RNG = np.random.default_rng(0)


def load(technique, defect=None):
    return load_functions(f"{TOPIC}/{technique}", defect)


# --- confusion matrix, IoU, Dice ---------------------------------------------------------


def confusion_agrees(code) -> bool:
    """Equals scikit-learn on the pixels that are not marked, in every class."""
    for classes in (2, 3, 7):
        for marked in (0.0, 0.3):
            truth = RNG.integers(0, classes, (4, 9, 11)).astype(np.uint8)
            truth[RNG.random(truth.shape) < marked] = code.IGNORE
            predicted = RNG.integers(0, classes, truth.shape)
            kept = truth != code.IGNORE
            m = code.confusion(truth, predicted, classes)
            labels = range(classes)
            if not np.array_equal(m, confusion_matrix(truth[kept], predicted[kept], labels=labels)):
                return False
            expected = jaccard_score(truth[kept], predicted[kept], labels=labels, average=None)
            if not np.allclose(code.iou_per_class(m), expected):
                return False
    nowhere = code.iou_per_class(np.array([[5, 0], [0, 0]]))
    return nowhere[0] == 1 and np.isnan(nowhere[1])


def test_confusion_and_iou_per_class():
    assert confusion_agrees(load("mean_iou"))


@pytest.mark.parametrize(
    "defect",
    [
        ("truth != IGNORE", "truth >= 0"),
        ("classes * truth[keep].astype(int) + predicted[keep]",
         "classes * predicted[keep].astype(int) + truth[keep]"),
        ("m.sum(0) + m.sum(1) - hit", "m.sum(0) + m.sum(1)"),
        ("m.sum(0) + m.sum(1) - hit", "m.sum(1)"),
    ],
)  # fmt: skip
def test_confusion_defects_are_caught(defect):
    try:
        agrees = confusion_agrees(load("mean_iou", defect))
    except ValueError:  # the marked pixels do not fit into the matrix
        agrees = False
    assert not agrees


def overlap_agrees(code) -> bool:
    for share in (0.05, 0.5, 0.95):
        for _ in range(10):
            a, b = torch.rand(2, 12, 12) < share
            a[0, 0] = True
            if abs(code.iou(a, b) - jaccard_score(a.flatten(), b.flatten())) > 1e-12:
                return False
            if abs(code.dice(a, b) - f1_score(a.flatten(), b.flatten())) > 1e-12:
                return False
            library = compute_iou(a[None, None].float(), b[None, None].float())
            if abs(code.iou(a, b) - library.item()) > 1e-6:
                return False
    return True


def test_dice_and_iou():
    assert overlap_agrees(load("dice_and_iou"))


@pytest.mark.parametrize(
    "defect",
    [("(a | b).sum()", "(a.sum() + b.sum())"), ("2 * (a & b)", "(a & b)"), ("(a & b)", "(a ^ b)")],
)
def test_overlap_defects_are_caught(defect):
    assert not overlap_agrees(load("dice_and_iou", defect))


# --- boundary IoU ------------------------------------------------------------------------


def by_distances(mask, d):
    """The mask's pixels with a pixel outside it (or outside the image) at most d away."""
    h, w = mask.shape
    reach = int(d) + 1
    out = np.zeros_like(mask)
    steps = range(-reach, reach + 1)
    for y, x in zip(*mask.nonzero()):
        out[y, x] = any(
            dy * dy + dx * dx <= d * d
            and not (0 <= y + dy < h and 0 <= x + dx < w and mask[y + dy, x + dx])
            for dy, dx in itertools.product(steps, steps)
        )
    return out


def boundary_agrees(code) -> bool:
    masks = [RNG.random((14, 17)) < share for share in (0.5, 0.9, 0.98)]
    masks.append(np.ones((14, 17), bool))  # the image border is a contour
    masks.append(np.pad(np.ones((9, 9), bool), 4))
    for d in (1, 2, 3):
        rims = [by_distances(mask, d) for mask in masks]
        if not all(np.array_equal(code.rim(m, d), r) for m, r in zip(masks, rims)):
            return False
        for i, j in ((0, 1), (1, 2), (2, 3)):
            expected = (rims[i] & rims[j]).sum() / (rims[i] | rims[j]).sum()
            if abs(code.boundary_iou(masks[i], masks[j], d) - expected) > 1e-12:
                return False
    return True


def test_boundary_iou():
    assert boundary_agrees(load("boundary_iou"))


@pytest.mark.parametrize(
    "defect",
    [
        ("<= d)", "< d)"),
        ("mask & (", "("),
        ("np.pad(mask, 1)", "np.pad(mask, 1, mode='edge')"),
        ("rim(a, d), rim(b, d)", "rim(a, d), b"),
    ],
)
def test_boundary_defects_are_caught(defect):
    assert not boundary_agrees(load("boundary_iou", defect))


def test_surface_dice_agrees_that_the_size_does_not_matter():
    """MONAI's surface Dice, another boundary metric, also sees the same error at two sizes."""
    code = load("boundary_iou")
    y, x = np.mgrid[:120, :120] - 59.5
    scores = []
    for radius in (20, 50):
        pair = [
            np.hypot(y, x) < radius + waves * np.sin(12 * np.arctan2(y, x)) for waves in (0, 2)
        ]
        tensors = [torch.tensor(m)[None, None].float() for m in pair]
        surface = compute_surface_dice(*tensors, class_thresholds=[0.5], include_background=True)
        scores.append((code.iou(*pair), code.boundary_iou(*pair, 3), surface.item()))
    (iou, edge, surface), (iou_large, edge_large, surface_large) = scores
    assert iou_large > iou + 0.05
    assert edge_large < edge + 0.02 and surface_large < surface + 0.02


# --- the best mask of square cells ---------------------------------------------------------


def coarse_agrees(code) -> bool:
    """Equals the best of all masks that are constant on the cells."""
    for h, w, s in ((4, 4, 2), (6, 6, 2), (6, 9, 3)):
        for share in (0.2, 0.6):
            mask = RNG.random((h, w)) < share
            mask[0, 0] = True
            cells = h // s * (w // s)
            best = 0.0
            for bits in itertools.product((False, True), repeat=cells):
                cell = np.array(bits).reshape(h // s, w // s)
                candidate = cell.repeat(s, 0).repeat(s, 1)
                best = max(best, (candidate & mask).sum() / (candidate | mask).sum())
            found, iou = code.best_coarse_mask(mask, s)
            real = (found & mask).sum() / (found | mask).sum()
            if abs(iou - best) > 1e-12 or abs(real - best) > 1e-12:
                return False
    return True


def test_best_coarse_mask():
    assert coarse_agrees(load("one_label_per_cell"))


@pytest.mark.parametrize(
    "defect",
    [
        ('kind="stable")[::-1]', 'kind="stable")'),
        ("mask.sum() - shared", "mask.sum()"),
        ("iou.argmax() + 1", "iou.argmax()"),
        (".sum((1, 3))", ".max((1, 3))"),
    ],
)
def test_coarse_defects_are_caught(defect):
    assert not coarse_agrees(load("one_label_per_cell", defect))


# --- dilation ------------------------------------------------------------------------------


def footprint_agrees(code) -> bool:
    """Paths are counted by the polynomial product of the kernels."""
    for rates in ((1,), (1, 2, 4), (3, 3), (2, 5, 1)):
        line = np.ones(1, int)
        for rate in rates:
            taps = np.zeros(2 * rate + 1, int)
            taps[::rate] = 1
            line = np.convolve(line, taps)
        expected = np.zeros(33, int)
        start = 16 - len(line) // 2
        expected[start : start + len(line)] = line
        if not np.allclose(code.footprint(rates).numpy(), np.outer(expected, expected)):
            return False
    return True


def test_footprint():
    assert footprint_agrees(load("dilated_footprint"))
    assert not footprint_agrees(load("dilated_footprint", ("dilation=rate", "dilation=1")))
    assert not footprint_agrees(load("dilated_footprint", ("padding=rate", "padding=1")))


def dense_agrees(code) -> bool:
    """Shift and stitch: every 4th value of the dense map is the strided net on a moved image."""
    x = torch.randn(1, 3, 72, 72)
    w = [torch.randn(5, c, 3, 3) / (3 * c**0.5) for c in (3, 5, 5, 5)]
    dense = code.network(x, w, (1, 1, 1, 1))
    if dense.shape != (1, 5, 72, 72):
        return False
    for i, j in itertools.product(range(4), repeat=2):
        moved = torch.roll(x, (-i, -j), (2, 3))  # differs near the border only
        coarse = code.network(moved, w, (2, 1, 2, 1))
        inner = dense[..., i::4, j::4] - coarse
        if inner[..., 7:-7, 7:-7].abs().max() > 1e-12:
            return False
    return True


def test_atrous_is_shift_and_stitch():
    assert dense_agrees(load("atrous_keeps_weights"))


@pytest.mark.parametrize(
    "defect",
    [
        ("dilation *= original // stride", "dilation *= 1"),
        ("4 * [dilation]), 3, 1, 0, dilation)", "4 * [1]), 3, 1, 0, 1)"),  # pooling not dilated
        ("None, stride, dilation, dilation", "None, stride, 1, 1"),
    ],
)
def test_atrous_defects_are_caught(defect):
    try:
        agrees = dense_agrees(load("atrous_keeps_weights", defect))
    except RuntimeError:  # sizes no longer fit
        agrees = False
    assert not agrees


def taps_agree(code) -> bool:
    for size, rate in ((5, 1), (5, 2), (6, 5), (7, 7)):
        taps = code.taps_inside(size, rate)[0, 0]
        steps = (-rate, 0, rate)
        for y, x in itertools.product(range(size), repeat=2):
            inside = sum(
                0 <= y + a < size and 0 <= x + b < size for a, b in itertools.product(steps, steps)
            )
            if taps[y, x] != inside:
                return False
    return True


def test_taps_inside():
    assert taps_agree(load("aspp"))
    assert not taps_agree(load("aspp", ("torch.ones(1, 1, 3, 3), padding=rate, dilation=rate",
                                        "torch.ones(1, 1, 3, 3), padding=1")))  # fmt: skip


# --- pooled bins, dense blocks, ranks --------------------------------------------------------


def spp_agrees(code) -> bool:
    """Bin i of n runs from floor(i H / n) to ceil((i + 1) H / n)."""
    for h, w in ((13, 13), (5, 9), (8, 4)):
        x = torch.randn(2, 3, h, w)
        expected = []
        for n in (4, 2, 1):
            for c, i, j in itertools.product(range(3), range(n), range(n)):
                rows = slice(i * h // n, -(-(i + 1) * h // n))
                columns = slice(j * w // n, -(-(j + 1) * w // n))
                expected.append(x[:, c, rows, columns].amax((1, 2)))
        if not torch.equal(code.spp(x), torch.stack(expected, 1)):
            return False
    return True


def test_spp():
    assert spp_agrees(load("pyramids"))
    assert not spp_agrees(load("pyramids", ("adaptive_max_pool2d", "adaptive_avg_pool2d")))
    assert not spp_agrees(load("pyramids", ("in (4, 2, 1)", "in (1, 2, 4)")))


def dense_block_agrees(code) -> bool:
    """The recursion, each layer reading all maps before it."""
    block = code.DenseBlock(5, 3, 2).eval()
    x = y = torch.randn(2, 5, 6, 7)
    for layer in block.layers:
        y = torch.cat([y, layer(y)], 1)
    return y.shape[1] == 5 + 3 * 2 and torch.allclose(block(x), y)


@pytest.mark.parametrize(
    "defect",
    [
        ("range(layers)", "range(layers - 1)"),
        ("layer(torch.cat(maps, 1))", "layer(torch.cat(maps[::-1], 1))"),
        ("return torch.cat(maps, 1)", "return torch.cat(maps[1:] + [x], 1)"),
    ],
)
def test_dense_block(defect):
    assert dense_block_agrees(load("dense_block"))
    assert not dense_block_agrees(load("dense_block", defect))


def test_same_histogram_is_the_rank():
    code = load("texture_or_threshold")
    photo = RNG.integers(0, 9, (12, 10))
    expected = rankdata(photo, method="ordinal").reshape(12, 10) - 1
    assert np.allclose(code.same_histogram(photo) * photo.size, expected)
    wrong = load("texture_or_threshold", (".argsort(stable=True).argsort()", ".argsort(stable=True)"))
    assert not np.allclose(wrong.same_histogram(photo) * photo.size, expected)
