"""Oracles for object detection: IoU, NMS, average precision, anchors, matching, box encoding.

Each check takes a snippet's functions and says whether they agree with the oracle: a library
(ONNX Runtime, scikit-learn) or brute force. Planted defects must make it disagree.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from tests.oracles.onnx_operators import onnx_nms
from sklearn.metrics import average_precision_score
from tests.snippet_functions import load_functions

TOPIC = "object-detection"
BOTH_NMS = ["nms", "nms_coins"]
WITH_IOU = ["iou", "nms", "nms_coins", "nine_anchors", "anchor_recall", "anchor_matching"]


def load(technique, defect=None):
    return load_functions(f"{TOPIC}/{technique}", defect)


def whole_boxes(n, size=30, smallest=0):
    """Boxes with whole-number corners; many touch, coincide or (smallest=0) are empty."""
    corner = torch.randint(0, size, (n, 2))
    return torch.cat([corner, corner + torch.randint(smallest, size, (n, 2))], 1).double()


# --- IoU -------------------------------------------------------------------------------


def unit_squares(box):
    x1, y1, x2, y2 = (int(v) for v in box)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


def iou_agrees(code) -> bool:
    """Equals counting unit squares; NaN exactly for two empty boxes."""
    a, b = whole_boxes(25, 12), whole_boxes(30, 12)
    b[:5] = a[:5]  # identical
    b[5] = a[5] + torch.tensor([100.0, 0, 100, 0])  # apart in x only
    b[6] = a[6] + 100  # apart in both: a product of two negative sides is positive
    a[7], b[7] = torch.tensor([0.0, 0, 5, 5]), torch.tensor([5.0, 0, 9, 5])  # touching
    got = code.iou(a, b)
    for i, j in itertools.product(range(len(a)), range(len(b))):
        p, q = unit_squares(a[i]), unit_squares(b[j])
        if not p | q:
            if not math.isnan(got[i, j]):
                return False
        elif abs(got[i, j] - len(p & q) / len(p | q)) > 1e-12:
            return False
    return True


@pytest.mark.parametrize("technique", WITH_IOU)
def test_iou_equals_counting(technique):
    assert iou_agrees(load(technique))


@pytest.mark.parametrize(
    "defect",
    [
        (".clamp(min=0)", ""),  # boxes that are apart in both directions overlap
        ("area_b - inter", "area_b"),  # the shared area counts twice
        ("a[:, None, 2:], b[:, 2:]", "a[:, None, 2:] + 1, b[:, 2:] + 1"),  # the old VOC pixel
        ("torch.maximum(", "torch.minimum("),
    ],
)
@pytest.mark.parametrize("technique", WITH_IOU)
def test_iou_defects_are_caught(technique, defect):
    assert not iou_agrees(load(technique, defect))


def sides_area_agrees(code) -> bool:
    """IoU from the distances of a point to the sides equals IoU from corners."""
    point = torch.tensor([20.0, 20])
    guess = 9 * torch.rand(60, 4)  # contains the point
    truth = torch.cat([8 * torch.rand(60, 2) - 4, 4 + 8 * torch.rand(60, 2)], 1)  # may not
    far = torch.tensor([[-12.0, 1, 15, 3]])  # does not even touch the guesses
    truth = torch.cat([truth, far])
    guess = torch.cat([guess, guess[:1]])
    inter = code.area(torch.minimum(guess, truth))
    got = inter / (code.area(guess) + code.area(truth) - inter)
    corners = [torch.cat([point - s[:, :2], point + s[:, 2:]], 1) for s in (guess, truth)]
    return torch.allclose(got, load("iou").iou(*corners).diagonal(), atol=1e-12)


def test_iou_from_sides():
    assert sides_area_agrees(load("one_to_one"))
    assert not sides_area_agrees(load("one_to_one", (".clamp(min=0)", "")))
    assert not sides_area_agrees(load("one_to_one", (".clamp(min=0).prod", ".abs().prod")))


# --- non-maximum suppression -----------------------------------------------------------


def nms_cases():
    for n, size in itertools.product((1, 2, 3, 10, 60), (5, 15, 40)):
        for smallest in (0, 1, 4):
            scores = torch.randperm(n).double() / n  # distinct
            yield whole_boxes(n, size, smallest), scores
    same = torch.tensor([[1.0, 1, 7, 9]]).repeat(6, 1)
    yield same, torch.randperm(6).double()  # identical boxes
    touching = torch.tensor([[0.0, 0, 5, 5], [5, 0, 10, 5], [0, 5, 5, 10], [5, 5, 10, 10]])
    yield touching, torch.randperm(4).double()
    yield torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]]), torch.tensor([1.0, 0.5])  # exactly 0.5
    yield torch.tensor([[3.0, 3, 3, 3], [3, 3, 3, 3]]), torch.tensor([1.0, 0.5])  # both empty


def nms_agrees(code) -> bool:
    return all(
        code.nms(boxes, scores, threshold) == onnx_nms(boxes, scores, threshold)
        for boxes, scores in nms_cases()
        for threshold in (0.1, 0.3, 0.5, 0.7, 0.9)
    )


@pytest.mark.parametrize("technique", BOTH_NMS)
def test_nms_equals_onnxruntime(technique):
    assert nms_agrees(load(technique))


@pytest.mark.parametrize(
    "defect",
    [
        ("~(overlap > threshold)", "overlap < threshold"),  # drops ties and empty boxes
        ("~(overlap > threshold)", "overlap > threshold"),
        ("descending=True", "descending=False"),  # worst first
        ("- inter)", ")"),
    ],
)
@pytest.mark.parametrize("technique", BOTH_NMS)
def test_nms_defects_are_caught(technique, defect):
    assert not nms_agrees(load(technique, defect))


def test_the_two_properties_fix_the_result():
    """Of all subsets, only NMS's has no pair above the threshold and a better kept box for each rest."""
    code = load("nms")
    for _ in range(40):
        n = int(torch.randint(1, 7, ()))
        boxes, scores = whole_boxes(n, 12, 3), torch.rand(n)
        above = code.iou(boxes, boxes) > 0.3
        fitting = [
            set(kept)
            for size in range(n + 1)
            for kept in itertools.combinations(range(n), size)
            if not any(above[i, j] for i, j in itertools.combinations(kept, 2))
            and all(
                any(above[i, j] and scores[j] > scores[i] for j in kept)
                for i in set(range(n)) - set(kept)
            )
        ]
        assert fitting == [set(code.nms(boxes, scores, 0.3))]


