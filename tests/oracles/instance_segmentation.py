"""Instance segmentation: RoIAlign, RoIPool, mask AP, panoptic quality and the merge against ONNX Runtime,
scikit-learn, SciPy, brute force and closed forms."""

import numpy as np
import torch
from scipy.ndimage import zoom
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import average_precision_score, jaccard_score

from tests.oracles.object_detection import counted_iou, whole_boxes
from tests.oracles.onnx_operators import in_onnx
from tests.oracles.oracle import Defect, Oracle, agree

# --- pooling of regions ----------------------------------------------------------------


def onnx_align(features, boxes, stride, size, ratio=1, aligned=True):
    mode = "half_pixel" if aligned else "output_half_pixel"
    graph = f"""(float[N, C, H, W] x, float[R, 4] rois, int64[R] batch) => (float[R, C, Y, X] out) {{
        out = RoiAlign <coordinate_transformation_mode = "{mode}", mode = "avg",
            output_height = {size}, output_width = {size}, sampling_ratio = {ratio},
            spatial_scale = {1 / stride}> (x, rois, batch) }}"""
    n, r = boxes.shape[:2]
    x, rois = features.float().numpy(), boxes.reshape(-1, 4).float().numpy()
    out = in_onnx(graph, x=x, rois=rois, batch=np.repeat(np.arange(n), r))
    return out.reshape(n, r, *out.shape[1:])


def regions():
    """Features (2, 3, 9, 13) and boxes of which some touch, cross or leave the border."""
    features = torch.randn(2, 3, 9, 13)
    for stride in (1.0, 4.0, 16.0):
        corner = stride * (14 * torch.rand(2, 8, 2) - 2)
        boxes = torch.cat([corner, corner + stride * (1 + 6 * torch.rand(2, 8, 2))], 2)
        boxes[0, 0] = stride * torch.tensor([0.0, 0, 13, 9])  # the whole map
        boxes[1, 1] = stride * torch.tensor([-6.0, -6, 20, 15])  # far beyond it
        boxes[1, 2] = stride * torch.tensor([2.0, 3, 5, 7])  # whole cells
        for size, ratio, aligned in ((7, 2, True), (3, 1, True), (2, 3, True), (7, 2, False)):
            yield features, boxes, stride, size, ratio, aligned


def regions_inside():
    """For the short forms, which take one sample a bin and know no outside."""
    corner = 40 * torch.rand(1, 12, 2)
    return torch.randn(1, 3, 10, 10), torch.cat([corner, corner + 4 + 30 * torch.rand(1, 12, 2)], 2)


def onnx_pool(features, box, stride, size):
    graph = f"""(float[N, C, H, W] x, float[R, 5] rois) => (float[R, C, Y, X] out) {{ out = MaxRoiPool
        <pooled_shape = [{size}, {size}], spatial_scale = {1 / stride}> (x, rois) }}"""
    return in_onnx(graph, x=features[None].float().numpy(), rois=np.float32([[0, *box.tolist()]]))[0]


def regions_to_pool():
    features = torch.randn(3, 9, 13) - 4  # negative: an empty bin must give 0
    for stride, size in ((1.0, 3), (4.0, 2), (16.0, 7)):
        corner = stride * (14 * torch.rand(20, 2) - 2)
        boxes = torch.cat([corner, corner + stride * 8 * torch.rand(20, 2)], 1)
        boxes[0] = stride * torch.tensor([0.5, 1.5, 3.5, 4.5])  # rounds half up
        boxes[1, 2:] = boxes[1, :2]  # empty
        for box in boxes:
            yield features, box, stride, size


# --- IoU, mask AP ----------------------------------------------------------------------


def jaccard(a, b):
    return [[jaccard_score(q.flatten(), p.flatten(), zero_division=0) for q in b] for p in a]


