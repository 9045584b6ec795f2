"""Duplicates are trained in: one positive cell per object leaves NMS little to do.

A small one-stage, anchor-free detector (after FCOS, Tian et al. 2019) finds disks in
noise. Each of 12 x 12 cells gives a score and the distances to the four box sides.
"""
import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
CELLS = torch.cartesian_prod(*[torch.arange(2.0, 48, 4)] * 2)  # (144, 2) as y, x

def scenes(n):  # 48 x 48 pixels, in each quarter a disk or nothing
    center = CELLS[[26, 32, 98, 104]] + 4 * torch.rand(n, 4, 2)  # (n, 4, 2)
    half, present = 4.5 + 4.5 * torch.rand(n, 4, 1, 1), torch.rand(n, 4, 1) < 0.5
    dy, dx = (torch.arange(0.5, 48) - center[..., None]).unbind(2)  # (n, 4, 48)
    disk = (torch.hypot(dy[..., None], dx[:, :, None]) <= half) & present[..., None]
    image = disk.any(1, keepdim=True) + 0.4 * torch.randn(n, 1, 48, 48)
    offset = CELLS - center[:, :, None]  # (n, 4, 144, 2)
    return image, torch.cat([half + offset, half - offset], -1), present

def train(one):
    net = nn.Sequential(  # 48 -> 24 -> 12 cells a side
        nn.Conv2d(1, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(24, 24, 3, 1, 1), nn.ReLU(), nn.Conv2d(24, 24, 3, 1, 1), nn.ReLU(),
        nn.Conv2d(24, 5, 1), nn.Flatten(2),
    )  # fmt: skip
    adam = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.02, total_steps=250)
    for step in range(250):
        image, sides, present = scenes(12)
        off = (sides[..., :2] - sides[..., 2:]).abs().amax(-1) / sides.sum(-1)
        near = (off == off.amin(-1, keepdim=True) if one else off < 0.25) & present
        out = net(image).mT[:, None].expand(-1, 4, -1, -1)  # (12, 4, 144, 5)
        y = near.any(1).double()  # (12, 144), 1 where a cell is positive
        loss = F.binary_cross_entropy_with_logits(out[:, 0, :, 0], y) / y.mean()
        loss = loss + F.l1_loss(8 * out[near][:, 1:].exp(), sides[near])
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
    return net

def area(s):  # of boxes around a cell, from its distances to the four sides
    return (s[..., :2] + s[..., 2:]).clamp(min=0).prod(-1)

for one, name in enumerate(("middle half positive", "one cell positive")):
    copies = []
    for seed in range(5):
        torch.manual_seed(seed)
        image, truth, present = scenes(200)
        out = train(one)(image).detach().mT[:, None]  # (200, 1, 144, 5), no NMS
        score, box = out[..., 0].sigmoid(), 8 * out[..., 1:].exp()
        inter = area(torch.minimum(box, truth))  # (200, 4, 144)
        union = area(box) + area(truth) - inter
        hit = (inter / union >= 0.5) & (score > 0.2) & present
        assert hit.any(2).sum() > 0.9 * present.sum()  # recall
        copies.append((hit.sum() / hit.any(2).sum()).item())
    assert max(copies) < 2.2 if one else min(copies) > 2.5
    print(f"{name}: {min(copies):.1f} to {max(copies):.1f} boxes per object (5 seeds)")
