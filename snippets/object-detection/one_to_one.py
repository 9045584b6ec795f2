"""Duplicates are trained in: one positive cell per object leaves NMS little to do.

A small one-stage, anchor-free detector (after FCOS, Tian et al. 2019) finds disks in
noise. Each of 8 x 8 cells gives a score and the distances to the four box sides.
"""

import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import nn

torch.set_default_dtype(torch.float64)
CELLS = torch.cartesian_prod(*[torch.arange(2.0, 32, 4)] * 2)  # (64, 2) as y, x


def scenes(n):  # 32 x 32 pixels, in each quarter a disk or nothing
    center = CELLS[[9, 13, 41, 45]] + 4 * torch.rand(n, 4, 2)  # (n, 4, 2)
    half, present = 3.5 + 3.5 * torch.rand(n, 4, 1, 1), torch.rand(n, 4, 1) < 0.5
    dy, dx = (torch.arange(0.5, 32) - center[..., None]).unbind(2)  # (n, 4, 32)
    disk = (torch.hypot(dy[..., None], dx[:, :, None]) <= half) & present[..., None]
    image = disk.any(1, keepdim=True) + 0.3 * torch.randn(n, 1, 32, 32)
    offset = CELLS - center[:, :, None]  # (n, 4, 64, 2)
    return image, torch.cat([half + offset, half - offset], -1), present


def train(one, steps=110):
    net = nn.Sequential(
        nn.Conv2d(1, 8, 8, 4, 2),
        nn.BatchNorm2d(8),
        nn.ReLU(),  # 8 x 8 cells
        nn.Conv2d(8, 16, 5, 1, 2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 5, 1),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.03, total_steps=steps)
    for _ in range(steps):
        image, sides, present = scenes(16)
        off = (sides[..., :2] - sides[..., 2:]).abs().amax(-1) / sides.sum(-1)
        near = (off == off.amin(-1, keepdim=True) if one else off < 0.25) & present
        out = net(image).mT[:, None].expand(-1, 4, -1, -1)  # (16, 4, 64, 5)
        y = near.any(1).double()  # (16, 64), 1 where a cell is positive
        loss = F.binary_cross_entropy_with_logits(out[:, 0, :, 0], y) / y.mean()
        loss = loss + F.l1_loss(8 * out[near][:, 1:].exp(), sides[near])
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
    return net.eval()


def area(s):  # of boxes around a cell, from its distances to the four sides
    return (s[..., :2] + s[..., 2:]).clamp(min=0).prod(-1)


def ap(score, above, objects):  # (n, 64), (n, 4, 64): True where IoU is high enough
    order = score.argsort(1, descending=True)
    above = above.gather(2, order[:, None].expand(-1, 4, -1))
    hit = (above & (above.cumsum(2) == 1)).any(1)  # a second box is a false alarm
    area = average_precision_score(hit.flatten(), score.gather(1, order).flatten())
    return area * (hit.sum() / objects).item()


print("5 seeds            boxes per object   AP without NMS")
for one, name in enumerate(("middle half positive", "one cell positive")):
    copies, aps = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        image, truth, present = scenes(200)
        out = train(one)(image).detach().mT[:, None]  # (200, 1, 64, 5), no NMS
        score, box = out[..., 0].sigmoid(), 8 * out[..., 1:].exp()
        inter = area(torch.minimum(box, truth))  # (200, 4, 64)
        above = (inter / (area(box) + area(truth) - inter) >= 0.5) & present
        hit = above & (score > 0.2)
        assert hit.any(2).sum() > 0.85 * present.sum()  # recall
        copies.append((hit.sum() / hit.any(2).sum()).item())
        aps.append(ap(score[:, 0], above, present.sum()))
    assert max(copies) < 1.7 if one else min(copies) > 1.85
    assert min(aps) > 0.95 if one else max(aps) < 0.95
    print(f"{name:20}  {min(copies):.1f} to {max(copies):.1f}         ", end="")
    print(f"{min(aps):.2f} to {max(aps):.2f}")