# --- average precision -----------------------------------------------------------------


def ap_agrees(code) -> bool:
    """Plain: scikit-learn's times the share found. Envelope: the area under max precision beyond."""
    for n, missed in itertools.product((1, 2, 5, 40), (0, 3)):
        for _ in range(10):
            hits = (torch.rand(n) < 0.6).double()
            hits[torch.randint(n, ())] = 1
            found = int(hits.sum())
            objects = found + missed
            falling = np.arange(n, 0, -1)
            plain = average_precision_score(hits, falling) * found / objects
            if abs(code.average_precision(hits, objects, False) - plain) > 1e-9:
                return False
            points = [(hits[: k + 1].sum() / objects, hits[: k + 1].mean()) for k in range(n)]
            area = sum(
                max(p for r, p in points if r >= level / objects - 1e-12) / objects
                for level in range(1, found + 1)
            )
            if abs(code.average_precision(hits, objects) - area) > 1e-9:
                return False
    return True


def test_average_precision():
    assert ap_agrees(load("average_precision"))


@pytest.mark.parametrize(
    "defect",
    [
        ("/ objects  #", "/ hits.sum().item()  #"),  # forgets the missed objects
        ("precision.flip(0).cummax(0).values.flip(0)", "precision.cummax(0).values"),
        ("(precision * hits)", "precision"),
        ("torch.arange(1, len(hits) + 1)", "torch.arange(1, len(hits) + 1).flip(0)"),
    ],
)
def test_average_precision_defects_are_caught(defect):
    assert not ap_agrees(load("average_precision", defect))


# --- shared features -------------------------------------------------------------------


