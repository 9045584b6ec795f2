"""How far an augmentation moves the pixels does not tell if the label survives.

Photographs (1, 3, S, S) in [0, 1]. The question is: what share of it is a cat?
"""

import math
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data


def photo(pixels, size=84):  # (H, W, 3) bytes -> (1, 3, size, size) in [0, 1]
    x = torch.tensor(pixels / 255.0).permute(2, 0, 1)[None]
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True)


def warp(x, degrees=0.0, zoom=1.0):
    a = math.radians(degrees)
    theta = (
        torch.tensor([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0]])
        / zoom
    )
    grid = F.affine_grid(theta[None].to(x), x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def paste(x, patch, top=16, left=35, side=38):
    x = x.clone()
    x[..., top : top + side, left : left + side] = patch
    return x


torch.manual_seed(0)
cat, cup = photo(data.chelsea()[:300, 75:375]), photo(data.coffee()[:, 100:500])
patch, gain = (..., slice(16, 54), slice(35, 73)), torch.tensor([1.3, 0.9, 0.6])
shares = {"CutMix": 1 - 38**2 / 84**2, "mixup": 0.7}  # of cat; else 1
views = {
    "original": cat,
    "crop": F.interpolate(cat[..., 18:74, 9:65], (84, 84)),
    "mirror": cat.flip(3),
    "upside down": cat.flip(2),
    "rotate": warp(cat, 25),
    "scale": warp(cat, zoom=0.7),
    "color": cat * gain.view(1, 3, 1, 1),
    "noise": cat + 0.12 * torch.randn_like(cat),
    "Cutout": paste(cat, 0.5),
    "erasing": paste(cat, torch.rand(1, 3, 38, 38)),
    "mixup": 0.7 * cat + 0.3 * cup,
    "CutMix": paste(cat, cup[patch]),
}

fig, axes = plt.subplots(4, 3, figsize=(6.4, 8.8))
moved = {}
for ax, (name, view) in zip(axes.flat, views.items()):
    moved[name] = (view.clamp(0, 1) - cat).abs().mean().item()
    share = shares.get(name, 1)
    rgb = (view[0].clamp(0, 1).permute(1, 2, 0) * 15).round() / 15  # a small file
    ax.imshow(rgb.numpy(), interpolation="none")
    ax.set_title(name if share == 1 else f"{name}: {share:.1f} cat", fontsize=16)
    ax.set_xticks([]), ax.set_yticks([])
    if share < 1:
        ax.spines[:].set(color="red", lw=4, ls="--")
plt.tight_layout(), plt.show()

safe = ["upside down", "mirror", "crop"]
assert min(moved[name] for name in safe) > 1.3 * moved["mixup"] > moved["CutMix"]
for name in [*safe, "mixup", "CutMix"]:
    print(
        f"{name:11}  mean change of a pixel {moved[name]:.2f}, "
        f"cat {shares.get(name, 1):.2f}"
    )
