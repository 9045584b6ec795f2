"""Pooling gives one length for any size and survives a shift, at the price of detail.

GeM: Radenovic and others, arXiv 1711.02512. Random filters, no training, so that only
the pooling differs. Patches x (N, 3, 16, 16) -> maps (N, 32, 12, 12) -> z (N, d).
"""

import torch
import torch.nn.functional as F
from skimage import data

torch.set_default_dtype(torch.float64)


def gem(maps, p):  # (N, C, H, W) -> (N, C), maps >= 0
    top = maps.amax((2, 3), keepdim=True).clamp(min=1e-12)  # p = 100 must not underflow
    return top[..., 0, 0] * (maps / top).pow(p).mean((2, 3)).pow(1 / p)


torch.manual_seed(0)
maps = torch.rand(8, 32, 12, 12)
assert (gem(maps, 1) - maps.mean((2, 3))).abs().max() < 1e-12
assert (gem(maps, 1000) - maps.amax((2, 3))).abs().max() < 0.01
for size in [(12, 12), (30, 17)]:
    other = torch.rand(8, 32, *size)
    assert gem(other, 3).shape == (8, 32)
    assert (other.flatten(1).shape == maps.flatten(1).shape) == (size == (12, 12))

tiles = []
for photo in (data.astronaut, data.coffee, data.chelsea):  # half size, 20 x 20 tiles
    x = F.avg_pool2d(torch.tensor(photo().copy()).permute(2, 0, 1) / 255, 2)
    tiles.append(x.unfold(1, 20, 16).unfold(2, 20, 16).flatten(1, 2).transpose(0, 1))
tiles = torch.cat(tiles)
tiles = tiles[tiles.std((1, 2, 3)) > 0.08]  # without nearly uniform ones
gallery, shifted = tiles[:, :, 2:18, 2:18], tiles[:, :, :16, :16]  # by 2, 2 pixels
POOL = {
    "flatten": lambda m: m.flatten(1),
    "average": lambda m: gem(m, 1),
    "GeM, p = 3": lambda m: gem(m, 3),
    "max": lambda m: m.amax((2, 3)),
}
recall = torch.zeros(5, len(POOL), 2)  # seed, pooling, noise or shift
for seed in range(5):
    torch.manual_seed(seed)
    w = torch.randn(32, 3, 5, 5)
    w = w - w.mean((2, 3), keepdim=True)  # no answer to a uniform patch
    noisy = gallery + 0.05 * torch.randn_like(gallery)
    maps = [F.conv2d(F.instance_norm(x), w).relu() for x in (gallery, noisy, shifted)]
    for n, pool in enumerate(POOL.values()):
        z = [F.normalize(pool(m)) for m in maps]
        for k in range(2):
            nearest = (z[k + 1] @ z[0].T).argmax(1)
            recall[seed, n, k] = (nearest == torch.arange(len(nearest))).double().mean()
flat, average, three, largest = recall.unbind(1)  # (seed, noise or shift)
assert (flat[:, 0] - three[:, 0]).min() > 0.3  # noise only: keep the positions
assert (average[:, 1] - flat[:, 1]).min() > 0.2  # shift: give them up
assert (three[:, 1] - average[:, 1]).min() > 0.03 and (three - largest).min() > 0
print(f"recall@1 among {len(gallery)}  noise                 shift by 2, 2")
for name, a in zip(POOL, recall.unbind(1)):
    cells = [f"{b.mean():.2f} ({b.min():.2f} to {b.max():.2f})" for b in a.T]
    print(f"{name:18}", *cells, sep="  ")