def vgg16_agrees(code) -> bool:
    widths = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
    widths += [(256, 512)] + [(512, 512)] * 5
    sides = [224] * 2 + [112] * 2 + [56] * 3 + [28] * 3 + [14] * 3
    expected = sum(2 * 9 * a * b * side**2 for (a, b), side in zip(widths, sides))
    with torch.device("meta"):
        backbone, head = code.vgg16()
        return (
            code.flops(backbone, 1, 3, 224, 224) == expected
            and backbone(torch.empty(1, 3, 224, 224)).shape == (1, 512, 14, 14)
            and code.flops(head, 1, 512, 7, 7) == 2 * (25088 * 4096 + 4096**2)
        )


@pytest.mark.parametrize(
    "defect",
    [
        ("layers.pop()", "pass"),
        ("(256, 3)", "(256, 2)"),
        ("get_total_flops()", "get_total_flops() / 2"),  # multiply-adds
        ("nn.Linear(4096, 4096)", "nn.Linear(4096, 1000)"),
    ],
)
def test_flops_of_vgg16(defect):
    assert vgg16_agrees(load("shared_features"))
    assert not vgg16_agrees(load("shared_features", defect))


# --- anchors ---------------------------------------------------------------------------


def same_boxes(got, expected) -> bool:
    """Equal as multisets, up to rounding."""
    if len(got) != len(expected):
        return False
    a, b = (np.round(np.asarray(boxes, float), 3) for boxes in (got, expected))
    return np.allclose(a[np.lexsort(a.T)], b[np.lexsort(b.T)], atol=2e-3)


def ssd_agrees(code) -> bool:
    """SSD300's default boxes by plain loops: a list of (step, cells, side, next side, ratios)."""
    table = [
        (8, 38, 30, 60, (1, 2, 1 / 2)), (16, 19, 60, 111, (1, 2, 1 / 2, 3, 1 / 3)),
        (32, 10, 111, 162, (1, 2, 1 / 2, 3, 1 / 3)), (64, 5, 162, 213, (1, 2, 1 / 2, 3, 1 / 3)),
        (100, 3, 213, 264, (1, 2, 1 / 2)), (300, 1, 264, 315, (1, 2, 1 / 2)),
    ]  # fmt: skip
    expected = []
    for step, cells, side, following, ratios in table:
        for row, column in itertools.product(range(cells), repeat=2):
            x, y = step / 2 + column * step, step / 2 + row * step
            wh = [(side * math.sqrt(r), side / math.sqrt(r)) for r in ratios]  # r is w / h
            wh.append((math.sqrt(side * following),) * 2)
            expected += [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for w, h in wh]
    return same_boxes(torch.cat(code.ssd_anchors()), expected)


def test_ssd_anchors():
    assert ssd_agrees(load("ssd_anchors"))


@pytest.mark.parametrize(
    "defect",
    [
        ("+ 0.5) * STEPS", ") * STEPS"),  # corners instead of centers
        ("side / ratio**0.5", "side / ratio"),
        ("[(long, short), (short, long)]", "[(long, short), (long, short)]"),
        ("(2, 3), (2, 3), (2, 3), (2,), (2,))", "(2, 3), (2, 3), (2, 3), (2, 3), (2,))"),
        ("SIDES[k + 1]", "SIDES[k]"),
    ],
)
def test_ssd_defects_are_caught(defect):
    assert not ssd_agrees(load("ssd_anchors", defect))


def by_loops(width, height, stride, sides, ratios):
    boxes = []
    for x in np.arange(stride / 2, width, stride):
        for y in np.arange(stride / 2, height, stride):
            for side, ratio in itertools.product(sides, ratios):  # ratio is h / w
                w = math.sqrt(side * side / ratio)
                h = w * ratio
                boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return boxes


RATIOS = (0.5, 1.0, 2.0)


def grid_agrees(code) -> bool:
    return all(
        same_boxes(code.grid_anchors(sides, ratios, stride, size), by_loops(size, size, stride, sides, ratios))
        for sides, ratios in (([256.0], [1.0]), ([64.0, 128.0], [0.5, 1.0, 2.0]), ([90.0], [0.2]))
        for stride, size in ((16, 96), (32, 100))
    )


def nine_agrees(code) -> bool:
    return all(
        same_boxes(code.nine_anchors(w, h).flatten(0, 1), by_loops(w, h, 16, (64, 128, 256), RATIOS))
        for w, h in ((96, 64), (100, 45))
    )


