"""Sharing one feature map is what makes Fast R-CNN cheaper than R-CNN.

R-CNN (Girshick et al. 2014) runs the network on every warped crop; Fast R-CNN (Girshick
2015) runs VGG-16's convolutions once and pools each region from the map. We count FLOPs
(2 per multiply-add) on the "meta" device, where shapes flow but nothing is computed.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def vgg16():  # the 13 convolutions, stride 16, and the two wide layers of the head
    layers, c_in = [], 3
    for c, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers += [nn.Conv2d(c_in, c, 3, padding=1), nn.ReLU()]
            c_in = c
        layers.append(nn.MaxPool2d(2))
    layers.pop()  # region pooling takes the place of the last one
    head = nn.Sequential(
        nn.Flatten(), nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Linear(4096, 4096)
    )
    return nn.Sequential(*layers), head


def flops(module, *shape):
    with FlopCounterMode(display=False) as counter:
        module(torch.empty(shape))
    return counter.get_total_flops()


with torch.device("meta"):
    backbone, head = vgg16()
    crop = flops(backbone, 1, 3, 224, 224)
    image = flops(backbone, 1, 3, 608, 1008)  # the whole image, a multiple of 16
    region = flops(head, 1, 512, 7, 7)  # per region, in either design

print(f"GFLOP: crop {crop / 1e9:.0f}, image {image / 1e9:.0f}, head {region / 1e9:.2f}")
print("regions  R-CNN / Fast R-CNN  head's share")
for regions in (1, 20, 300, 2000):
    r_cnn = regions * (crop + region)
    fast = image + regions * region
    share = regions * region / fast
    print(f"{regions:4}         {r_cnn / fast:6.2f}            {share:4.0%}")
    if regions >= 300:
        assert r_cnn > 10 * fast
assert crop + region < image + region  # a single region: sharing does not pay
