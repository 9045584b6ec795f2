"""Oracles for instance segmentation: RoIAlign, RoIPool, mask AP, panoptic quality, the merge.

ONNX Runtime (RoiAlign, MaxRoiPool), scikit-learn, brute force and closed forms; planted
defects must be caught.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from tests.oracles.onnx_operators import in_onnx
from scipy.ndimage import zoom
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import average_precision_score, jaccard_score
from tests.snippet_functions import load_functions

TOPIC = "instance-segmentation"


def load(technique, defect=None):
    return load_functions(f"{TOPIC}/{technique}", defect)


# --- ONNX Runtime ----------------------------------------------------------------------


def library_align(features, boxes, stride, size, ratio, aligned):
    mode = "half_pixel" if aligned else "output_half_pixel"
    graph = f"""(float[N, C, H, W] x, float[R, 4] rois, int64[R] batch) => (float[R, C, Y, X] out) {{
        out = RoiAlign <coordinate_transformation_mode = "{mode}", mode = "avg",
            output_height = {size}, output_width = {size}, sampling_ratio = {ratio},
            spatial_scale = {1 / stride}> (x, rois, batch) }}"""
    n, r = boxes.shape[:2]
    out = in_onnx(
        graph, x=features.float().numpy(), rois=boxes.reshape(-1, 4).float().numpy(),
        batch=np.repeat(np.arange(n), r),
    )  # fmt: skip
    return torch.tensor(out).double().unflatten(0, (n, r))


def align_cases():
    """Features (2, 3, 9, 13) and boxes of which some touch, cross or leave the border."""
    features = torch.randn(2, 3, 9, 13)
    for stride in (1.0, 4.0, 16.0):
        corner = stride * (14 * torch.rand(2, 8, 2) - 2)
        boxes = torch.cat([corner, corner + stride * (1 + 6 * torch.rand(2, 8, 2))], 2)
        boxes[0, 0] = stride * torch.tensor([0.0, 0, 13, 9])  # the whole map
        boxes[1, 1] = stride * torch.tensor([-6.0, -6, 20, 15])  # far beyond it
        boxes[1, 2] = stride * torch.tensor([2.0, 3, 5, 7])  # whole cells
        yield features, boxes, stride


def align_agrees(code) -> bool:
    return all(
        torch.allclose(
            code.roi_align(features, boxes, stride, size, ratio=ratio, aligned=aligned),
            library_align(features, boxes, stride, size, ratio, aligned),
            atol=1e-4,
        )
        for features, boxes, stride in align_cases()
        for size, ratio, aligned in ((7, 2, True), (3, 1, True), (2, 3, True), (7, 2, False))
    )


def test_roi_align_equals_onnxruntime():
    assert align_agrees(load("roi_align"))


@pytest.mark.parametrize(
    "defect",
    [
        (" - 0.5 * aligned", ""),  # drops the half pixel
        ("- 0.5 * aligned", "- 1.0 * aligned"),
        ("(torch.arange(size * ratio) + 0.5)", "torch.arange(size * ratio)"),  # bins' corners
        (".clamp(0, cells - 1)", ""),  # fades out at the border
        (" * inside[..., None]", ""),  # never zero outside
        ("at >= -1", "at >= 0"),
        ("y1, y2, size", "x1, x2, size"),
    ],
)
def test_roi_align_defects_are_caught(defect):
    assert not align_agrees(load("roi_align", defect))


@pytest.mark.parametrize(
    ("technique", "batched"), [("mini_mask_rcnn", True), ("hybrid_task_cascade", False)]
)
def test_short_roi_align_equals_onnxruntime_inside(technique, batched):
    """The short forms take one sample a bin and know no outside."""

    def agrees(code) -> bool:
        features = torch.randn(1, 3, 10, 10)
        corner = 40 * torch.rand(1, 12, 2)
        boxes = torch.cat([corner, corner + 4 + 30 * torch.rand(1, 12, 2)], 2)
        expected = library_align(features, boxes, 8.0, 6, 1, True)
        if batched:
            got = code.roi_align(features, boxes, 8.0, 6)
        else:
            got = code.roi_align(features[0], boxes[0], 6)[None]
        return torch.allclose(got, expected, atol=1e-4)

    assert agrees(load(technique))
    assert not agrees(load(technique, ("stride - 0.5", "stride")))
    assert not agrees(load(technique, ("(1 - away)", "(1 - away / 2)")))


# --- RoIPool ---------------------------------------------------------------------------


def pool_agrees(code) -> bool:
    features = torch.randn(1, 3, 9, 13) - 4  # negative: an empty bin must give 0
    for stride, size in ((1.0, 3), (4.0, 2), (16.0, 7)):
        corner = stride * (14 * torch.rand(20, 2) - 2)
        boxes = torch.cat([corner, corner + stride * 8 * torch.rand(20, 2)], 1)
        boxes[0] = stride * torch.tensor([0.5, 1.5, 3.5, 4.5])  # rounds half up
        graph = f"""(float[N, C, H, W] x, float[R, 5] rois) => (float[R, C, Y, X] out) {{ out = MaxRoiPool
            <pooled_shape = [{size}, {size}], spatial_scale = {1 / stride}> (x, rois) }}"""
        rois = torch.cat([torch.zeros(20, 1), boxes], 1).float().numpy()
        expected = in_onnx(graph, x=features.float().numpy(), rois=rois)
        got = torch.stack([code.roi_pool(features[0], box, stride, size) for box in boxes])
        if not np.allclose(got, expected, atol=1e-5):
            return False
    return True


def test_roi_pool_equals_onnxruntime():
    assert pool_agrees(load("roi_pool"))


@pytest.mark.parametrize(
    "defect",
    [
        ("(v + 0.5) // 1", "v // 1"),  # rounds down
        ("end - start + 1", "end - start"),
        ("-(-(i + 1) * length // size)", "(i + 1) * length // size"),
        (".amax((1, 2))", ".mean((1, 2))"),
        ("min(max(v + start, 0), cells)", "v + start"),  # negative indices wrap around
    ],
)
def test_roi_pool_defects_are_caught(defect):
    assert not pool_agrees(load("roi_pool", defect))


# --- IoU of masks, mask AP -------------------------------------------------------------


def ap_agrees(code) -> bool:
    """IoU against scikit-learn; AP with unrelated hits against scikit-learn's curve."""
    a, b = torch.rand(4, 5, 6) < 0.5, torch.rand(3, 5, 6) < 0.5
    got = code.mask_iou(a, b)
    for i, j in itertools.product(range(4), range(3)):
        if abs(got[i, j] - jaccard_score(b[j].flatten(), a[i].flatten())) > 1e-12:
            return False
    for _ in range(20):  # detection i lies on object i, or on nothing
        n, missed = int(torch.randint(1, 9, ())), int(torch.randint(0, 3, ()))
        hits, scores = torch.rand(n) < 0.7, torch.randperm(n).double()
        hits[0] = True
        found = int(hits.sum())
        iou = torch.zeros(n + 1, found + missed)
        iou[hits.nonzero()[:, 0], torch.arange(found)] = 0.8
        iou[n] = iou[0]  # a duplicate with the lowest score: a false alarm
        got = code.average_precision(iou, torch.cat([scores, -torch.ones(1)]), 0.5)
        order = hits[scores.argsort(descending=True)].double().numpy()
        curve = np.cumsum(order) / np.arange(1, n + 1)
        envelope = np.maximum.accumulate(curve[::-1])[::-1]
        if abs(got - (envelope * order).sum() / (found + missed)) > 1e-9:
            return False
        if np.all(np.diff(order) <= 0):  # all hits first: no envelope needed
            plain = average_precision_score(order, np.arange(n, 0, -1))
            if abs(got - plain * found / (found + missed)) > 1e-9:
                return False
    return True


