"""Mask R-CNN end to end: which tensor meets which head, and where the parameters are.

He et al. 2017 with ResNet-50 and FPN (Lin et al. 2017), for COCO as in torchvision. On
the "meta" device shapes flow and parameters count, but nothing is computed.
"""

import torch
import torch.nn.functional as F
from torch import nn

K = 91  # classes, with background


class Bottleneck(nn.Module):
    def __init__(self, c_in, c, stride):
        super().__init__()
        norm = nn.BatchNorm2d
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c, 1, bias=False),
            norm(c),
            nn.ReLU(),
            nn.Conv2d(c, c, 3, stride, 1, bias=False),
            norm(c),
            nn.ReLU(),
            nn.Conv2d(c, 4 * c, 1, bias=False),
            norm(4 * c),
        )
        self.skip = nn.Identity()
        if stride > 1 or c_in != 4 * c:
            skip = nn.Conv2d(c_in, 4 * c, 1, stride, bias=False)
            self.skip = nn.Sequential(skip, norm(4 * c))

    def forward(self, x):
        return (self.body(x) + self.skip(x)).relu()


def stage(c_in, c, blocks, stride):
    rest = [Bottleneck(4 * c, c, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(c_in, c, stride), *rest)


def conv(c, k=3):
    return nn.Conv2d(c, 256, k, padding=k // 2)


def mask_rcnn():
    stem = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    return nn.ModuleDict(
        {
            "stem": nn.Sequential(*stem),
            "stages": nn.ModuleList(
                [
                    stage(64, 64, 3, 1),
                    stage(256, 128, 4, 2),
                    stage(512, 256, 6, 2),
                    stage(1024, 512, 3, 2),
                ]
            ),
            "lateral": nn.ModuleList([conv(c, 1) for c in (256, 512, 1024, 2048)]),
            "smooth": nn.ModuleList([conv(256) for _ in range(4)]),
            "rpn": nn.Sequential(conv(256), nn.ReLU()),
            "objectness": nn.Conv2d(256, 3, 1),
            "deltas": nn.Conv2d(256, 12, 1),
            "box": nn.Sequential(
                nn.Flatten(),
                nn.Linear(256 * 49, 1024),
                nn.ReLU(),
                nn.Linear(1024, 1024),
                nn.ReLU(),
            ),
            "class": nn.Linear(1024, K),
            "refine": nn.Linear(1024, 4 * K),
            "mask": nn.Sequential(
                *[m for _ in range(4) for m in (conv(256), nn.ReLU())],
                nn.ConvTranspose2d(256, 256, 2, 2),
                nn.ReLU(),
                nn.Conv2d(256, K, 1),
            ),
        }
    )


with torch.device("meta"):
    net = mask_rcnn()
    x, maps, pyramid = net["stem"](torch.empty(1, 3, 800, 1088)), [], []
    for block, lateral in zip(net["stages"], net["lateral"]):
        maps.append(lateral(x := block(x)))  # C2 to C5, each to 256 channels
    for k in (3, 2, 1, 0):  # top-down: enlarge the coarser map and add it
        if k < 3:
            maps[k] = maps[k] + F.interpolate(maps[k + 1], size=maps[k].shape[2:])
        pyramid.insert(0, net["smooth"][k](maps[k]))
    pyramid.append(F.max_pool2d(pyramid[-1], 1, 2))  # P6, for the RPN only
    anchors = sum(net["objectness"](net["rpn"](p)).numel() for p in pyramid)
    boxes = net["box"](torch.empty(1000, 256, 7, 7))  # RoIAlign of 1000 proposals
    masks = net["mask"](torch.empty(100, 256, 14, 14))  # of the 100 best detections
    classes, offsets = net["class"](boxes), net["refine"](boxes)
sizes = [f"{p.shape[2]}x{p.shape[3]}" for p in pyramid]
print("P2 to P6:", *sizes, f"-> {anchors} anchors")
print("box head  (1000, 256, 7, 7)  ->", *map(tuple, (classes.shape, offsets.shape)))
print("mask head (100, 256, 14, 14) ->", tuple(masks.shape))
parts = {
    "backbone, FPN": ("stem", "stages", "lateral", "smooth"),
    "RPN": ("rpn", "objectness", "deltas"),
    "box head": ("box", "class", "refine"),
    "mask head": ("mask",),
}
count = lambda m: sum(p.numel() for p in m.parameters())
for name, keys in parts.items():
    print(f"{name:13} {sum(count(net[k]) for k in keys) / 1e6:5.1f} M parameters")
assert masks.shape == (100, K, 28, 28) and count(net) == 44_454_513
