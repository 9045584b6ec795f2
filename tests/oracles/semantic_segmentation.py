"""Semantic segmentation: metrics against scikit-learn, SciPy and MONAI; coarse masks, dilation, taps,
bins and ranks against brute force."""

import itertools

import numpy as np
import torch
from monai.metrics import compute_iou, compute_surface_dice
from scipy.stats import rankdata
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from tests.oracles.oracle import Defect, Oracle, agree

# --- confusion matrix, IoU, Dice -------------------------------------------------------


def counted_classes(code):
    """Equals scikit-learn on the pixels that are not marked, in every class."""
    rng = np.random.default_rng(0)
    for classes, marked in itertools.product((2, 3, 7), (0.0, 0.3)):
        truth = rng.integers(0, classes, (4, 9, 11)).astype(np.uint8)
        truth[rng.random(truth.shape) < marked] = code.IGNORE
        predicted = rng.integers(0, classes, truth.shape)
        kept, labels = truth != code.IGNORE, range(classes)
        m = code.confusion(truth, predicted, classes)
        agree(m, confusion_matrix(truth[kept], predicted[kept], labels=labels))
        want = jaccard_score(truth[kept], predicted[kept], labels=labels, average=None)
        agree(code.iou_per_class(m), want)
    agree(code.iou_per_class(np.array([[5, 0], [0, 0]])), [1, np.nan])
    agree(code.confusion(np.full((2, 2), code.IGNORE), np.ones((2, 2), int), 2), [[0, 0], [0, 0]])


def mask_pairs():
    for share in (0.05, 0.5, 0.95):
        for _ in range(10):
            pair = torch.rand(2, 12, 12) < share
            pair[0, 0, 0] = True
            yield pair
    yield torch.ones(2, 12, 12) > 0
    yield torch.arange(2)[:, None, None].expand(2, 12, 12) > 0  # one of them empty


def jaccard(a, b):
    want = jaccard_score(a.flatten(), b.flatten())
    agree(compute_iou(a[None, None].float(), b[None, None].float()).item(), want, 1e-6)
    return want


# --- boundary IoU ----------------------------------------------------------------------


def by_distances(mask, d):
    """The mask's pixels with a pixel outside it (or outside the image) at most d away."""
    h, w = mask.shape
    out = np.zeros_like(mask)
    steps = range(-int(d) - 1, int(d) + 2)
    for y, x in zip(*mask.nonzero(), strict=True):
        out[y, x] = any(
            dy * dy + dx * dx <= d * d and not (0 <= y + dy < h and 0 <= x + dx < w and mask[y + dy, x + dx])
            for dy, dx in itertools.product(steps, steps)
        )
    return out


def masks():
    random = [np.random.default_rng(1).random((14, 17)) < share for share in (0.5, 0.9, 0.98)]
    # the image border is a contour; a square amid the image; an empty mask
    return [*random, np.ones((14, 17), bool), np.pad(np.ones((9, 9), bool), 4), np.zeros((9, 9), bool)]


def boundary_overlap(a, b, d):
    a, b = by_distances(a, d), by_distances(b, d)
    return (a & b).sum() / (a | b).sum()


def size_matters_not(code):
    """MONAI's surface Dice, another boundary metric, also sees the same error at two sizes."""
    y, x = np.mgrid[:120, :120] - 59.5
    scores = []
    for radius in (20, 50):
        pair = [np.hypot(y, x) < radius + waves * np.sin(12 * np.arctan2(y, x)) for waves in (0, 2)]
        tensors = [torch.tensor(m)[None, None].float() for m in pair]
        surface = compute_surface_dice(*tensors, class_thresholds=[0.5], include_background=True)
        scores.append((code.iou(*pair), code.boundary_iou(*pair, 3), surface.item()))
    (iou, edge, surface), (iou_large, edge_large, surface_large) = scores
    assert iou_large > iou + 0.05
    assert edge_large < edge + 0.02 and surface_large < surface + 0.02


# --- the best mask of square cells -----------------------------------------------------