def test_mask_ap():
    assert ap_agrees(load("mask_ap"))


@pytest.mark.parametrize(
    "defect",
    [
        (" - inter)", ")"),
        ("torch.where(free, row, -1)", "row"),  # duplicates count as hits
        ("free[best.indices] &= ~hits[-1]", "pass"),
        ("descending=True", "descending=False"),
        ("precision.flip(0).cummax(0).values.flip(0)", "precision"),
        (".item() / iou.shape[1]", ".item() / hits.sum().item()"),  # forgets missed objects
    ],
)
def test_mask_ap_defects_are_caught(defect):
    assert not ap_agrees(load("mask_ap", defect))


def test_filled_boxes():
    code = load("mask_ap")
    for _ in range(30):
        mask = torch.rand(1, 8, 9) < 0.1
        mask[0, 3, 4] = True
        y, x = mask[0].nonzero().T
        expected = torch.zeros(8, 9, dtype=torch.bool)
        expected[y.min() : y.max() + 1, x.min() : x.max() + 1] = True
        assert torch.equal(code.boxes_of(mask)[0], expected)


# --- panoptic quality ------------------------------------------------------------------


def quality_agrees(code) -> bool:
    """Against the best one-to-one matching of pairs above 0.5, found by assignment."""
    for _ in range(40):
        base = torch.randint(0, 4, (6, 6)).repeat_interleave(2, 0)
        noisy = torch.where(torch.rand(12, 6) < 0.25, torch.randint(3, 7, (12, 6)), base)
        p, t = noisy.unique().tolist(), base.unique().tolist()
        a = [set((noisy.flatten() == i).nonzero()[:, 0].tolist()) for i in p]
        b = [set((base.flatten() == j).nonzero()[:, 0].tolist()) for j in t]
        iou = np.array([[len(x & y) / len(x | y) for y in b] for x in a])
        gain = np.where(iou > 0.5, 1 + iou, 0)
        row, column = linear_sum_assignment(-gain)
        kept = iou[row, column][gain[row, column] > 0]
        expected = kept.sum() / (len(kept) + (len(p) - len(kept)) / 2 + (len(t) - len(kept)) / 2)
        pq, sq, rq = code.panoptic_quality(noisy, base)
        if abs(pq - expected) > 1e-9 or abs(pq - sq * rq) > 1e-12:
            return False
    return True


