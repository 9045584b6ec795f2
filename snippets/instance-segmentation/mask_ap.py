"""Mask AP is box AP with mask IoU: perfect boxes can earn 1.0 and 0.0.

COCO's AP (Lin et al. 2014): mean over IoU thresholds 0.50 to 0.95. Every box here is
exact; the "mask" is just the filled box, so only the object's shape decides.
"""

import torch

torch.set_default_dtype(torch.float64)
THRESHOLDS = torch.arange(50, 100, 5) / 100


def mask_iou(a, b):  # (N, H, W) and (M, H, W) bool -> (N, M)
    a, b = a.flatten(1).double(), b.flatten(1).double()
    inter = a @ b.T
    return inter / (a.sum(1)[:, None] + b.sum(1) - inter)


def boxes_of(masks):  # the filled bounding boxes, as masks
    rows, columns = masks.any(2, keepdim=True), masks.any(1, keepdim=True)
    reached = lambda line, axis: line.int().cummax(axis).values.bool()
    rows, columns = (
        reached(v, axis) & reached(v.flip(axis), axis).flip(axis)
        for v, axis in ((rows, 1), (columns, 2))
    )
    return rows & columns


def average_precision(iou, scores, threshold):  # iou (detections, objects)
    free, hits = torch.ones(iou.shape[1], dtype=torch.bool), []
    for row in iou[scores.argsort(descending=True)]:
        best = torch.where(free, row, -1).max(0)  # each object is found once
        hits.append(best.values >= threshold)
        free[best.indices] &= ~hits[-1]
    hits = torch.stack(hits).double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    envelope = precision.flip(0).cummax(0).values.flip(0)
    return (envelope * hits).sum().item() / iou.shape[1]


def coco(iou, scores):
    return sum(average_precision(iou, scores, t) for t in THRESHOLDS) / len(THRESHOLDS)


u = (torch.arange(120) + 0.5) / 60 - 1  # -1 to 1 across the box
y, x = torch.meshgrid(u, u, indexing="ij")
shapes = {
    "square": y.abs() < 1,
    "disk": y**2 + x**2 < 1,
    "triangle": y > 2 * x.abs() - 1,
    "bar": (y - x).abs() < 0.25,
}
print("object    IoU of box  mask  box AP  mask AP")
for name, shape in shapes.items():
    objects = torch.zeros(4, 130, 520, dtype=torch.bool)
    for k in range(4):
        objects[k, 3:123, 130 * k + 4 : 130 * k + 124] = shape
    filled, scores = boxes_of(objects), torch.rand(4)
    of_box, of_mask = mask_iou(filled, boxes_of(objects)), mask_iou(filled, objects)
    ap = coco(of_box, scores), coco(of_mask, scores)
    box, mask = of_box[0, 0], of_mask[0, 0]
    print(f"{name:8}  {box:10.2f}  {mask:4.2f}  {ap[0]:6.1f}  {ap[1]:7.1f}")
    passed = (THRESHOLDS <= mask).double().mean().item()
    assert ap[0] == 1 and abs(ap[1] - passed) < 1e-9
assert ap[1] == 0
