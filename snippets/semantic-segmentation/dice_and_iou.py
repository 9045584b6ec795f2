"""Dice and IoU rank any two masks alike, but their means can rank models apart.

Dice = 2 IoU / (1 + IoU), from the definitions; Dice is the F1 score of the pixels.
Shapes: masks (16, 16) bool; then per-image scores of two models.
"""

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


def iou(a, b):
    return ((a & b).sum() / (a | b).sum()).item()


def dice(a, b):
    return (2 * (a & b).sum() / (a.sum() + b.sum())).item()


masks = torch.rand(200, 16, 16) < torch.rand(200, 1, 1)  # from empty to full
masks[:, 0, 0].fill_(True)  # never both empty
pairs = [(iou(a, b), dice(a, b)) for a, b in zip(masks[:100], masks[100:])]
assert max(abs(d - 2 * i / (1 + i)) for i, d in pairs) < 1e-12
by_iou = sorted(range(100), key=lambda n: pairs[n])
by_dice = sorted(range(100), key=lambda n: pairs[n][::-1])
assert by_iou == by_dice
print("100 pairs of masks: Dice = 2 IoU / (1 + IoU), error < 1e-12; same order")

steady, moody = torch.full((10,), 0.58), torch.tensor([0.2] * 5 + [1.0] * 5)
mean_iou, mean_dice = {}, {}
for name, i in (("steady", steady), ("moody", moody)):
    mean_iou[name], mean_dice[name] = i.mean(), (2 * i / (1 + i)).mean()
    print(f"{name}: mean IoU {mean_iou[name]:.2f}, mean Dice {mean_dice[name]:.2f}")
assert mean_iou["moody"] > mean_iou["steady"] + 0.01
assert mean_dice["moody"] < mean_dice["steady"] - 0.03
