"""Greedy NMS keeps overlapping boxes: it deletes only above its IoU threshold.

Two properties fix its result. No two kept boxes overlap by more than the threshold, and
every deleted box overlaps by more than that with a kept box of higher score.
"""

import torch

torch.set_default_dtype(torch.float64)


def iou(a, b):  # (N, 4) and (M, 4) as x1, y1, x2, y2 -> (N, M)
    top_left = torch.maximum(a[:, None, :2], b[:, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[:, 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(-1)
    area_a, area_b = ((c[:, 2:] - c[:, :2]).prod(-1) for c in (a, b))
    return inter / (area_a[:, None] + area_b - inter)


def nms(boxes, scores, threshold):
    """Indices of the kept boxes of one class, best score first."""
    keep = []
    left = scores.argsort(descending=True, stable=True)
    while len(left):
        best, rest = left[0], left[1:]
        keep.append(best.item())
        overlap = iou(boxes[best][None], boxes[rest])[0]
        left = rest[~(overlap > threshold)]  # so that NaN (two empty boxes) stays
    return keep


pair = torch.tensor([[0.0, 0, 10, 10], [0, 4, 10, 14]])
scores = torch.tensor([0.9, 0.8])
overlap = iou(pair, pair)[0, 1].item()  # 60 / 140
for threshold, expected in ((0.5, [0, 1]), (0.4, [0])):
    assert nms(pair, scores, threshold) == expected
    print(f"two boxes with IoU {overlap:.4f}: {threshold} keeps {len(expected)}")

print("threshold  kept of 200 (5 seeds)  overlapping pairs kept")
for threshold in (0.3, 0.5, 0.7):
    kept, pairs = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        corner, scores = 80 * torch.rand(200, 2), torch.rand(200)
        boxes = torch.cat([corner, corner + 10 + 30 * torch.rand(200, 2)], 1)
        keep = nms(boxes, scores, threshold)
        gone = [i for i in range(200) if i not in keep]
        above = iou(boxes, boxes) > threshold  # (200, 200)
        assert above[keep][:, keep].sum() == len(keep)  # each with itself only
        better = scores[keep] > scores[gone][:, None]  # (deleted, kept)
        assert (above[gone][:, keep] & better).any(1).all()
        kept.append(len(keep))
        pairs.append(int((iou(boxes[keep], boxes[keep]) > 0).sum() - len(keep)) // 2)
    assert min(pairs) > 0
    print(f"{threshold}        {min(kept):3}-{max(kept):<15}", end="")
    print(f"    {min(pairs)}-{max(pairs)}")