def test_panoptic_quality():
    assert quality_agrees(load("panoptic_quality"))


@pytest.mark.parametrize(
    "defect",
    [
        ("iou > 0.5", "iou > 0.3"),
        (" - inter)", ")"),
        ("2 * tp / segments", "tp / segments"),
        ("iou[matched].mean()", "iou[matched].sum()"),
    ],
)
def test_panoptic_quality_defects_are_caught(defect):
    assert not quality_agrees(load("panoptic_quality", defect))


# --- the panoptic merge ----------------------------------------------------------------


def merge_agrees(code) -> bool:
    """Pixel by pixel: the best kept instance that covers it, else its stuff class."""
    for _ in range(30):
        scores, masks = torch.rand(5), torch.rand(5, 6, 6) < 0.4
        masks[1] = masks[0]  # a duplicate
        stuff, taken, result = torch.randint(0, 3, (6, 6)), set(), {}
        for i in sorted(range(5), key=lambda i: -scores[i]):
            pixels = set(map(tuple, masks[i].nonzero().tolist()))
            if len(pixels - taken) > len(pixels) / 2:
                result |= {pixel: i for pixel in pixels - taken}
                taken |= pixels
        got = code.merge(scores, masks, stuff)
        for y, x in itertools.product(range(6), repeat=2):
            if got[y, x] != result.get((y, x), -1 - int(stuff[y, x])):
                return False
    return True


def test_merge():
    assert merge_agrees(load("panoptic_fpn"))


@pytest.mark.parametrize(
    "defect",
    [
        ("descending=True", "descending=False"),
        ("masks[i] & free", "masks[i]"),  # the last one wins
        ("2 * visible.sum()", "1e9 * visible.sum()"),  # keeps the scraps of duplicates
    ],
)
def test_merge_defects_are_caught(defect):
    assert not merge_agrees(load("panoptic_fpn", defect))


# --- Mask R-CNN's size, pasting --------------------------------------------------------


def parameters_agree(code) -> bool:
    """The published 44,401,393 of torchvision's model, which freezes 53,120 norm weights."""
    with torch.device("meta"):
        net = code.mask_rcnn()
    norms = sum(
        p.numel() for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()
    )
    return norms == 53_120 and sum(p.numel() for p in net.parameters()) - norms == 44_401_393


@pytest.mark.parametrize(
    "defect",
    [
        ("range(blocks - 1)", "range(blocks)"),
        ("if stride > 1 or c_in != 4 * c", "if stride > 1"),  # the first stage widens too
        ("nn.Linear(1024, 4 * K)", "nn.Linear(1024, 4)"),  # boxes are refined for each class
        ("nn.Conv2d(256, 3, 1)", "nn.Conv2d(256, 6, 1)"),
    ],
)
def test_parameters_of_mask_rcnn(defect):
    assert parameters_agree(load("mask_rcnn_shapes"))
    assert not parameters_agree(load("mask_rcnn_shapes", defect))


