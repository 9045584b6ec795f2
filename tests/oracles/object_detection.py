"""Object detection: IoU, NMS, average precision, anchors, matching and box encoding against ONNX Runtime,
scikit-learn, PyTorch and brute force."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score

from tests.oracles.onnx_operators import onnx_nms
from tests.oracles.oracle import Defect, Oracle, agree, load_functions

RATIOS = (0.5, 1.0, 2.0)


def iou(a, b):
    """The snippet's own, which the first row below checks."""
    return load_functions("object-detection/iou").iou(a, b)


def whole_boxes(n, size=30, smallest=0):
    """Boxes with whole-number corners; many touch, coincide or (smallest=0) are empty."""
    corner = torch.randint(0, size, (n, 2))
    return torch.cat([corner, corner + torch.randint(smallest, size, (n, 2))], 1).double()


# --- IoU -------------------------------------------------------------------------------


def overlapping_boxes():
    a, b = whole_boxes(25, 12), whole_boxes(30, 12)
    b[:5] = a[:5]  # identical
    b[5] = a[5] + torch.tensor([100.0, 0, 100, 0])  # apart in x only
    b[6] = a[6] + 100  # apart in both: a product of two negative sides is positive
    a[7], b[7] = torch.tensor([0.0, 0, 5, 5]), torch.tensor([5.0, 0, 9, 5])  # touching
    a[8] = b[8] = torch.tensor([3.0, 3, 3, 7])  # both empty
    yield a, b
    yield a[:0], b


def counted_iou(a, b):
    """Unit squares counted; NaN for two empty boxes."""

    def squares(box):
        x1, y1, x2, y2 = (int(v) for v in box)
        return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}

    pairs = [(squares(p), squares(q)) for p, q in itertools.product(a, b)]
    return np.reshape([len(p & q) / len(p | q) if p | q else math.nan for p, q in pairs], (len(a), len(b)))


def iou_from_sides(code):
    """IoU from the distances of a point to the sides equals IoU from corners."""
    point = torch.tensor([20.0, 20])
    guess = 9 * torch.rand(60, 4)  # contains the point
    truth = torch.cat([8 * torch.rand(60, 2) - 4, 4 + 8 * torch.rand(60, 2)], 1)  # may not
    far = torch.tensor([[-12.0, 1, 15, 3]])  # does not even touch the guesses
    truth, guess = torch.cat([truth, far]), torch.cat([guess, guess[:1]])
    inter = code.area(torch.minimum(guess, truth))
    corners = [torch.cat([point - s[:, :2], point + s[:, 2:]], 1) for s in (guess, truth)]
    agree(inter / (code.area(guess) + code.area(truth) - inter), iou(*corners).diagonal())


# --- non-maximum suppression -----------------------------------------------------------


def nms_cases():
    sets = [
        (torch.tensor([[1.0, 1, 7, 9]]).repeat(6, 1), torch.randperm(6).double()),  # identical
        (
            torch.tensor([[0.0, 0, 5, 5], [5, 0, 10, 5], [0, 5, 5, 10], [5, 5, 10, 10]]),
            torch.randperm(4).double(),
        ),
        (torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]]), torch.tensor([1.0, 0.5])),  # exactly 0.5
        (torch.tensor([[3.0, 3, 3, 3], [3, 3, 3, 3]]), torch.tensor([1.0, 0.5])),  # both empty
    ]
    for n, size, smallest in itertools.product((1, 2, 3, 10, 60), (5, 15, 40), (0, 1, 4)):
        sets.append((whole_boxes(n, size, smallest), torch.randperm(n).double() / n))  # distinct scores
    for (boxes, scores), threshold in itertools.product(sets, (0.1, 0.3, 0.5, 0.7, 0.9)):
        yield boxes, scores, threshold


def two_properties_fix_the_result(code):
    """Of all subsets, only NMS's has no pair above the threshold and a better kept box for each rest."""
    for _ in range(40):
        n = int(torch.randint(1, 7, ()))
        boxes, scores = whole_boxes(n, 12, 3), torch.rand(n)
        above = iou(boxes, boxes) > 0.3
        fitting = [
            set(kept)
            for size in range(n + 1)
            for kept in itertools.combinations(range(n), size)
            if not any(above[i, j] for i, j in itertools.combinations(kept, 2))
            and all(
                any(above[i, j] and scores[j] > scores[i] for j in kept) for i in set(range(n)) - set(kept)
            )
        ]
        assert fitting == [set(code.nms(boxes, scores, 0.3))]