def average_precision(code):
    """Unrelated hits against scikit-learn's curve: detection i lies on object i, or on nothing."""
    for _ in range(20):
        n, missed = int(torch.randint(1, 9, ())), int(torch.randint(0, 3, ()))
        hits, scores = torch.rand(n) < 0.7, torch.randperm(n).double()
        hits[0] = True
        found = int(hits.sum())
        iou = torch.zeros(n + 1, found + missed)
        iou[hits.nonzero()[:, 0], torch.arange(found)] = 0.5 + 0.3 * torch.randint(0, 2, (found,))
        iou[n] = iou[0]  # a duplicate with the lowest score: a false alarm
        got = code.average_precision(iou, torch.cat([scores, -torch.ones(1)]), 0.5)
        order = hits[scores.argsort(descending=True)].double().numpy()
        curve = np.cumsum(order) / np.arange(1, n + 1)
        envelope = np.maximum.accumulate(curve[::-1])[::-1]
        agree(got, (envelope * order).sum() / (found + missed))
        if np.all(np.diff(order) <= 0):  # all hits first: no envelope needed
            plain = average_precision_score(order, np.arange(n, 0, -1))
            agree(got, plain * found / (found + missed))


def sparse_masks():
    masks = torch.rand(30, 8, 9) < 0.05
    masks[0] = False
    yield (masks,)


def filled_boxes(masks):
    filled = torch.zeros_like(masks)
    for mask, out in zip(masks, filled, strict=True):
        if mask.any():
            y, x = mask.nonzero().T
            out[y.min() : y.max() + 1, x.min() : x.max() + 1] = True
    return filled


# --- panoptic segmentation -------------------------------------------------------------


def segment_maps():
    for k in range(40):
        true = torch.randint(0, 4, (6, 6)).repeat_interleave(2, 0)
        other = torch.randint(3, 7, (12, 6))
        yield torch.where(torch.rand(12, 6) < 0.25, other, true) if k else other + 4, true


def best_matching(pred, true):
    """One-to-one pairs above 0.5, found by assignment."""
    a, b = ([set((m.flatten() == i).nonzero()[:, 0].tolist()) for i in m.unique()] for m in (pred, true))
    iou = np.array([[len(x & y) / len(x | y) for y in b] for x in a])
    gain = np.where(iou > 0.5, 1 + iou, 0)
    row, column = linear_sum_assignment(-gain)
    kept = iou[row, column][gain[row, column] > 0]
    tp, halves = len(kept), (len(a) - len(kept)) / 2 + (len(b) - len(kept)) / 2
    return kept.sum() / (tp + halves), kept.sum() / max(tp, 1), tp / (tp + halves)


def instances():
    for k in range(30):
        masks = torch.rand(5, 6, 6) < 0.4
        masks[1] = masks[0]  # a duplicate
        masks[2] &= k % 2 > 0  # nothing
        yield torch.rand(5), masks, torch.randint(0, 3, (6, 6))


def merged_by_pixel(scores, masks, stuff):
    """The best kept instance that covers the pixel, else its stuff class."""
    taken, result = set(), (-1 - stuff).clone()
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        pixels = set(map(tuple, masks[i].nonzero().tolist()))
        if len(pixels - taken) > len(pixels) / 2:
            for pixel in pixels - taken:
                result[pixel] = i
            taken |= pixels
    return result


# --- networks and masks ----------------------------------------------------------------


def parameters_of_mask_rcnn(code):
    """The published 44,401,393 of torchvision's model, which freezes 53,120 norm weights."""
    with torch.device("meta"):
        net = code.mask_rcnn()
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    frozen = sum(p.numel() for m in norms for p in m.parameters())
    assert frozen == 53_120
    assert sum(p.numel() for p in net.parameters()) - frozen == 44_401_393


def solid_masks():
    rng = np.random.default_rng(0)
    for share in (0.05, 0.12, 0.12, 0.2):  # of a diagonal of 25
        yield *(rng.random((2, 20, 15)) < 0.98), share


