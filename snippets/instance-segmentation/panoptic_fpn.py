"""Panoptic FPN: Mask R-CNN plus a semantic branch on the same pyramid, then a merge.

Kirillov et al. 2019, untrained. The branch brings four levels to 1/4 scale and adds
them. The merge gives each pixel one label: instances by score, then "stuff".
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
C, THINGS, STUFF = 16, 3, 4


def semantic_stage(k):  # a level of stride 4 * 2**k -> stride 4
    layers = []
    for _ in range(max(k, 1)):
        layers += [nn.Conv2d(C, C, 3, padding=1), nn.GroupNorm(4, C), nn.ReLU()]
        layers += [nn.Upsample(scale_factor=2, mode="bilinear")] if k else []
    return nn.Sequential(*layers)


def merge(scores, masks, stuff):  # (M,), (M, H, W) bool, (H, W) -> one id per pixel
    result = -1 - stuff  # stuff classes as -1, -2, ...
    free = torch.ones_like(stuff, dtype=torch.bool)
    for i in scores.argsort(descending=True).tolist():
        visible = masks[i] & free
        if 2 * visible.sum() > masks[i].sum():  # mostly hidden: a duplicate, drop it
            result[visible] = i
            free &= ~visible
    return result


torch.manual_seed(0)
net = nn.ModuleDict(
    {
        "FPN": nn.ModuleList(
            [nn.Conv2d(c, C, 3, 2, 1) for c in (3, C, C, C, C)]
            + [nn.Conv2d(C, C, 1) for _ in range(4)]
        ),
        "instances": nn.Conv2d(C, 5 * THINGS, 1),  # stands for RPN and RoI heads
        "semantic": nn.ModuleList(
            [semantic_stage(k) for k in range(4)] + [nn.Conv2d(C, STUFF + 1, 1)]
        ),  # + 1: "a thing"
    }
)

x, levels = torch.randn(1, 3, 128, 192), []
for conv in net["FPN"][:5]:
    levels.append(x := conv(x).relu())
P = [lateral(x) for lateral, x in zip(net["FPN"][5:], levels[1:])]
for k in (2, 1, 0):  # top-down
    P[k] = P[k] + F.interpolate(P[k + 1], scale_factor=2)
maps = [stage(p) for stage, p in zip(net["semantic"], P)]
assert all(m.shape == (1, C, 32, 48) for m in maps)
logits = F.interpolate(net["semantic"][4](sum(maps)), scale_factor=4, mode="bilinear")
assert logits.shape == (1, STUFF + 1, 128, 192)
sizes = [f"{p.shape[2]}x{p.shape[3]}" for p in P]
print("pyramid", *sizes, "-> all 32x48 -> 128x192")

losses = {"instances": sum(net["instances"](p).square().mean() for p in P)}
losses["semantic"] = logits.square().mean()
for name, loss in losses.items():
    net.zero_grad()
    loss.backward(retain_graph=True)
    reached = {p for p in net.parameters() if p.grad is not None}
    trains = [k for k, part in net.items() if reached & set(part.parameters())]
    assert trains == ["FPN", name]
    print(f"loss on {name} trains {' and '.join(trains)}")

y, x = torch.arange(128)[:, None], torch.arange(192)  # masks from three detections
spans = ((20, 80, 20, 80), (40, 100, 60, 120), (22, 78, 24, 84))
masks = torch.stack([(a <= y) & (y < b) & (c <= x) & (x < d) for a, b, c, d in spans])
merged = merge(torch.tensor([0.9, 0.8, 0.7]), masks, logits[0, :STUFF].argmax(0))
area = [(merged == i).sum().item() for i in range(3)]
assert area == [3600, 3600 - 40 * 20, 0] and (merged < 0).sum() == 128 * 192 - sum(area)
print(f"masks of {masks.sum((1, 2)).tolist()} pixels -> {area}, the rest is stuff")
