"""SPP makes a fixed-length vector from any image size, but does not make scale go away.

He et al. (2014): max-pool the feature map over 4 x 4, 2 x 2 and 1 x 1 bins that grow
with the map. The "network" is one filter for disks, the picture scikit-image's coins at
three zooms. Feature maps are (C, H, W).
"""

import torch
import torch.nn.functional as F
from skimage import data

torch.set_default_dtype(torch.float64)


def spatial_pyramid(x, levels=(4, 2, 1)):
    """(C, H, W) -> (C * 21,), the largest value in each bin; bins cover the map."""
    bins, (_, h, w) = [], x.shape
    for n in levels:
        for i in range(n):
            for j in range(n):
                rows = slice(i * h // n, -(-(i + 1) * h // n))  # floor, ceiling
                columns = slice(j * w // n, -(-(j + 1) * w // n))
                bins.append(x[:, rows, columns].amax((1, 2)))
    return torch.cat(bins)


def disk_filter(r):  # mean inside the disk minus mean around it
    away = torch.arange(-round(1.3 * r), round(1.3 * r) + 1.0)
    away = torch.hypot(away[:, None], away)
    disk, ring = (away <= r).double(), ((away > r) & (away <= 1.3 * r)).double()
    return (disk / disk.sum() - ring / ring.sum())[None, None]


photo = F.avg_pool2d(torch.tensor(data.coins() / 255)[None], 2)  # (1, 151, 192)
lengths, peaks = set(), {}
for zoom in (1.0, 0.7, 0.5):
    how = {"mode": "bilinear", "antialias": True}
    small = F.interpolate(photo[None], scale_factor=zoom, **how)
    for r in (12, round(12 * zoom)):
        vector = spatial_pyramid(F.conv2d(small, disk_filter(r))[0])
        lengths.add(len(vector))
        peaks[zoom, r] = vector[-1].item()  # the 1 x 1 bin: best response anywhere
    size = f"{small.shape[3]} x {small.shape[2]}"
    print(f"{size}: length {len(vector)}; best, r = 12: {peaks[zoom, 12]:.2f}", end="")
    print(f", r = {r}: {peaks[zoom, r]:.2f}")
assert lengths == {21}
assert peaks[0.5, 12] < 0.6 * peaks[1.0, 12] and peaks[0.5, 6] > 0.8 * peaks[1.0, 12]
