"""A classifier's dense layer is a convolution: on a larger image it gives a map.

Source: Long, Shelhamer, Darrell, arXiv 1411.4038 (CVPR 2015), section 3.1.
Shapes: crop (1, 1, 28, 28) -> 10 scores; photo (1, 1, 128, 128) -> (1, 10, 26, 26).
"""

import torch
from skimage import data
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
photo = torch.from_numpy(data.camera()[64:192, 160:288] / 255)[None, None]

features = nn.Sequential(  # no padding, so a crop's border is nothing special
    nn.Conv2d(1, 8, 5),
    nn.ReLU(),
    nn.MaxPool2d(2),  # 28 -> 24 -> 12
    nn.Conv2d(8, 16, 5),
    nn.ReLU(),
    nn.MaxPool2d(2),  # 12 -> 8 -> 4
)
dense = nn.Linear(16 * 4 * 4, 10)
classifier = nn.Sequential(features, nn.Flatten(), dense)

conv = nn.Conv2d(16, 10, 4)  # the same 2570 numbers, another shape
conv.weight.data = dense.weight.data.view(10, 16, 4, 4)
conv.bias.data = dense.bias.data
fcn = nn.Sequential(features, conv)

with torch.no_grad():
    scores = fcn(photo)  # (1, 10, 26, 26), one pass
    windows = photo.unfold(2, 28, 4).unfold(3, 28, 4)  # (1, 1, 26, 26, 28, 28)
    one_by_one = classifier(windows.reshape(-1, 1, 28, 28))  # 676 crops
    one_by_one = one_by_one.T.view(1, 10, 26, 26)
assert (scores - one_by_one).abs().max() < 1e-10
assert (scores.std((2, 3)) > 1e-3).all()  # the map is not constant

n = [sum(p.numel() for p in net.parameters()) for net in (classifier, fcn)]
assert n[0] == n[1]
seen, given = windows.numel(), photo.numel()
assert seen > 30 * given
print(f"classifier and FCN: {n[0]} parameters each")
print("score map = classifier on 676 crops, 4 px apart; difference < 1e-10")
print(f"pixels to process: {seen} crop by crop, {given} in one pass")