def iou_of_outlines(a, b, share):
    """The outline from all distances to the background."""

    def rim(mask):
        outside, inside = np.argwhere(~np.pad(mask, 1)) - 1, np.argwhere(mask)
        near = np.hypot(*(inside[:, None] - outside).transpose(2, 0, 1)).min(1) <= 25 * share
        out = np.zeros_like(mask)
        out[tuple(inside[near].T)] = True
        return out.ravel()

    return jaccard_score(rim(a), rim(b))


def resizing(code):
    """Block means and scipy's zoom, where they are not at the threshold."""
    rng = np.random.default_rng(0)
    for _ in range(4):
        mask = rng.random((20, 15)) < 0.6
        back = zoom(mask.reshape(5, 4, 5, 3).mean((1, 3)), (4, 3), order=1, mode="nearest", grid_mode=True)
        clear = np.abs(back - 0.5) > 1e-9
        assert (code.through(mask, 5)[clear] == (back > 0.5)[clear]).all()


def pixels():
    return [(torch.randn(2, 7, 4), torch.randint(0, 3, (2, 7)), torch.rand(2, 7) < 0.5)]


def own_channel(z, c, mask):
    """Minus the log of the probability of the truth: of the class's channel alone."""
    p = z.exp().gather(2, c[..., None])[..., 0]
    return torch.where(mask, 1 + 1 / p, 1 + p).log().mean()


def named_channel(z, c, mask):
    """The same among all channels, the last of them the background."""
    flat = zip(z.exp().flatten(0, 1), c.flatten(), mask.flatten(), strict=True)
    return np.mean([-(p[k if inside else 3] / p.sum()).log().item() for p, k, inside in flat])


