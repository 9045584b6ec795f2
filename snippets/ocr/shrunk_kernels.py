"""A map of text merges close lines; a map of shrunken kernels keeps them apart.

PSENet (Wang et al. 2019) and DBNet (Liao et al. 2020) learn a smaller region inside
each text and grow it back. One small FCN learns both maps of the same scenes: 2 or 3
lines of handwritten digits, 0 or 1 empty rows apart. Boxes are connected components.
"""

import torch
from scipy import ndimage
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
glyphs = torch.tensor(load_digits().images) / 16  # (1797, 8, 8)


def scene(size=32, shrink=2):
    """Image (32, 32), target maps (2, 32, 32), boxes (y1, x1, y2, x2)."""
    image, maps, boxes = 0.15 * torch.randn(size, size), torch.zeros(2, size, size), []
    lines, gap, top = (int(torch.randint(*r, ())) for r in ((2, 4), (0, 2), (1, 5)))
    for y in range(top, top + lines * (8 + gap), 8 + gap):
        n, x = int(torch.randint(2, 4, ())), int(torch.randint(0, 8, ()))
        text = torch.cat(list(glyphs[torch.randint(1797, (n,))]), 1)  # (8, 8 n)
        y2, x2 = y + 8, x + 8 * n
        image[y:y2, x:x2] += text
        maps[0, y:y2, x:x2] = 1
        maps[1, y + shrink : y2 - shrink, x + shrink : x2 - shrink] = 1
        boxes.append((y, x, y2, x2))
    return image, maps, boxes


def find_boxes(mask, grow):
    """Boxes (y1, x1, y2, x2) around components, specks left out, grown on all sides."""
    slices = ndimage.find_objects(ndimage.label(mask.numpy())[0])
    boxes = [(y.start, x.start, y.stop, x.stop) for y, x in slices]
    boxes = [b for b in boxes if (b[2] - b[0]) * (b[3] - b[1]) >= 8]
    return [(y1 - grow, x1 - grow, y2 + grow, x2 + grow) for y1, x1, y2, x2 in boxes]


def iou(a, b):
    height = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    inter = height * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    area_a, area_b = ((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return inter / (area_a + area_b - inter)


def f1(masks, truths, grow):
    """Hits at IoU 0.5; no two true lines overlap, so no found box hits two."""
    found = [find_boxes(mask, grow) for mask in masks]
    hits = sum(iou(a, b) > 0.5 for f, t in zip(found, truths) for a in f for b in t)
    return 2 * hits / (sum(map(len, found)) + sum(map(len, truths)))


def block(inputs, dilation):
    conv = nn.Conv2d(inputs, 8, 3, padding=dilation, dilation=dilation)
    return [conv, nn.BatchNorm2d(8), nn.ReLU()]


scores = torch.zeros(3, 4)
for seed in range(3):
    torch.manual_seed(seed)
    images, maps, boxes = zip(*[scene() for _ in range(120)])
    x, y, truth = torch.stack(images)[:, None], torch.stack(maps), boxes[80:]
    net = nn.Sequential(*block(1, 1), *block(8, 2), *block(8, 4), nn.Conv2d(8, 2, 1))
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(100):
        i = torch.randint(0, 80, (8,))
        loss = nn.functional.binary_cross_entropy_with_logits(net(x[i]), y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    masks = net.eval()(x[80:]) > 0  # (40, 2, 32, 32)
    for k, grow in ((0, 0), (1, 2)):
        scores[seed, k] = f1(masks[:, k], truth, grow)
        scores[seed, 2 + k] = f1(y[80:, k] > 0, truth, grow)
assert (scores[:, 1] > scores[:, 0] + 0.15).all() and scores[:, 2].max() < 0.8
assert (scores[:, 3] > 0.999).all()
print("F1 of the lines found, 3 seeds (min to max)")
for name, v in zip(("text map", "kernels", "true text map", "true kernels"), scores.T):
    print(f"{name:13}  {v.min():.2f} to {v.max():.2f}")