def crowds():
    for n, limit in itertools.product((1, 4, 20), (0.3, 0.5)):
        yield whole_boxes(n, 15, 2), 0.1 + torch.randperm(n).double() / n, limit


def hard_suppression(code):
    """Weights 0 and 1 are ONNX Runtime's NMS."""
    for boxes, scores, limit in crowds():
        kept = code.suppress(boxes, scores, code.hard(limit)).nonzero()[:, 0]
        assert kept.tolist() == sorted(onnx_nms(boxes, scores, limit))


def soft_suppression(code):
    """The paper's loop with its Gaussian weights, box by box."""
    for boxes, scores, sigma in crowds():
        overlap, todo, want = iou(boxes, boxes).tolist(), set(range(len(boxes))), scores.tolist()
        while todo:
            best = max(todo, key=want.__getitem__)
            todo.remove(best)
            for i in todo:
                want[i] *= math.exp(-(overlap[best][i] ** 2) / sigma)
        agree(code.suppress(boxes, scores, code.soft(sigma)), want)


def batched_nms(code):
    """Kept flags of sorted boxes, image by image, as ONNX Runtime's indices."""
    for n, limit in itertools.product((1, 5, 25), (0.3, 0.45, 0.7)):
        boxes = torch.stack([whole_boxes(n, 15, 2) for _ in range(4)])
        center = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)
        scores = torch.arange(n, 0, -1).double()
        for kept, image in zip(code.nms(code.iou(center, center), limit), boxes, strict=True):
            assert kept.nonzero()[:, 0].tolist() == onnx_nms(image, scores, limit)


# --- average precision -----------------------------------------------------------------


def rankings():
    for n, missed, envelope in itertools.product((1, 2, 5, 40), (0, 3), (False, True)):
        for _ in range(10):
            hits = (torch.rand(n) < 0.6).double()
            hits[torch.randint(n, ())] = 1
            yield hits, int(hits.sum()) + missed, envelope
    yield torch.zeros(4), 2, True  # nothing found


def area_under_precision(hits, objects, envelope):
    """Plain: scikit-learn's times the share found. Envelope: the area under max precision beyond."""
    found, n = int(hits.sum()), len(hits)
    if not envelope:
        return average_precision_score(hits, np.arange(n, 0, -1)) * found / objects
    points = [(hits[: k + 1].sum() / objects, hits[: k + 1].mean()) for k in range(n)]
    levels = [level / objects - 1e-12 for level in range(1, found + 1)]
    return sum(max(p for r, p in points if r >= level) / objects for level in levels)


def detections():
    for n, k in itertools.product((3, 8), (5, 12)):
        overlap = torch.rand(n, k, 4) * (torch.arange(4) == torch.randint(0, 4, (n, k, 1)))  # fits one
        score, kept = torch.rand(n, k).sort(1, descending=True).values, torch.rand(n, k) < 0.7
        overlap[0, 0] = torch.tensor([0.9, 0, 0, 0])
        kept[0, 0] = True
        yield overlap, score, kept, torch.tensor(4 * n), 0.5


def ap_one_by_one(overlap, score, kept, objects, limit):
    """Best first: a hit takes its object; the plain sum of precisions."""
    found, total = set(), 0.0
    todo = sorted(((score[i, j].item(), i, j) for i, j in kept.nonzero().tolist()), reverse=True)
    for rank, (_, i, j) in enumerate(todo, 1):
        value, which = overlap[i, j].max(0)
        if value >= limit and (i, int(which)) not in found:
            found.add((i, int(which)))
            total += len(found) / rank
    return total / objects


# --- anchors ---------------------------------------------------------------------------


def ssd_by_loops():
    """SSD300's default boxes: step, cells, side, next side, and ratios w / h beside the two squares."""
    for step, cells, side, following, ratios in (
        (8, 38, 30, 60, (2, 1 / 2)),
        (16, 19, 60, 111, (2, 1 / 2, 3, 1 / 3)),
        (32, 10, 111, 162, (2, 1 / 2, 3, 1 / 3)),
        (64, 5, 162, 213, (2, 1 / 2, 3, 1 / 3)),
        (100, 3, 213, 264, (2, 1 / 2)),
        (300, 1, 264, 315, (2, 1 / 2)),
    ):
        level = []
        for row, column in itertools.product(range(cells), repeat=2):
            x, y = step / 2 + column * step, step / 2 + row * step
            wh = [(side, side), (math.sqrt(side * following),) * 2]
            wh += [(side * math.sqrt(r), side / math.sqrt(r)) for r in ratios]
            level += [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for w, h in wh]
        yield np.array(level)


