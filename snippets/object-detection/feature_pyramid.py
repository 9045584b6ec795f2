"""A feature pyramid gives the fine map a wide view and keeps its resolution.

FPN (Lin et al. 2017): each map plus the next coarser one, enlarged. All weights are
positive, so no influence cancels: a pixel counts if its gradient is not zero. One image
of 128 x 128 pixels, four 3 x 3 convolutions of stride 2.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def bottom_up(x):  # -> maps of 64, 32, 16 and 8 cells a side
    maps = []
    for _ in range(4):
        x = F.conv2d(x, torch.ones(1, 1, 3, 3), stride=2, padding=1)
        maps.append(x)
    return maps


def top_down(maps):  # 1 x 1 lateral convolutions would not change what is seen
    out = [maps[-1]]
    for m in maps[-2::-1]:
        out.insert(0, m + F.interpolate(out[0], scale_factor=2))
    return out


def view(pick):
    """Width in pixels of what the middle cell of a map depends on, and its cells."""
    image = torch.rand(1, 1, 128, 128, requires_grad=True)
    m = pick(image)[0, 0]
    m[len(m) // 2, len(m) // 2].backward()
    return int((image.grad[0, 0] != 0).any(0).sum()), len(m)


print("map            cells a side   sees pixels")
bottom = [view(lambda x: bottom_up(x)[k]) for k in range(4)]
top = [view(lambda x: top_down(bottom_up(x))[k]) for k in range(4)]
for name, levels in (("bottom-up", bottom), ("pyramid", top)):
    for k, (width, cells) in enumerate(levels):
        print(f"{name:9} {k + 1}         {cells:2}            {width:2}")
assert [width for width, _ in bottom] == [2 ** (k + 2) - 1 for k in range(4)]
assert all(width >= bottom[3][0] for width, _ in top)  # all see like the coarsest
assert [cells for _, cells in top] == [cells for _, cells in bottom]
