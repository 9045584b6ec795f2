"""Box encoding is a bijection, and its targets do not change with the object's size.

As in R-CNN, Faster R-CNN and SSD: the shift of the center from the anchor's in anchor
sizes, and the logarithm of the ratio of sizes. Boxes are x1, y1, x2, y2 (N, 4).
"""

import torch

torch.set_default_dtype(torch.float64)


def center_size(boxes):
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def encode(boxes, anchors):
    """What the network must output at each anchor: tx, ty, tw, th (N, 4)."""
    (center, size), (anchor, side) = center_size(boxes), center_size(anchors)
    return torch.cat([(center - anchor) / side, (size / side).log()], 1)


def decode(offsets, anchors):
    """The box that the outputs stand for; any real numbers give a valid box."""
    anchor, side = center_size(anchors)
    center, size = anchor + offsets[:, :2] * side, side * offsets[:, 2:].exp()
    return torch.cat([center - size / 2, center + size / 2], 1)


def random_boxes(n):
    corner = 500 * torch.rand(n, 2)
    return torch.cat([corner, corner + 1 + 300 * torch.rand(n, 2)], 1)


for seed in range(5):
    torch.manual_seed(seed)
    boxes, anchors = random_boxes(1000), random_boxes(1000)
    offsets = encode(boxes, anchors)
    assert (decode(offsets, anchors) - boxes).abs().max() < 1e-9
    any_output = 3 * torch.randn(1000, 4)
    decoded = decode(any_output, anchors)
    assert (decoded[:, 2:] > decoded[:, :2]).all()  # never inside out
    assert (encode(decoded, anchors) - any_output).abs().max() < 1e-9
    zoomed = encode(4 * boxes, 4 * anchors)  # the same picture, four times larger
    assert (zoomed - offsets).abs().max() < 1e-9
    assert (4 * boxes - 4 * anchors - (boxes - anchors)).abs().max() > 100  # raw pixels
print("5 x 1000 boxes: decode(encode(box)) = box and encode(decode(t)) = t, < 1e-9")
print("zoom by 4: encoded targets unchanged (< 1e-9), differences in pixels are not")

anchor = torch.tensor([[100.0, 100, 200, 200]])
for name, box in [
    ("the anchor itself", [100.0, 100, 200, 200]),
    ("moved right by 10", [110.0, 100, 210, 200]),
    ("twice as tall", [100.0, 50, 200, 250]),
    ("half as tall", [100.0, 125, 200, 175]),
]:
    t = encode(torch.tensor([box]), anchor)[0] + 0.0
    print(f"{name:18}", " ".join(f"{value:5.2f}" for value in t))