def pyramid_agrees(code) -> bool:
    expected = [
        box
        for stride in (4, 8, 16, 32, 64)
        for box in by_loops(128, 128, stride, (8 * stride,), RATIOS)
    ]
    return same_boxes(code.pyramid_anchors(128), expected)


@pytest.mark.parametrize(
    ("technique", "agrees", "defects"),
    [
        (
            "anchor_recall",
            grid_agrees,
            [
                ("side / ratio.sqrt(), side * ratio.sqrt()", "side * ratio.sqrt(), side / ratio.sqrt()"),
                ("torch.arange(stride / 2,", "torch.arange(0,"),
            ],
        ),
        (
            "nine_anchors",
            nine_agrees,
            [
                ("(width, height))", "(height, width))"),
                ("side * ratio.sqrt()", "side * ratio"),
            ],
        ),
        (
            "anchor_matching",
            pyramid_agrees,
            [("4 * stride * torch", "8 * stride * torch"), ("(4, 8, 16, 32, 64)", "(8, 16, 32, 64)")],
        ),
    ],
)
def test_anchor_grids(technique, agrees, defects):
    assert agrees(load(technique))
    for defect in defects:
        assert not agrees(load(technique, defect)), defect


# --- matching --------------------------------------------------------------------------


def match_agrees(code) -> bool:
    """Faster R-CNN's rule, anchor by anchor."""
    iou = load("iou").iou
    for m, _ in itertools.product((1, 3, 8), range(15)):
        anchors, boxes = whole_boxes(60, 12, 2), whole_boxes(m, 12, 2)
        anchors[:2] = boxes[0]  # identical
        boxes[-1] = torch.tensor([200.0, 200, 210, 210])  # no anchor overlaps it
        label, owner = code.match(anchors, boxes)
        overlap = iou(anchors, boxes).tolist()
        for i, row in enumerate(overlap):
            best_of_some = any(
                value > 0 and value == max(other[j] for other in overlap) for j, value in enumerate(row)
            )
            expected = 1 if max(row) >= 0.7 or best_of_some else 0 if max(row) < 0.3 else -1
            if label[i] != expected or row[owner[i]] != max(row):
                return False
    return True


def test_match():
    assert match_agrees(load("anchor_matching"))


@pytest.mark.parametrize(
    "defect",
    [
        ("label[champion.any(1)] = 1", ""),  # objects without a good anchor are lost
        (" & (overlap > 0)", ""),  # an object far from all anchors makes all of them positive
        ("overlap.amax(0))", "overlap.amax(1, keepdim=True))"),
        ("label[best < low] = 0", "label[best < high] = 0"),  # nothing is ignored
        ("high=0.7", "high=0.8"),
    ],
)
def test_match_defects_are_caught(defect):
    assert not match_agrees(load("anchor_matching", defect))


# --- box encoding ----------------------------------------------------------------------


def encoding_agrees(code) -> bool:
    """The four formulas of R-CNN, number by number, and back."""
    corner = 100 * torch.rand(2, 50, 2)
    boxes, anchors = torch.cat([corner, corner + 1 + 80 * torch.rand(2, 50, 2)], -1)
    got = code.encode(boxes, anchors)
    for t, (x1, y1, x2, y2), (a1, b1, a2, b2) in zip(got, boxes.tolist(), anchors.tolist()):
        expected = [
            ((x1 + x2) / 2 - (a1 + a2) / 2) / (a2 - a1),
            ((y1 + y2) / 2 - (b1 + b2) / 2) / (b2 - b1),
            math.log((x2 - x1) / (a2 - a1)),
            math.log((y2 - y1) / (b2 - b1)),
        ]
        if not np.allclose(t, expected, atol=1e-12):
            return False
    return torch.allclose(code.decode(got, anchors), boxes, atol=1e-9)


def test_box_encoding():
    assert encoding_agrees(load("box_encoding"))


@pytest.mark.parametrize(
    "defect",
    [
        ("(size / side).log()", "(side / size).log()"),
        ("(center - anchor) / side", "(center - anchor) / size"),
        ("center + size / 2], 1)", "center + size], 1)"),
        ("offsets[:, :2] * side", "offsets[:, :2]"),
        ("side * offsets[:, 2:].exp()", "side + offsets[:, 2:].exp()"),
    ],
)
def test_box_encoding_defects_are_caught(defect):
    assert not encoding_agrees(load("box_encoding", defect))


