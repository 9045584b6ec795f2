"""Siamese matching is one convolution: the template's features are the kernel.

SiamFC (Bertinetto and others, 2016) correlates phi(z) with phi(x). Here phi is random
and untrained; z (1, 1, 31, 31) shows a cat's eye, x (1, 1, 127, 127) is searched.
Added: features are centered and scaled per window, so that light counts less.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data
from torch import nn

torch.set_default_dtype(torch.float64)
photo = torch.tensor(data.chelsea() / 255).mean(-1)[None, None]  # (1, 1, 300, 451)
STRIDE = 4  # of phi: two layers of stride 2, no padding


def score_map(z, x):
    """Correlation coefficient of template z (1, C, h, w) with each window of x."""
    ones, n = torch.ones_like(z[:, :1]), z[0, 0].numel()
    mean = F.conv2d(x.transpose(0, 1), ones).transpose(0, 1) / n  # of each channel
    energy = F.conv2d(x.square(), torch.ones_like(z)) - n * mean.square().sum(1, True)
    z = z - z.mean((2, 3), keepdim=True)
    return (F.conv2d(x, z) / (energy.sqrt() * z.square().sum().sqrt()))[0, 0]


def crop(y, x, size):  # a square with its center at (y, x)
    return photo[..., y - size // 2 :, x - size // 2 :][..., :size, :size]


eye, errors, differences = crop(112, 180, 31), [], []
for seed in range(20):
    torch.manual_seed(seed)
    phi = nn.Sequential(nn.Conv2d(1, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 16, 3, 2))
    true = torch.randint(-40, 41, (2,))  # where the eye is, from the search center
    y, x = (torch.tensor([112, 180]) - true).tolist()
    search = 0.5 * crop(y, x, 127) + 0.3  # flatter and brighter than the template
    search = search + 0.02 * torch.randn_like(search)
    with torch.no_grad():
        z = phi(eye)  # (1, 16, 7, 7)
        scores = score_map(z, phi(search))  # (25, 25): 31 - 7 + 1 cells
        row, column = divmod(scores.argmax().item(), 25)
        found = STRIDE * (torch.tensor([row, column]) - 12)
        errors.append((found - true).abs().max().item())
        window = search[..., STRIDE * row :, STRIDE * column :][..., :31, :31]
        alone = score_map(z, phi(window))  # the best window sent through phi alone
        differences.append((alone - scores.max()).abs().item())
hits = sum(error <= STRIDE / 2 for error in errors)
assert max(differences) < 1e-9 and hits >= 18
print("one convolution = window by window, difference < 1e-9")
print(f"eye found within half a stride (2 pixels): {hits} of 20")

fig, axes = plt.subplots(1, 3, figsize=(7, 2.7))
for ax, picture in zip(axes, (eye, search)):
    ax.imshow(picture[0, 0].numpy(), cmap="gray", vmin=0, vmax=1)
x, y = STRIDE * column, STRIDE * row
axes[1].add_patch(plt.Rectangle((x, y), 31, 31, fill=False, ec="yellow", lw=2))
axes[2].imshow(scores.numpy(), vmin=0, vmax=1)
axes[2].plot(column, row, "o", ms=16, mfc="none", mec="red", mew=2)
for ax, title in zip(axes, ("template z", "search x, box found", "score map, peak")):
    ax.set_title(title, fontsize=11)
    ax.axis("off")
fig.tight_layout()
plt.show()
