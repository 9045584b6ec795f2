"""SPP, pyramid pooling and FPN: three pyramids that solve three problems.

Sources: He and others, arXiv 1406.4729 (SPP); Zhao and others, 1612.01105 (PSPNet);
Lin and others, 1612.03144 (FPN). Random weights; a gradient shows what is seen.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


def conv(x, c, k=3, stride=1):
    weight = torch.randn(c, x.shape[1], k, k) / (k * x.shape[1] ** 0.5)
    return F.conv2d(x, weight, stride=stride, padding=k // 2)


def spp(x):  # any (N, C, H, W) -> (N, 21 C)
    return torch.cat([F.adaptive_max_pool2d(x, n).flatten(1) for n in (4, 2, 1)], 1)


def pyramid_pooling(x):  # (N, C, H, W) -> (N, 2 C, H, W)
    maps = [x]
    for n in (1, 2, 3, 6):
        bins = conv(F.adaptive_avg_pool2d(x, n), x.shape[1] // 4, 1)
        maps.append(F.interpolate(bins, x.shape[2:], mode="bilinear"))
    return torch.cat(maps, 1)


def bottom_up(x):  # maps at strides 4, 8, 16
    maps = [conv(conv(x, 8, 3, 2).relu(), 8, 3, 2)]
    for _ in range(2):
        maps.append(conv(maps[-1].relu(), 8, 3, 2))
    return maps


def top_down(maps):  # 1x1 laterals; each coarse map is doubled and added
    merged = [conv(maps[-1], 8, 1)]
    for m in maps[-2::-1]:
        merged.insert(0, conv(m, 8, 1) + F.interpolate(merged[0], scale_factor=2))
    return merged


def width_seen(image, fine_map):  # of one cell in the middle
    i = fine_map.shape[2] // 2
    (g,) = torch.autograd.grad(fine_map[0, :, i, i].sum(), image, retain_graph=True)
    columns = g.abs().sum((0, 1, 2)).nonzero()
    return int(columns.max() - columns.min()) + 1


sizes = (13, 13), (7, 19), (30, 22)
lengths = [spp(torch.randn(1, 8, h, w)).shape[1] for h, w in sizes]
assert lengths == [168, 168, 168]
print(f"SPP: maps 13x13, 7x19, 30x22 -> vectors of {lengths}: fixed length, no map")

x = torch.randn(1, 8, 60, 60, requires_grad=True)
before, after = width_seen(x, conv(x, 8)), width_seen(x, pyramid_pooling(x))
assert (before, after) == (3, 60)
print(f"pyramid pooling: 60x60 map stays; a cell sees {after} columns, not {before}")

image = torch.randn(1, 3, 128, 128, requires_grad=True)
maps = bottom_up(image)
fine, coarse = width_seen(image, maps[0]), width_seen(image, maps[2])
merged = width_seen(image, top_down(maps)[0])
assert fine == 7 and coarse == 31 and merged >= coarse
print(f"FPN: a cell at stride 4 sees {fine} px, at stride 16 {coarse} px;", end=" ")
print(f"at stride 4 with the top-down path {merged} px")
