"""Mask R-CNN's three heads separate disks that cover each other, where a blob cannot.

After He et al. 2017, one class; in place of an RPN, all 64 anchors are proposals.
Images (N, 1, 32, 32); box offsets are those of the corners, in units of 12 pixels."""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
PIXEL, CELL = torch.arange(32) + 0.5, torch.arange(2.0, 32, 4)
ANCHORS = torch.cat([torch.cartesian_prod(CELL, CELL).flip(1) + d for d in (-6, 6)], 1)


def scenes(n):  # images, boxes (n, 2, 4), visible masks (n, 2, 32, 32)
    first, turn = 8 + 16 * torch.rand(n, 2), 6.3 * torch.rand(n)
    second = (first + 8 * torch.stack([turn.cos(), turn.sin()], 1)).clamp(5, 27)
    center = torch.stack([first, second], 1)[..., None, None]
    dx, dy = PIXEL - center[:, :, 0], PIXEL[:, None] - center[:, :, 1]
    masks = torch.hypot(dx, dy) < 4 + 2 * torch.rand(n, 2, 1, 1)
    masks[:, 0] &= ~masks[:, 1]  # the second disk lies in front
    image = (masks * (0.6 + 0.8 * torch.rand(n, 2, 1, 1))).sum(1, keepdim=True)
    lines = masks.any(2), masks.any(3)  # columns and rows that each disk touches
    low = [torch.where(v, PIXEL - 0.5, 99).amin(2) for v in lines]
    high = [torch.where(v, PIXEL + 0.5, -9).amax(2) for v in lines]
    return image + 0.1 * torch.randn(image.shape), torch.stack(low + high, 2), masks


def iou(a, b):  # boxes (N, A, 4), (N, B, 4) -> (N, A, B)
    a, b, area = a[:, :, None], b[:, None], lambda v: (v[..., 2:] - v[..., :2]).prod(-1)
    sides = torch.minimum(a, b)[..., 2:] - torch.maximum(a, b)[..., :2]
    shared = sides.clamp(min=0).prod(-1)
    return shared / (area(a) + area(b) - shared)


def roi_align(features, boxes, stride, size):  # (N, R, C, size, size), one sample a bin
    start, end = (boxes / stride - 0.5).unflatten(2, (2, 2)).unbind(2)  # (N, R, 2)
    at = start[..., None] + (end - start)[..., None] * (torch.arange(size) + 0.5) / size
    cells = features.shape[3]  # square maps
    away = (at.clamp(0, cells - 1)[..., None] - torch.arange(cells)).abs()
    x, y = (1 - away).clamp(min=0).unbind(2)  # bilinear weights (N, R, size, cells)
    return torch.einsum("nrih,nchw,nrjw->nrcij", y, features, x)


def proposals(features):  # (N, C, 8, 8) -> (N, 64, C * 36)
    return roi_align(features, ANCHORS.expand(len(features), -1, -1), 4, 6).flatten(2)


def mask_rcnn(c=32):
    conv = nn.Conv2d(1, c, 8, 4, 2), nn.Conv2d(c, c, 3, 1, 1), nn.Conv2d(c, c, 3, 1, 1)
    return nn.ModuleDict(
        {
            "backbone": nn.Sequential(*[m for k in conv for m in (k, nn.ReLU())]),
            "box": nn.Sequential(nn.Linear(36 * c, 48), nn.ReLU(), nn.Linear(48, 5)),
            "mask": nn.Sequential(nn.Linear(c, 48), nn.ReLU(), nn.Linear(48, 4)),
        }
    )


def masks_of(net, features, boxes):  # 1 x 1 convolutions, then from 6 x 6 to 12 x 12
    crops = roi_align(features, boxes, 4, 6).movedim(2, 4)
    return F.pixel_shuffle(net["mask"](crops).movedim(4, 2), 2)[:, :, 0]


def loss(net, image, truth, masks):
    features, overlap = net["backbone"](image), iou(ANCHORS[None], truth)
    hit = ((overlap >= 0.5) | (overlap == overlap.amax(1, keepdim=True))).any(2)
    target = truth[torch.arange(len(image))[:, None], overlap.argmax(2)] - ANCHORS
    score, offsets = net["box"](proposals(features)).split((1, 4), 2)
    want = roi_align(masks.double(), truth, 1, 12)[:, [0, 1], [0, 1]]  # cropped masks
    bce, got = F.binary_cross_entropy_with_logits, masks_of(net, features, truth)
    box = F.smooth_l1_loss(12 * offsets[hit], target[hit]) / 4
    return bce(score[..., 0], hit.double()) + box + bce(got, want)


@torch.no_grad()
def detect(net, image):  # boxes and NMS first, then masks of what is left
    features, keep = net["backbone"](image[None]), []
    score, offsets = net["box"](proposals(features)).split((1, 4), 2)
    boxes = ANCHORS + 12 * offsets
    for i in score.flatten().argsort(descending=True).tolist():
        if score[0, i] > 0 and (iou(boxes[:, [i]], boxes[:, keep]) < 0.5).all():
            keep.append(i)
    x1, y1, x2, y2 = boxes[0, keep].T[..., None]  # paste: a pixel's place in the box
    u, v = 2 * (PIXEL - x1) / (x2 - x1) - 1, 2 * (PIXEL - y1) / (y2 - y1) - 1
    grid = torch.stack(torch.broadcast_tensors(u[:, None], v[:, :, None]), 3)
    m = masks_of(net, features, boxes[:, keep])[0, :, None].sigmoid()
    return F.grid_sample(m, grid, align_corners=False)[:, 0] > 0.5


torch.manual_seed(0)
net = mask_rcnn()
adam = torch.optim.Adam(net.parameters(), 3e-3)
for _ in range(380):
    adam.zero_grad()
    loss(net, *scenes(8)).backward()
    adam.step()
best = []
for image, _, masks in zip(*scenes(100)):
    true, got = masks.flatten(1).double(), detect(net, image).flatten(1).double()
    inter = true @ got.T
    overlap = inter / (true.sum(1)[:, None] + got.sum(1) - inter)
    best += F.pad(overlap, (0, 1)).amax(1).tolist()  # 0 if there is no detection
mean, found = sum(best) / 200, sum(b > 0.5 for b in best) / 200
assert mean > 0.55 and found > 0.65  # both disks as one blob: 0.5 and 0.5
print(f"mean mask IoU {mean:.2f}, found {found:.2f} of the overlapping disks")