# --- Soft-NMS, batched NMS, targets, pyramid pooling, selective search -------------------


def soft_agrees(code) -> bool:
    """Weights 0 and 1 are ONNX Runtime's NMS; the Gaussian is the paper's loop, box by box."""
    iou = load("iou").iou
    for n, limit in itertools.product((1, 4, 20), (0.3, 0.5)):
        boxes, scores = whole_boxes(n, 15, 2), 0.1 + torch.randperm(n).double() / n
        kept = code.suppress(boxes, scores, code.hard(limit)).nonzero()[:, 0].tolist()
        if sorted(kept) != sorted(onnx_nms(boxes, scores, limit)):
            return False
        overlap, todo, expected = iou(boxes, boxes).tolist(), set(range(n)), scores.tolist()
        while todo:
            best = max(todo, key=expected.__getitem__)
            todo.remove(best)
            for i in todo:
                expected[i] *= math.exp(-(overlap[best][i] ** 2) / limit)
        got = code.suppress(boxes, scores, code.soft(limit))
        if not np.allclose(got, expected, atol=1e-12):
            return False
    return True


def test_soft_nms():
    assert soft_agrees(load("soft_nms"))
    for defect in (
        ("left[best] = False", "left[0] = False"),
        ("overlap[best, left]", "overlap[0, left]"),
        ("(overlap**2)", "overlap"),
        ("overlap <= threshold", "overlap < 0.5 * threshold"),
    ):
        assert not soft_agrees(load("soft_nms", defect)), defect


def batched_nms_agrees(code) -> bool:
    """Kept flags of sorted boxes, image by image, as ONNX Runtime's indices."""
    for n, limit in itertools.product((1, 5, 25), (0.3, 0.45, 0.7)):
        boxes = torch.stack([whole_boxes(n, 15, 2) for _ in range(4)])
        center = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)
        kept = code.nms(code.iou(center, center), limit)
        scores = torch.arange(n, 0, -1).double()
        if any(k.nonzero()[:, 0].tolist() != onnx_nms(b, scores, limit) for k, b in zip(kept, boxes)):
            return False
    return True


@pytest.mark.parametrize("technique", ["one_stage", "region_proposals"])
def test_batched_nms(technique):
    assert batched_nms_agrees(load(technique))
    for defect in (
        ("kept[:, k, None] & ", ""),  # boxes already deleted delete others
        (" > limit", " < limit"),
        ("- inter)", ")"),
        (".clamp(min=0)", ".abs()"),
    ):
        assert not batched_nms_agrees(load(technique, defect)), defect


def pyramid_pooling_agrees(code) -> bool:
    """PyTorch's adaptive max pooling, level by level."""
    for shape in ((2, 9, 14), (1, 5, 4), (3, 16, 16), (1, 7, 30)):
        x = torch.randn(shape)
        expected = [torch.nn.functional.adaptive_max_pool2d(x, n).flatten(1).T.flatten() for n in (4, 2, 1)]
        if not torch.equal(code.spatial_pyramid(x), torch.cat(expected)):
            return False
    return True


def test_spatial_pyramid():
    assert pyramid_pooling_agrees(load("spatial_pyramid_pooling"))
    for defect in (("-(-(i + 1) * h // n)", "(i + 1) * h // n"), ("amax", "amin"), ("levels=(4, 2, 1)", "levels=(1, 2, 4)")):
        assert not pyramid_pooling_agrees(load("spatial_pyramid_pooling", defect)), defect