def by_loops(width, height, stride, sides, ratios):
    """Columns of cells first; ratio is h / w."""
    boxes, centers = [], [np.arange(stride / 2, length, stride) for length in (width, height)]
    for x, y, side, ratio in itertools.product(*centers, sides, ratios):
        w = math.sqrt(side * side / ratio)
        h = w * ratio
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return np.array(boxes)


def square_grid(sides, ratios, stride, size):
    """Rows of cells first: the columns of the transposed image."""
    return by_loops(size, size, stride, sides, [1 / r for r in ratios])[:, [1, 0, 3, 2]]


def grids():
    for sides, ratios in (([256.0], [1.0]), ([64.0, 128.0], [0.5, 1.0, 2.0]), ([90.0], [0.2])):
        yield sides, ratios, 16, 96
        yield sides, ratios, 32, 100


def pyramid_by_loops(size):
    return np.concatenate([by_loops(size, size, s, (8 * s,), RATIOS) for s in (4, 8, 16, 32, 64)])


# --- matching, box encoding ------------------------------------------------------------


def matching(code):
    """Faster R-CNN's rule, anchor by anchor."""
    for m, _ in itertools.product((1, 3, 8), range(15)):
        anchors, boxes = whole_boxes(60, 12, 2), whole_boxes(m, 12, 2)
        anchors[:2] = boxes[0]  # identical
        boxes[-1] = torch.tensor([200.0, 200, 210, 210])  # no anchor overlaps it
        label, owner = code.match(anchors, boxes)
        overlap = iou(anchors, boxes).tolist()
        best = [max(column) for column in zip(*overlap, strict=True)]
        for i, row in enumerate(overlap):
            champion = any(value > 0 and value == top for value, top in zip(row, best, strict=True))
            assert label[i] == (1 if max(row) >= 0.7 or champion else 0 if max(row) < 0.3 else -1)
            assert row[owner[i]] == max(row)


def encoded(boxes, anchors):
    """The four formulas of R-CNN, number by number."""
    return [
        [
            ((x1 + x2) / 2 - (a1 + a2) / 2) / (a2 - a1),
            ((y1 + y2) / 2 - (b1 + b2) / 2) / (b2 - b1),
            math.log((x2 - x1) / (a2 - a1)),
            math.log((y2 - y1) / (b2 - b1)),
        ]
        for (x1, y1, x2, y2), (a1, b1, a2, b2) in zip(boxes.tolist(), anchors.tolist(), strict=True)
    ]


def boxes_with_anchors():
    corner = 100 * torch.rand(2, 50, 2)
    yield tuple(torch.cat([corner, corner + 1 + 80 * torch.rand(2, 50, 2)], -1))


def decoding_inverts_encoding(code):
    for boxes, anchors in boxes_with_anchors():
        agree(code.decode(torch.tensor(encoded(boxes, anchors)), anchors), boxes)


# --- networks --------------------------------------------------------------------------


def flops_of_vgg16(code):
    widths = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
    widths += [(256, 512)] + [(512, 512)] * 5
    sides = [224] * 2 + [112] * 2 + [56] * 3 + [28] * 3 + [14] * 3
    want = sum(2 * 9 * a * b * side**2 for (a, b), side in zip(widths, sides, strict=True))
    with torch.device("meta"):
        backbone, head = code.vgg16()
        assert backbone(torch.empty(1, 3, 224, 224)).shape == (1, 512, 14, 14)
        assert code.flops(backbone, 1, 3, 224, 224) == want
        assert code.flops(head, 1, 512, 7, 7) == 2 * (25088 * 4096 + 4096**2)


def ssd300_shapes_and_flops(code):
    with torch.device("meta"):
        x, sides = torch.empty(1, 3, 300, 300), set()
        for layer in [*code.vgg16(), torch.nn.MaxPool2d(3, 1, 1), *code.ssd_extras()]:
            x = layer(x)
            sides.add(x.shape[2])
        count = code.flops([torch.nn.Conv2d(3, 8, 3, padding=1)], 1, 3, 10, 10)
    assert sides >= {38, 19, 10, 5, 3, 1} and x.shape == (1, 256, 1, 1)
    assert count == 2 * 27 * 8 * 100


def pooled_by_pytorch(x):
    return torch.cat([F.adaptive_max_pool2d(x, n).flatten(1).T.flatten() for n in (4, 2, 1)])


def top_down_by_cells(maps):
    """The sum of the cells above it in all coarser maps."""
    sums = [torch.empty_like(m) for m in maps]
    for k, out in enumerate(sums):
        for y, x in itertools.product(*map(range, out.shape[2:])):
            out[0, :, y, x] = sum(maps[j][0, :, y >> j - k, x >> j - k] for j in range(k, len(maps)))
    return sums


