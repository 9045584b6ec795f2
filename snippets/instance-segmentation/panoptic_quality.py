"""PQ = SQ x RQ, and IoU > 0.5 alone makes the matching unique.

Panoptic quality after Kirillov et al. 2019. Segments of one map do not overlap, so at
most one of them can cover more than half of the union with any given segment.
"""

import torch

torch.set_default_dtype(torch.float64)


def iou_matrix(pred, true):  # two (H, W) maps of segment ids -> (P, T)
    p = pred.flatten() == pred.unique()[:, None]  # (P, HW)
    t = true.flatten() == true.unique()[:, None]
    inter = p.double() @ t.double().T
    return inter / (p.sum(1)[:, None] + t.sum(1) - inter)


def panoptic_quality(pred, true):  # of one class; both maps cover every pixel
    iou = iou_matrix(pred, true)
    matched = iou > 0.5
    tp, segments = matched.sum().item(), sum(iou.shape)
    sq = iou[matched].mean().item() if tp else 0.0  # how well, where found
    rq = 2 * tp / segments  # an F1 score: TP / (TP + FP / 2 + FN / 2)
    return sq * rq, sq, rq


torch.manual_seed(0)
for _ in range(500):  # random maps: noisy copies of random ones
    seeds = torch.rand(2, 6, 2) * 16
    seeds[1] = seeds[0] + torch.randn(6, 2)
    cells = torch.cartesian_prod(*[torch.arange(16.0)] * 2)
    a, b = (torch.cdist(cells, s).argmin(1).view(16, 16) for s in seeds)
    matched = iou_matrix(a, b) > 0.5
    assert matched.sum(0).max() <= 1 and matched.sum(1).max() <= 1
print("IoU > 0.5 never matched a segment twice (500 random pairs of maps)")

true = torch.arange(4).repeat_interleave(10).expand(12, 40)  # four 10 x 12 segments
cases = {"perfect": true, "all borders 1 off": true.roll(1, 1)}
cases["two merged"] = true.clamp(min=1)  # 0 and 1 become one segment
cases["one split"] = torch.where((true == 0) & (torch.arange(12)[:, None] < 6), 9, true)
cases["shifted by half"] = true.roll(5, 1)
print("prediction           PQ    SQ    RQ")
for name, pred in cases.items():
    pq, sq, rq = panoptic_quality(pred, true)
    print(f"{name:17}  {pq:5.2f} {sq:5.2f} {rq:5.2f}")
    cases[name] = pq
assert cases["perfect"] == 1 and cases["shifted by half"] == 0
assert cases["two merged"] < cases["one split"] < cases["perfect"]
