"""A one-stage detector with anchors learns class and box at every cell in one pass.

SSD's recipe (Liu et al. 2016): anchors positive above IoU 0.5 or as an object's best,
three hard negatives for each. Boxes: center x, y, width, height. Objects lie apart.
"""

import torch
from sklearn.metrics import average_precision_score
from torch import nn

torch.set_default_dtype(torch.float64)
CELLS = torch.cartesian_prod(*[torch.arange(2.0, 32, 4)] * 2).flip(1)  # (64, 2) x, y
SHAPES = torch.tensor([[8.0, 8], [13, 13], [13, 8], [8, 13]])
ANCHORS = torch.cat([CELLS.repeat_interleave(4, 0), SHAPES.repeat(64, 1)], 1)


def scenes(n):  # in each quarter nothing (0), an ellipse (1) or a rectangle (2)
    k, wh = torch.randint(0, 3, (n, 4, 1, 1)), 7 * 2 ** torch.rand(n, 4, 2)
    center = CELLS[[9, 13, 41, 45]] + 4 * torch.rand(n, 4, 2)
    away = (torch.arange(0.5, 32) - center[..., None]).abs() * 2 / wh[..., None]
    dx, dy = away[:, :, 0, None], away[:, :, 1, :, None]  # 1 at the sides
    inside = (torch.where(k == 1, dx.hypot(dy), dx.maximum(dy)) <= 1) & (k > 0)
    image = inside.any(1, keepdim=True) + 0.1 * torch.randn(n, 1, 32, 32)
    return image, torch.cat([center, wh], -1), k[..., 0, 0]


def iou(a, b):  # (n, A, 4), (n, B, 4) -> (n, A, B)
    (p, s), (q, t) = a[:, :, None].split(2, -1), b[:, None].split(2, -1)
    high, low = torch.minimum(p + s / 2, q + t / 2), torch.maximum(p - s / 2, q - t / 2)
    inter = (high - low).clamp(min=0).prod(-1)
    return inter / (s.prod(-1) + t.prod(-1) - inter)


def targets(boxes, kind):  # class (n, 256) and offsets (n, 256, 4) of the anchors
    overlap = iou(ANCHORS[None], boxes) * (kind > 0)[:, None]  # (n, 256, 4)
    best = (overlap == overlap.amax(1, keepdim=True)) & (overlap > 0)
    value, owner = (overlap + best).max(-1)  # an object's best anchor is its own
    box = boxes.gather(1, owner[..., None].expand(-1, -1, 4))
    shift, zoom = (box - ANCHORS)[..., :2] / ANCHORS[:, 2:], (box / ANCHORS)[..., 2:]
    return kind.gather(1, owner) * (value > 0.5), torch.cat([shift, zoom.log()], -1)


def train(n=32, epochs=13):
    net = nn.Sequential(
        nn.Conv2d(1, 16, 8, 4, 2),
        nn.BatchNorm2d(16),
        nn.ReLU(),  # 8 x 8 cells
        nn.Conv2d(16, 32, 5, 1, 2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 4 * (3 + 4), 1),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.05, total_steps=16 * epochs)
    image, boxes, kind = scenes(16 * n)
    batches = list(zip(*(v.split(n) for v in (image, *targets(boxes, kind)))))
    for image, label, offset in batches * epochs:
        out, on = net(image).mT.reshape(n, 256, 7), label > 0
        loss = nn.functional.cross_entropy(out[..., :3].mT, label, reduction="none")
        hard = loss.masked_fill(on, 0).flatten().topk(3 * int(on.sum())).values
        box = nn.functional.smooth_l1_loss(8 * out[on][:, 3:], 8 * offset[on])
        adam.zero_grad()
        ((loss[on].sum() + hard.sum()) / on.sum() + box).backward()
        adam.step()
        schedule.step()
    return net.eval()


def nms(overlap, limit):  # (n, K, K) of boxes by falling score -> kept (n, K)
    kept = torch.ones(overlap.shape[:2], dtype=torch.bool)
    for k in range(kept.shape[1]):
        kept[:, k + 1 :] &= ~(kept[:, k, None] & (overlap[:, k, k + 1 :] > limit))
    return kept


def ap(overlap, score, kept, n, limit):  # (n, K, 4), (n, K), (n, K)
    above = (overlap >= limit) & kept[..., None]
    hit = (above & (above.cumsum(1) == 1)).any(2)  # the first to reach an object
    return average_precision_score(hit[kept], score[kept]) * (hit.sum() / n).item()


rows = []
for seed in range(3):
    torch.manual_seed(seed)
    net, (image, boxes, kind), row = train(), scenes(200), 0
    out = net(image).detach().mT.reshape(200, 256, 7)
    center = ANCHORS[:, :2] + ANCHORS[:, 2:] * out[..., 3:5]
    guess = torch.cat([center, ANCHORS[:, 2:] * out[..., 5:].exp()], -1)
    for c in (1, 2):
        score, top = out[..., :3].softmax(-1)[..., c].topk(30)
        box, mine = guess.gather(1, top[..., None].expand(-1, -1, 4)), kind == c
        kept, overlap = nms(iou(box, box), 0.45), iou(box, boxes) * mine[:, None]
        aps = [ap(overlap, score, kept, mine.sum(), 0.5 + t / 20) for t in range(10)]
        row = row + torch.tensor([aps[0], aps[5], sum(aps) / 10]) / 2  # mean of classes
    rows.append(row)
for name, v in zip(("AP50", "AP75", "AP (0.50 to 0.95)"), torch.stack(rows, 1)):
    print(f"{name:17} {v.min():.2f} to {v.max():.2f} (two classes, 3 seeds)")
assert all(r[0] > 0.9 and r[0] > r[2] + 0.1 for r in rows)