def selective_search_merges_pairs(code):
    """A binary tree: each merger is the hull of two earlier boxes, the last is the image."""
    photo = np.kron(np.random.default_rng(0).random((3, 4, 3)), np.ones((12, 12, 1)))
    boxes, start = code.selective_search(photo)
    assert len(boxes) == 2 * start - 1 and boxes[-1].tolist() == [0, 0, 48, 36]
    for k in range(start, len(boxes)):
        pairs = itertools.combinations(boxes[:k], 2)
        hulls = {(*np.minimum(a[:2], b[:2]), *np.maximum(a[2:], b[2:])) for a, b in pairs}
        assert tuple(boxes[k]) in hulls


ORACLES = [
    Oracle(
        ["iou", "nms", "nms_coins", "soft_nms", "nine_anchors", "anchor_recall", "anchor_matching"],
        function="iou",
        reference=counted_iou,
        cases=overlapping_boxes,
        tolerance=1e-12,
        defects=[
            Defect(".clamp(min=0)", ""),  # boxes that are apart in both directions overlap
            Defect("area_b - inter", "area_b"),  # the shared area counts twice
            Defect("a[:, None, 2:], b[:, 2:]", "a[:, None, 2:] + 1, b[:, 2:] + 1"),  # the old VOC pixel
            Defect("torch.maximum(", "torch.minimum("),
        ],
    ),
    Oracle(
        "one_to_one",
        iou_from_sides,
        defects=[Defect(".clamp(min=0)", ""), Defect(".clamp(min=0).prod", ".abs().prod")],
    ),
    Oracle(
        ["nms", "nms_coins"],
        function="nms",
        reference=onnx_nms,
        cases=nms_cases,
        tolerance=0,
        defects=[
            Defect("~(overlap > threshold)", "overlap < threshold"),  # drops ties and empty boxes
            Defect("~(overlap > threshold)", "overlap > threshold"),
            Defect("descending=True", "descending=False"),  # worst first
            Defect("- inter)", ")"),
        ],
    ),
    Oracle("nms", two_properties_fix_the_result, defects=[Defect("descending=True", "descending=False")]),
    Oracle(
        "average_precision",
        function="average_precision",
        reference=area_under_precision,
        cases=rankings,
        defects=[
            Defect("/ objects  #", "/ hits.sum().item()  #"),  # forgets the missed objects
            Defect(
                "precision.flip(0).cummax(0).values.flip(0)",
                "precision.cummax(0).values",
                "average_precision",
            ),
            Defect("(precision * hits)", "precision"),
            Defect("torch.arange(1, len(hits) + 1)", "torch.arange(1, len(hits) + 1).flip(0)"),
        ],
    ),
    Oracle(
        "shared_features",
        flops_of_vgg16,
        defects=[
            Defect("layers.pop()", "pass"),
            Defect("(256, 3)", "(256, 2)"),
            Defect("get_total_flops()", "get_total_flops() / 2"),  # multiply-adds
            Defect("nn.Linear(4096, 4096)", "nn.Linear(4096, 1000)"),
        ],
    ),
    Oracle(
        "ssd_anchors",
        function="ssd_anchors",
        reference=lambda: list(ssd_by_loops()),
        cases=lambda: [()],
        defects=[
            Defect("+ 0.5) * STEPS", ") * STEPS"),  # corners instead of centers
            Defect("side / ratio**0.5", "side / ratio"),
            Defect("[(long, short), (short, long)]", "[(long, short), (long, short)]"),
            Defect("(2, 3), (2, 3), (2, 3), (2,), (2,))", "(2, 3), (2, 3), (2, 3), (2, 3), (2,))"),
            Defect("SIDES[k + 1]", "SIDES[k]"),
        ],
    ),
    Oracle(
        "anchor_recall",
        function="grid_anchors",
        reference=square_grid,
        cases=grids,
        defects=[
            Defect(
                "side / ratio.sqrt(), side * ratio.sqrt()",
                "side * ratio.sqrt(), side / ratio.sqrt()",
                "grid_anchors",
            ),
            Defect("torch.arange(stride / 2,", "torch.arange(0,"),
        ],
    ),
    Oracle(
        "nine_anchors",
        function="nine_anchors",
        reference=lambda w, h: by_loops(w, h, 16, (64, 128, 256), RATIOS).reshape(-1, 9, 4),
        cases=lambda: [(96, 64), (100, 45)],
        defects=[
            Defect("(width, height))", "(height, width))"),
            Defect("side * ratio.sqrt()", "side * ratio"),
        ],
    ),
    Oracle(
        "anchor_matching",
        function="pyramid_anchors",
        reference=pyramid_by_loops,
        cases=lambda: [(128,), (100,)],
        defects=[
            Defect("4 * stride * torch", "8 * stride * torch"),
            Defect("(4, 8, 16, 32, 64)", "(8, 16, 32, 64)"),
        ],
    ),
    Oracle(
        "anchor_matching",
        matching,
        defects=[
            Defect("label[champion.any(1)] = 1", ""),  # objects without a good anchor are lost
            Defect(" & (overlap > 0)", ""),  # an object far from all anchors makes all of them positive
            Defect("overlap.amax(0))", "overlap.amax(1, keepdim=True))"),
            Defect("label[best < low] = 0", "label[best < high] = 0"),  # nothing is ignored
            Defect("high=0.7", "high=0.8"),
        ],
    ),
    Oracle(
        "box_encoding",
        function="encode",
        reference=encoded,
        cases=boxes_with_anchors,
        tolerance=1e-12,
        defects=[
            Defect("(size / side).log()", "(side / size).log()"),
            Defect("(center - anchor) / side", "(center - anchor) / size"),
        ],
    ),
    Oracle(
        "box_encoding",
        decoding_inverts_encoding,
        defects=[
            Defect("center + size / 2], 1)", "center + size], 1)"),
            Defect("offsets[:, :2] * side", "offsets[:, :2]"),
            Defect("side * offsets[:, 2:].exp()", "side + offsets[:, 2:].exp()"),
        ],
    ),
    Oracle(
        "soft_nms", hard_suppression, defects=[Defect("overlap <= threshold", "overlap < 0.5 * threshold")]
    ),
    Oracle(
        "soft_nms",
        soft_suppression,
        defects=[
            Defect("left[best] = False", "left[0] = False"),
            Defect("overlap[best, left]", "overlap[0, left]"),
            Defect("(overlap**2)", "overlap"),
        ],
    ),
    Oracle(
        ["one_stage", "region_proposals"],
        batched_nms,
        defects=[
            Defect("kept[:, k, None] & ", ""),  # boxes already deleted delete others
            Defect(" > limit", " < limit"),
            Defect("- inter)", ")"),
            Defect(".clamp(min=0)", ".abs()"),
        ],
    ),
    Oracle(
        "one_stage",
        function="ap",
        reference=ap_one_by_one,
        cases=detections,
        defects=[
            Defect("(above.cumsum(1) == 1)", "(above.cumsum(1) > 0)"),  # duplicates count as hits
            Defect(" & kept[..., None]", ""),
            Defect("* (hit.sum() / n).item()", ""),  # forgets the missed objects
        ],
    ),
    Oracle(
        "spatial_pyramid_pooling",
        function="spatial_pyramid",
        reference=pooled_by_pytorch,
        cases=lambda: [(torch.randn(shape),) for shape in ((2, 9, 14), (1, 5, 4), (3, 16, 16), (1, 7, 30))],
        tolerance=0,
        defects=[
            Defect("-(-(i + 1) * h // n)", "(i + 1) * h // n"),
            Defect("amax", "amin"),
            Defect("levels=(4, 2, 1)", "levels=(1, 2, 4)"),
        ],
    ),
    Oracle(
        "selective_search",
        selective_search_merges_pairs,
        defects=[Defect("np.maximum(b[2:], c[2:])]", "c[2:]]"), Defect("x.max() + 1.0", "x.max()")],
    ),
    Oracle(
        "lineage",
        ssd300_shapes_and_flops,
        defects=[
            Defect("ceil_mode=True", "ceil_mode=False"),  # 75 becomes 37
            Defect("padding=6, dilation=6", "padding=5, dilation=6"),
            Defect("(256, 3, 1, 0)]", "(256, 3, 2, 1)]"),  # the last two maps shrink by their border
            Defect("get_total_flops()", "get_total_flops() / 2"),  # multiply-adds
        ],
    ),
    Oracle(
        "feature_pyramid",
        function="top_down",
        reference=top_down_by_cells,
        cases=lambda: [([torch.randn(1, 2, 16 >> k, 24 >> k) for k in range(n)],) for n in (1, 4)],
        defects=[
            Defect("scale_factor=2)", "scale_factor=2, mode='bilinear')"),
            Defect("m + F.interpolate", "m - F.interpolate"),
            Defect("out = [maps[-1]]", "out = [maps[-1] * 0]"),  # forgets the coarsest map
        ],
    ),
]