def test_box_iou_of_the_small_network():
    """Against counting unit squares."""

    def agrees(code) -> bool:
        corner = torch.randint(0, 8, (1, 12, 2)).double()
        boxes = torch.cat([corner, corner + torch.randint(1, 8, (1, 12, 2))], 2)
        squares = [
            {(x, y) for x in range(a, c) for y in range(b, d)}
            for a, b, c, d in boxes[0].int().tolist()
        ]
        expected = torch.tensor([[len(p & q) / len(p | q) for q in squares] for p in squares])
        return torch.allclose(code.iou(boxes, boxes)[0], expected)

    assert agrees(load("mini_mask_rcnn"))
    assert not agrees(load("mini_mask_rcnn", (".clamp(min=0).prod", ".prod")))
    assert not agrees(load("mini_mask_rcnn", ("area(b) - shared", "area(b)")))


# --- resolution and losses of masks ----------------------------------------------------


def resolution_agrees(code) -> bool:
    """The outline from all distances to the background; resizing as block means and scipy's zoom."""
    rng = np.random.default_rng(0)

    def rim(mask, width):
        outside, inside = np.argwhere(~np.pad(mask, 1)) - 1, np.argwhere(mask)
        near = np.hypot(*(inside[:, None] - outside).transpose(2, 0, 1)).min(1) <= width
        out = np.zeros_like(mask)
        out[tuple(inside[near].T)] = True
        return out

    for share in (0.05, 0.12, 0.12, 0.2):  # of a diagonal of 25
        a, b = rng.random((2, 20, 15)) < 0.98
        expected = jaccard_score(rim(a, 25 * share).ravel(), rim(b, 25 * share).ravel())
        if abs(code.boundary_iou(a, b, share) - expected) > 1e-9:
            return False
        a = rng.random((20, 15)) < 0.6
        back = zoom(a.reshape(5, 4, 5, 3).mean((1, 3)), (4, 3), order=1, mode="nearest", grid_mode=True)
        clear = np.abs(back - 0.5) > 1e-9
        if not np.array_equal(code.through(a, 5)[clear], (back > 0.5)[clear]):
            return False
    return True


def mask_losses_agree(code) -> bool:
    """Pixel by pixel: minus the log of the probability of the truth."""
    z, c, mask = torch.randn(2, 7, 4), torch.randint(0, 3, (2, 7)), torch.rand(2, 7) < 0.5
    own, named = [], []
    for s, i in itertools.product(range(2), range(7)):
        p = z[s, i].exp()
        k = int(c[s, i])
        own.append(math.log(1 + 1 / p[k]) if mask[s, i] else math.log(1 + p[k]))
        named.append(-math.log(p[k if mask[s, i] else 3] / p.sum()))
    a, b = torch.rand(2, 3, 9) < 0.5
    iou = [jaccard_score(q, p) for p, q in zip(a, b)]
    return (
        abs(code.sigmoid_loss(z, c, mask) - np.mean(own)) < 1e-12
        and abs(code.softmax_loss(z, c, mask) - np.mean(named)) < 1e-12
        and np.allclose(code.iou(a, b), iou)
    )


@pytest.mark.parametrize(
    ("technique", "agrees", "defects"),
    [
        (
            "mask_resolution",
            resolution_agrees,
            [
                ("np.pad(mask, 1))[1:-1, 1:-1]", "mask)"),  # the image's border is no outline
                ("depth <= width", "depth < width"),
                ("np.hypot(*a.shape)", "max(a.shape)"),
                ("(a | b).sum()", "a.sum()"),
                (">= 0.5", ">= 0.6"),
            ],
        ),
        (
            "sigmoid_masks",
            mask_losses_agree,
            [
                ("z = z.gather(2, c[..., None])[..., 0]", "z = z[..., 0]"),
                ("torch.where(mask, c, K)", "torch.where(mask, K, c)"),
                ("(a | b).sum(1)", "b.sum(1)"),
            ],
        ),
    ],
)
def test_masks(technique, agrees, defects):
    assert agrees(load(technique))
    for defect in defects:
        assert not agrees(load(technique, defect)), defect
