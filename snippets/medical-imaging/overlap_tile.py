"""Overlap-tile: an unpadded U-Net predicts in tiles without seams, a padded one not.

Two poolings lose 40 pixels: 84 in, 44 out. The picture is mirrored at its border.
"""

import torch
import torch.nn.functional as F
from skimage.data import immunohistochemistry
from torch import nn

torch.set_default_dtype(torch.float64)


class UNet(nn.Module):
    def __init__(self, padding, ends=((1, 4), (4, 8), (8, 16), (24, 8), (12, 1))):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, padding=padding),
                nn.LeakyReLU(0.1),
                nn.Conv2d(b, b, 3, padding=padding),
            )
            for a, b in ends
        )

    def forward(self, x):  # (N, 1, H, W), square
        skips = []
        for block in self.blocks[:2]:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.blocks[2](x)
        for block in self.blocks[3:]:
            x, skip = F.interpolate(x, scale_factor=2), skips.pop()
            cut = (skip.shape[-1] - x.shape[-1]) // 2
            x = block(torch.cat([x, F.pad(skip, [-cut] * 4)], 1))
        return x


def predict_tiled(net, image, tile, margin):
    """Cut squares with a margin on each side, predict, keep the middle tile x tile."""
    rows = []
    for i in range(0, image.shape[-2] - 2 * margin, tile):
        row = []
        for j in range(0, image.shape[-1] - 2 * margin, tile):
            out = net(image[..., i : i + tile + 2 * margin, j : j + tile + 2 * margin])
            row.append(F.pad(out, [(tile - out.shape[-1]) // 2] * 4))
        rows.append(torch.cat(row, -1))
    return torch.cat(rows, -2)


image = torch.tensor(immunohistochemistry()[:264:2, :264:2].mean(-1) / 255)[None, None]
torch.manual_seed(0)
valid, padded = UNet(padding=0), UNet(padding=1)
by20, by24 = (F.pad(image, [m] * 4, mode="reflect") for m in (20, 24))
with torch.no_grad():
    pairs = {  # in tiles, in one piece
        "unpadded, overlap 20": (predict_tiled(valid, by20, 44, 20), valid(by20)),
        "padded, no overlap": (predict_tiled(padded, image, 44, 0), padded(image)),
        "padded, overlap 24":  # 22 pixels feel the zeros; 24 keeps the pooling grid
        (predict_tiled(padded, by24, 44, 24), F.pad(padded(by24), [-24] * 4)),
    }
errors = {
    name: (tiles - whole).abs().max() / whole.std()
    for name, (tiles, whole) in pairs.items()
}
assert all(whole.std() > 1e-4 for _, whole in pairs.values())  # no dead network
assert errors["unpadded, overlap 20"] < 1e-9 > errors["padded, overlap 24"]
assert errors["padded, no overlap"] > 0.5
for name, error in errors.items():
    print(f"{name:21s} largest difference", "> 0.5 std" if error > 0.5 else "< 1e-9")
