"""HTC adds three paths to a cascade of Mask R-CNN heads; each can be seen working.

Hybrid Task Cascade (Chen et al. 2019), untrained. We nudge the weights of one module
and ask whether the third stage's masks react. Regions (R, 4), masks (R, K, 14, 14).
"""

import copy

import torch
from torch import nn

torch.set_default_dtype(torch.float64)


def weights(start, end, size, cells):
    at = start[..., None] + (end - start)[..., None] * (torch.arange(size) + 0.5) / size
    away = (at.clamp(0, cells - 1)[..., None] - torch.arange(cells)).abs()
    return (1 - away).clamp(min=0)


def roi_align(features, boxes, size, stride=8):  # (C, H, W) -> (R, C, size, size)
    x1, y1, x2, y2 = (boxes / stride - 0.5).unbind(-1)
    rows = weights(y1, y2, size, features.shape[1])
    columns = weights(x1, x2, size, features.shape[2])
    return torch.einsum("rih,chw,rjw->rcij", rows, features, columns)


C, K, STAGES = 16, 3, range(3)


def modules():
    box = [nn.Linear(49 * C, K + 5) for _ in STAGES]
    mask = [nn.Conv2d(C, C, 3, padding=1) for _ in STAGES]
    carry = [nn.Conv2d(C, C, 1) for _ in STAGES]  # mask features of the stage before
    logits = [nn.Conv2d(C, K, 1) for _ in STAGES]
    return box, mask, carry, logits, nn.Conv2d(C, C, 3, padding=1)


def cascade(net, features, boxes, interleaved=True, flow=True, context=True):
    box, mask, carry, logits, semantic = net
    if context:  # features of the semantic branch join every crop
        features = features + semantic(features).relu()
    out = []
    for t in STAGES:
        crop = roi_align(features, boxes, 7).flatten(1)
        scores, offsets = box[t](crop).split((K + 1, 4), 1)
        refined = (boxes + offsets).detach()  # a box is given to what follows
        crop, m = roi_align(features, refined if interleaved else boxes, 14), None
        for s in range(t + 1) if flow else [t]:  # all earlier mask heads see this crop
            m = mask[s](crop if m is None else crop + carry[s](m)).relu()
        out.append((scores, refined, logits[t](m)))
        boxes = refined  # the next stage starts from better boxes
    return out


torch.manual_seed(0)
net, features = modules(), torch.randn(C, 20, 30)
corner = 100 * torch.rand(5, 2)
boxes = torch.cat([corner, corner + 50], 1)
for scores, refined, masks in cascade(net, features, boxes):
    assert scores.shape == (5, K + 1) and refined.shape == (5, 4)
    assert masks.shape == (5, K, 14, 14)

box, mask, semantic = net[0], net[1], net[4]
probes = {"box head 3": box[2], "mask head 1": mask[0], "semantic": semantic}
print("third masks react to:", *probes, sep="  ")
names = "Cascade Mask R-CNN", "+ interleaved", "+ mask flow", "+ semantic = HTC"
for n, name in enumerate(names):
    paths, reacts = [n > 0, n > 1, n > 2], []
    before = cascade(net, features, boxes, *paths)[2][2]
    for module in probes.values():
        old = copy.deepcopy(module.state_dict())
        nn.init.normal_(module.weight)
        after = cascade(net, features, boxes, *paths)[2][2]
        reacts.append(not torch.equal(after, before))
        module.load_state_dict(old)
    print(f"{name:21}", *[f"{'yes' if r else 'no':>11}" for r in reacts])
    assert reacts == paths
