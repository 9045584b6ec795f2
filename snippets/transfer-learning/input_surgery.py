"""A stem made for RGB takes gray, RGB-D or video and keeps its output.

Inflation to video: Carreira and Zisserman, CVPR 2017 (I3D).
The photograph is (1, 3, 128, 128), a clip (N, C, T, H, W).
"""

import matplotlib.pyplot as plt
import torch
from skimage.data import astronaut
from torch import nn


def to_gray(weight):
    """(O, 3, k, k) -> (O, 1, k, k): gray is three equal channels."""
    return weight.sum(dim=1, keepdim=True)


def add_channels(weight, extra):
    """(O, 3, k, k) -> (O, 3 + extra, k, k): zeros ignore depth, infrared ..."""
    zeros = weight.new_zeros(len(weight), extra, *weight.shape[2:])
    return torch.cat([weight, zeros], dim=1)


def inflate(weight, frames):
    """(O, C, k, k) -> (O, C, T, k, k): an average over T equal frames."""
    return weight[:, :, None].repeat(1, 1, frames, 1, 1) / frames


torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
stem = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)  # as in a ResNet
weight = stem.weight.detach()
weight[0] = torch.tensor([[-1.0] * 3 + [0] + [1] * 3] * 7) / 60  # an edge
conv2d, conv3d = torch.nn.functional.conv2d, torch.nn.functional.conv3d
same = {"stride": 2, "padding": 3}

photo = torch.tensor(astronaut()[:256:2, 96:352:2] / 255).permute(2, 0, 1)[None]
gray = photo.mean(1, keepdim=True)  # (1, 1, 128, 128)
depth = torch.rand(1, 1, 128, 128)
clip = photo[:, :, None].repeat(1, 1, 5, 1, 1)  # a still scene, 5 frames
as_rgb = conv2d(gray.repeat(1, 3, 1, 1), weight, **same)  # (1, 64, 64, 64)
summed = conv2d(gray, to_gray(weight), **same)
averaged = conv2d(gray, to_gray(weight) / 3, **same)
rgbd = conv2d(torch.cat([photo, depth], 1), add_channels(weight, 1), **same)
video = conv3d(clip, inflate(weight, 5), stride=(1, 2, 2), padding=(0, 3, 3))

errors = {
    "gray, summed": summed - as_rgb,
    "RGB + depth": rgbd - conv2d(photo, weight, **same),
    "video": video[:, :, 0] - conv2d(photo, weight, **same),
}
assert all(error.abs().max() < 1e-10 for error in errors.values())
scale = (averaged.norm() / as_rgb.norm()).item()
assert abs(scale - 1 / 3) < 1e-10
for name in errors:
    print(f"{name}: largest difference < 1e-10")
print(f"gray, averaged instead of summed: output scaled by {scale:.2f}")

panels = {
    "photograph": photo[0].permute(1, 2, 0),
    "gray as RGB": as_rgb[0, 0],
    "summed": summed[0, 0],
    "averaged": averaged[0, 0],
}
axes = plt.subplots(2, 2, figsize=(5.6, 6))[1].flat
for axis, (title, picture) in zip(axes, panels.items()):
    axis.imshow(
        picture.numpy(),
        cmap="gray",
        vmin=-1,
        vmax=1,  # one scale
        interpolation="none",
    )
    axis.set_title(title, fontsize=14)
    axis.axis("off")
plt.tight_layout()
plt.show()