def best_coarse_mask(code):
    """Equals the best of all masks that are constant on the cells."""
    rng = np.random.default_rng(2)
    for (h, w, s), share in itertools.product(((4, 4, 2), (6, 6, 2), (6, 9, 3)), (0.2, 0.6, 1)):
        mask = rng.random((h, w)) < share
        mask[0, 0] = True
        best = 0.0
        for bits in itertools.product((False, True), repeat=h // s * (w // s)):
            candidate = np.array(bits).reshape(h // s, w // s).repeat(s, 0).repeat(s, 1)
            best = max(best, (candidate & mask).sum() / (candidate | mask).sum())
        found, iou = code.best_coarse_mask(mask, s)
        agree([iou, (found & mask).sum() / (found | mask).sum()], [best, best])
        cells = found[::s, ::s]
        assert (found == cells.repeat(s, 0).repeat(s, 1)).all()


# --- dilation --------------------------------------------------------------------------


def counted_paths(rates):
    """By the polynomial product of the kernels."""
    line = np.ones(1, int)
    for rate in rates:
        taps = np.zeros(2 * rate + 1, int)
        taps[::rate] = 1
        line = np.convolve(line, taps)
    line = np.pad(line, 16 - len(line) // 2)
    return np.outer(line, line)


def shift_and_stitch(code):
    """Every 4th value of the dense map is the strided net on a moved image."""
    x = torch.randn(1, 3, 72, 72)
    w = [torch.randn(5, c, 3, 3) / (3 * c**0.5) for c in (3, 5, 5, 5)]
    dense = code.network(x, w, (1, 1, 1, 1))
    assert dense.shape == (1, 5, 72, 72)
    for i, j in itertools.product(range(4), repeat=2):
        moved = torch.roll(x, (-i, -j), (2, 3))  # differs near the border only
        coarse = code.network(moved, w, (2, 1, 2, 1))
        agree(dense[..., i::4, j::4][..., 7:-7, 7:-7], coarse[..., 7:-7, 7:-7], 1e-12)


def counted_taps(size, rate):
    y, x = torch.meshgrid(2 * (torch.arange(size),), indexing="ij")
    taps = torch.zeros(1, 1, size, size)
    for a, b in itertools.product((-rate, 0, rate), repeat=2):
        taps += (y + a >= 0) & (y + a < size) & (x + b >= 0) & (x + b < size)
    return taps


# --- pooled bins, dense blocks, ranks --------------------------------------------------


def largest_by_bin(x):
    """Bin i of n runs from floor(i H / n) to ceil((i + 1) H / n)."""
    h, w = x.shape[2:]
    bins = []
    for n in (4, 2, 1):
        for c, i, j in itertools.product(range(x.shape[1]), range(n), range(n)):
            rows, columns = (slice(k * side // n, -(-(k + 1) * side // n)) for k, side in ((i, h), (j, w)))
            bins.append(x[:, c, rows, columns].amax((1, 2)))
    return torch.stack(bins, 1)


def dense_block(code):
    """The recursion, each layer reading all maps before it."""
    for layers in (1, 3):
        block = code.DenseBlock(5, layers, 2).eval()
        x = y = torch.randn(2, 5, 6, 7)
        for layer in block.layers:
            y = torch.cat([y, layer(y)], 1)
        assert y.shape[1] == 5 + layers * 2
        agree(block(x), y)


def photos():
    """With ties, in the limit all equal."""
    for levels, shape in itertools.product((1, 9, 256), ((12, 10), (1, 1))):
        yield (np.random.default_rng(3).integers(0, levels, shape),)


ORACLES = [
    Oracle(
        "mean_iou",
        counted_classes,
        defects=[
            Defect("truth != IGNORE", "truth >= 0", crashes=ValueError),  # 255 does not fit into the matrix
            Defect(
                "classes * truth[keep].astype(int) + predicted[keep]",
                "classes * predicted[keep].astype(int) + truth[keep]",
            ),
            Defect("m.sum(0) + m.sum(1) - hit", "m.sum(0) + m.sum(1)"),
            Defect("m.sum(0) + m.sum(1) - hit", "m.sum(1)"),
        ],
    ),
    Oracle(
        "dice_and_iou",
        function="iou",
        reference=jaccard,
        cases=mask_pairs,
        tolerance=1e-12,
        defects=[
            Defect("(a | b).sum()", "(a.sum() + b.sum())"),
            Defect("(a & b)", "(a ^ b)", where="iou"),
        ],
    ),
    Oracle(
        "dice_and_iou",
        function="dice",
        reference=lambda a, b: f1_score(a.flatten(), b.flatten()),
        cases=mask_pairs,
        tolerance=1e-12,
        defects=[Defect("2 * (a & b)", "(a & b)"), Defect("(a & b)", "(a ^ b)", where="dice")],
    ),
    Oracle(
        "boundary_iou",
        function="rim",
        reference=by_distances,
        cases=lambda: itertools.product(masks(), (1, 2, 3)),
        defects=[
            Defect("<= d)", "< d)"),
            Defect("mask & (", "("),
            Defect("np.pad(mask, 1)", "np.pad(mask, 1, mode='edge')"),
        ],
    ),
    Oracle(
        "boundary_iou",
        function="boundary_iou",
        reference=boundary_overlap,
        cases=lambda: ((*pair, d) for pair in itertools.pairwise(masks()[:4]) for d in (1, 2, 3)),
        tolerance=1e-12,
        defects=[Defect("rim(a, d), rim(b, d)", "rim(a, d), b")],
    ),
    Oracle("boundary_iou", size_matters_not, defects=[Defect("iou(rim(a, d), rim(b, d))", "iou(a, b)")]),
    Oracle(
        "one_label_per_cell",
        best_coarse_mask,
        defects=[
            Defect('kind="stable")[::-1]', 'kind="stable")'),
            Defect("mask.sum() - shared", "mask.sum()"),
            Defect("iou.argmax() + 1", "iou.argmax()"),
            Defect(".sum((1, 3))", ".max((1, 3))"),
        ],
    ),
    Oracle(
        "dilated_footprint",
        function="footprint",
        reference=counted_paths,
        cases=lambda: [((),), ((1,),), ((1, 2, 4),), ((3, 3),), ((2, 5, 1),)],
        defects=[Defect("dilation=rate", "dilation=1"), Defect("padding=rate", "padding=1")],
    ),
    Oracle(
        "atrous_keeps_weights",
        shift_and_stitch,
        defects=[
            Defect("dilation *= original // stride", "dilation *= 1"),
            Defect("4 * [dilation]), 3, 1, 0, dilation)", "4 * [1]), 3, 1, 0, 1)"),  # pooling not dilated
            Defect("None, stride, dilation, dilation", "None, stride, 1, 1"),
        ],
    ),
    Oracle(
        "aspp",
        function="taps_inside",
        reference=counted_taps,
        cases=lambda: [(5, 1), (5, 2), (6, 5), (7, 7), (1, 1)],
        defects=[
            Defect("torch.ones(1, 1, 3, 3), padding=rate, dilation=rate", "torch.ones(1, 1, 3, 3), padding=1")
        ],
    ),
    Oracle(
        "pyramids",
        function="spp",
        reference=largest_by_bin,
        cases=lambda: ((torch.randn(2, 3, h, w),) for h, w in ((13, 13), (5, 9), (8, 4), (1, 3))),
        defects=[
            Defect("adaptive_max_pool2d", "adaptive_avg_pool2d"),
            Defect("in (4, 2, 1)", "in (1, 2, 4)"),
        ],
    ),
    Oracle(
        "dense_block",
        dense_block,
        defects=[
            Defect("range(layers)", "range(layers - 1)"),
            Defect("layer(torch.cat(maps, 1))", "layer(torch.cat(maps[::-1], 1))"),
            Defect("return torch.cat(maps, 1)", "return torch.cat(maps[1:] + [x], 1)"),
        ],
    ),
    Oracle(
        "texture_or_threshold",
        function="same_histogram",
        reference=lambda photo: (rankdata(photo, method="ordinal").reshape(photo.shape) - 1) / photo.size,
        cases=photos,
        defects=[Defect(".argsort(stable=True).argsort()", ".argsort(stable=True)")],
    ),
]
