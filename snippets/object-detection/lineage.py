"""From R-CNN to SSD, work moves from the single box to the whole image.

FLOPs (2 per multiply-add) of the four detectors with VGG-16, counted on the "meta"
device, where shapes flow but nothing is computed. Published settings: 2000 regions from
selective search, 300 proposals from the RPN, 8732 anchors of SSD300 for 21 classes. The
cost of selective search, of pooling and of NMS is left out.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def vgg16():  # the 13 convolutions, without the last pooling
    layers, c_in = [], 3
    for c, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers += [nn.Conv2d(c_in, c, 3, padding=1), nn.ReLU()]
            c_in = c
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return layers[:-1]


def ssd_extras():  # conv6 to conv11: maps of 19, 10, 5, 3 and 1 cells a side
    layers, c_in = [nn.Conv2d(512, 1024, 3, padding=6, dilation=6)], 1024
    rows = [(1024, 1, 1, 0), (256, 1, 1, 0), (512, 3, 2, 1), (128, 1, 1, 0)]
    for c, k, s, p in [*rows, (256, 3, 2, 1)] + 2 * [(128, 1, 1, 0), (256, 3, 1, 0)]:
        layers.append(nn.Conv2d(c_in, c, k, s, p))
        c_in = c
    return layers


def flops(layers, *shape):
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        nn.Sequential(*layers)(torch.empty(shape))
    return counter.get_total_flops()


with torch.device("meta"):
    head = [nn.Flatten(), nn.Linear(512 * 7 * 7, 4096), nn.Linear(4096, 4096)]
    head = flops([*head, nn.Linear(4096, 21 + 84)], 1, 512, 7, 7)  # classes, offsets
    rpn = [nn.Conv2d(512, 512, 3, padding=1), nn.Conv2d(512, 9 * (2 + 4), 1)]
    rpn = flops(rpn, 1, 512, 38, 63)
    image, crop = flops(vgg16(), 1, 3, 608, 1008), flops(vgg16(), 1, 3, 224, 224)
    ssd = flops([*vgg16(), nn.MaxPool2d(3, 1, 1), *ssd_extras()], 1, 3, 300, 300)
    ssd_head = 0
    widths = (512, 1024, 512, 256, 256, 256)
    for side, c, anchors in zip((38, 19, 10, 5, 3, 1), widths, (4, 6, 6, 6, 4, 4)):
        layer = nn.Conv2d(c, anchors * 25, 3, padding=1)  # 21 scores, 4 offsets each
        ssd_head += flops([layer], 1, c, side, side)

table = {  # once per image, per box, boxes, megapixels
    "R-CNN": (0, crop + head, 2000, 608 * 1008e-6),
    "Fast R-CNN": (image, head, 2000, 608 * 1008e-6),
    "Faster R-CNN": (image + rpn, head, 300, 608 * 1008e-6),
    "SSD300": (ssd, ssd_head / 8732, 8732, 300 * 300e-6),
}
totals, dense = [], []
print("GFLOP           once   per box   boxes    total   per megapixel")
for name, (once, each, boxes, pixels) in table.items():
    totals.append((once + boxes * each) / 1e9)
    dense.append(totals[-1] / pixels)
    print(f"{name:12} {once / 1e9:7.0f}  {each / 1e9:8.4f}    {boxes:4}", end="")
    print(f"  {totals[-1]:7.0f}      {dense[-1]:7.0f}")
assert all(a > 1.5 * b for a, b in zip(totals, totals[1:]))
assert 0.8 < dense[3] / dense[2] < 1.2  # SSD's last step is the smaller image