def ap_of_trained_agrees(code) -> bool:
    """Detections one by one, best first: a hit takes its object; the plain sum of precisions."""
    for n, k in itertools.product((3, 8), (5, 12)):
        overlap = torch.rand(n, k, 4) * (torch.arange(4) == torch.randint(0, 4, (n, k, 1)))  # fits one
        score, kept = torch.rand(n, k).sort(1, descending=True).values, torch.rand(n, k) < 0.7
        overlap[0, 0] = torch.tensor([0.9, 0, 0, 0])
        kept[0, 0] = True
        found, hits, total, objects = set(), 0, 0.0, 4 * n
        todo = sorted(((score[i, j].item(), i, j) for i in range(n) for j in range(k) if kept[i, j]), reverse=True)
        for rank, (_, i, j) in enumerate(todo, 1):
            value, which = overlap[i, j].max(0)
            if value >= 0.5 and (i, int(which)) not in found:
                found.add((i, int(which)))
                hits += 1
                total += hits / rank
        if abs(code.ap(overlap, score, kept, torch.tensor(objects), 0.5) - total / objects) > 1e-6:
            return False
    return True


def test_average_precision_of_the_trained_detector():
    assert ap_of_trained_agrees(load("one_stage"))
    for defect in (
        ("(above.cumsum(1) == 1)", "(above.cumsum(1) > 0)"),  # duplicates count as hits
        (" & kept[..., None]", ""),
        ("* (hit.sum() / n).item()", ""),  # forgets the missed objects
    ):
        assert not ap_of_trained_agrees(load("one_stage", defect)), defect


def merges_agree(code) -> bool:
    """A binary tree: each merger is the hull of two earlier boxes, the last is the image."""
    photo = np.kron(np.random.default_rng(0).random((3, 4, 3)), np.ones((12, 12, 1)))
    boxes, start = code.selective_search(photo)
    if len(boxes) != 2 * start - 1 or boxes[-1].tolist() != [0, 0, 48, 36]:
        return False
    for k in range(start, len(boxes)):
        hulls = {
            (*np.minimum(a[:2], b[:2]), *np.maximum(a[2:], b[2:]))
            for a, b in itertools.combinations(boxes[:k], 2)
        }
        if tuple(boxes[k]) not in hulls:
            return False
    return True


def test_selective_search_merges_pairs():
    assert merges_agree(load("selective_search"))
    for defect in (("np.maximum(b[2:], c[2:])]", "c[2:]]"), ("x.max() + 1.0", "x.max()")):
        assert not merges_agree(load("selective_search", defect)), defect


def lineage_agrees(code) -> bool:
    with torch.device("meta"):
        layers = [*code.vgg16(), torch.nn.MaxPool2d(3, 1, 1), *code.ssd_extras()]
        sides = set()
        x = torch.empty(1, 3, 300, 300)
        for layer in layers:
            x = layer(x)
            sides.add(x.shape[2])
        count = code.flops([torch.nn.Conv2d(3, 8, 3, padding=1)], 1, 3, 10, 10)
    return {38, 19, 10, 5, 3, 1} <= sides and x.shape == (1, 256, 1, 1) and count == 2 * 27 * 8 * 100


@pytest.mark.parametrize(
    "defect",
    [
        ("ceil_mode=True", "ceil_mode=False"),  # 75 becomes 37
        ("padding=6, dilation=6", "padding=5, dilation=6"),
        ("(256, 3, 1, 0)]", "(256, 3, 2, 1)]"),  # the last two maps shrink by their border
        ("get_total_flops()", "get_total_flops() / 2"),  # multiply-adds
    ],
)
def test_flops_of_the_lineage(defect):
    assert lineage_agrees(load("lineage"))
    assert not lineage_agrees(load("lineage", defect))


def top_down_agrees(code) -> bool:
    """Cell by cell: the sum of the cells above it in all coarser maps."""
    maps = [torch.randn(1, 2, 16 >> k, 24 >> k) for k in range(4)]
    for k, got in enumerate(code.top_down(maps)):
        for y, x in itertools.product(range(16 >> k), range(24 >> k)):
            cells = [maps[j][0, :, y >> j - k, x >> j - k] for j in range(k, 4)]
            if not torch.allclose(got[0, :, y, x], sum(cells)):
                return False
    return len(code.top_down(maps)) == 4


def test_feature_pyramid():
    assert top_down_agrees(load("feature_pyramid"))
    for defect in (
        ("scale_factor=2)", "scale_factor=2, mode='bilinear')"),
        ("m + F.interpolate", "m - F.interpolate"),
        ("out = [maps[-1]]", "out = [maps[-1] * 0]"),  # forgets the coarsest map
    ):
        assert not top_down_agrees(load("feature_pyramid", defect)), defect