ORACLES = [
    Oracle(
        "roi_align",
        function="roi_align",
        reference=onnx_align,
        cases=regions,
        tolerance=1e-5,
        defects=[
            Defect(" - 0.5 * aligned", ""),  # drops the half pixel
            Defect("- 0.5 * aligned", "- 1.0 * aligned"),
            Defect("(torch.arange(size * ratio) + 0.5)", "torch.arange(size * ratio)"),  # bins' corners
            Defect(".clamp(0, cells - 1)", ""),  # fades out at the border
            Defect(" * inside[..., None]", ""),  # never zero outside
            Defect("at >= -1", "at >= 0"),
            Defect("y1, y2, size", "x1, x2, size"),
        ],
    ),
    Oracle(
        "mini_mask_rcnn",
        function="roi_align",
        reference=onnx_align,
        cases=lambda: [(*regions_inside(), 8.0, 6)],
        tolerance=1e-5,
        defects=[Defect("stride - 0.5", "stride"), Defect("(1 - away)", "(1 - away / 2)")],
    ),
    Oracle(
        "hybrid_task_cascade",
        function="roi_align",
        reference=lambda features, boxes, size: onnx_align(features[None], boxes[None], 8.0, size)[0],
        cases=lambda: [(*(part[0] for part in regions_inside()), 6)],
        tolerance=1e-5,
        defects=[Defect("stride - 0.5", "stride"), Defect("(1 - away)", "(1 - away / 2)")],
    ),
    Oracle(
        "roi_pool",
        function="roi_pool",
        reference=onnx_pool,
        cases=regions_to_pool,
        tolerance=1e-5,
        defects=[
            Defect("(v + 0.5) // 1", "v // 1"),  # rounds down
            Defect("end - start + 1", "end - start"),
            Defect("-(-(i + 1) * length // size)", "(i + 1) * length // size"),
            Defect(".amax((1, 2))", ".mean((1, 2))"),
            Defect("min(max(v + start, 0), cells)", "v + start"),  # negative indices wrap around
        ],
    ),
    Oracle(
        "mini_mask_rcnn",
        function="iou",
        reference=lambda a, b: [counted_iou(p, q) for p, q in zip(a, b, strict=True)],
        cases=lambda: [[torch.stack([whole_boxes(n, 8), whole_boxes(n, 8, 1)]) for n in (12, 9)]],
        defects=[Defect(".clamp(min=0).prod", ".prod"), Defect("area(b) - shared", "area(b)")],
    ),
    Oracle(
        "mask_ap",
        function="mask_iou",
        reference=jaccard,
        cases=lambda: [(torch.rand(4, 5, 6) < 0.5, torch.rand(3, 5, 6) < share) for share in (0.5, 0)],
        defects=[Defect(" - inter)", ")")],
    ),
    Oracle(
        "mask_ap",
        average_precision,
        defects=[
            Defect("torch.where(free, row, -1)", "row"),  # duplicates count as hits
            Defect("free[best.indices] &= ~hits[-1]", "pass"),
            Defect("descending=True", "descending=False"),
            Defect("precision.flip(0).cummax(0).values.flip(0)", "precision"),
            Defect(".item() / iou.shape[1]", ".item() / hits.sum().item()"),  # forgets missed objects
        ],
    ),
    Oracle(
        "mask_ap",
        function="boxes_of",
        reference=filled_boxes,
        cases=sparse_masks,
        tolerance=0,
        defects=[Defect("reached(v, axis) & ", "")],  # from the border on
    ),
    Oracle(
        "panoptic_quality",
        function="panoptic_quality",
        reference=best_matching,
        cases=segment_maps,
        defects=[
            Defect("iou > 0.5", "iou > 0.3"),
            Defect(" - inter)", ")"),
            Defect("2 * tp / segments", "tp / segments"),
            Defect("iou[matched].mean()", "iou[matched].sum()"),
        ],
    ),
    Oracle(
        "panoptic_fpn",
        function="merge",
        reference=merged_by_pixel,
        cases=instances,
        tolerance=0,
        defects=[
            Defect("descending=True", "descending=False"),
            Defect("masks[i] & free", "masks[i]"),  # the last one wins
            Defect("2 * visible.sum()", "1e9 * visible.sum()"),  # keeps the scraps of duplicates
        ],
    ),
    Oracle(
        "mask_rcnn_shapes",
        parameters_of_mask_rcnn,
        defects=[
            Defect("range(blocks - 1)", "range(blocks)"),
            Defect("if stride > 1 or c_in != 4 * c", "if stride > 1"),  # the first stage widens too
            Defect("nn.Linear(1024, 4 * K)", "nn.Linear(1024, 4)"),  # boxes are refined for each class
            Defect("nn.Conv2d(256, 3, 1)", "nn.Conv2d(256, 6, 1)"),
        ],
    ),
    Oracle(
        "mask_resolution",
        function="boundary_iou",
        reference=iou_of_outlines,
        cases=solid_masks,
        defects=[
            Defect("np.pad(mask, 1))[1:-1, 1:-1]", "mask)"),  # the image's border is no outline
            Defect("depth <= width", "depth < width"),
            Defect("np.hypot(*a.shape)", "max(a.shape)"),
            Defect("(a | b).sum()", "a.sum()"),
        ],
    ),
    Oracle("mask_resolution", resizing, defects=[Defect(">= 0.5", ">= 0.6")]),
    Oracle(
        "sigmoid_masks",
        function="sigmoid_loss",
        reference=own_channel,
        cases=pixels,
        tolerance=1e-12,
        defects=[Defect("z = z.gather(2, c[..., None])[..., 0]", "z = z[..., 0]")],
    ),
    Oracle(
        "sigmoid_masks",
        function="softmax_loss",
        reference=named_channel,
        cases=pixels,
        tolerance=1e-12,
        defects=[Defect("torch.where(mask, c, K)", "torch.where(mask, K, c)")],
    ),
    Oracle(
        "sigmoid_masks",
        function="iou",
        reference=lambda a, b: [jaccard_score(q, p) for p, q in zip(a, b, strict=True)],
        cases=lambda: [tuple(torch.rand(2, 3, 9) < 0.5)],
        defects=[Defect("(a | b).sum(1)", "b.sum(1)")],
    ),
]
