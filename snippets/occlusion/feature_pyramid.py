"""A feature pyramid gains most on small objects; hidden halves gain little more.

Lin and others, CVPR 2017. Images x (N, S, 24, 24): a ring to find, two disks to ignore.
Both detectors score cells of 2 x 2 pixels: one from the coarse map alone, one from all
maps, top-down. Five seeds side by side (groups).
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
S, N, C, g = 5, 24, 8, torch.arange(24) + 0.5
KINDS = "small", "large", "large, half hidden"


def scene(kind):  # images (n, 24, 24) and the rings' centers (n, 2)
    n, center = len(kind), 5 + 14 * torch.rand(len(kind), 3, 2, 1, 1)
    d = torch.hypot(g[:, None] - center[:, :, 0], g - center[:, :, 1])  # (n, 3, 24, 24)
    r = torch.where(kind > 0, 6.0, 2.0).view(n, 1, 1)
    other = torch.where(torch.rand(n, 2, 1, 1) < 0.5, 5.0, 1.5)
    ring, hole = d[:, 0] < r, d[:, 0] < r / 2
    x = torch.where(ring, 1.0 - hole.double(), (d[:, 1:] < other).any(1).double())
    turn = 2 * torch.pi * torch.rand(n, 1, 1)
    side = (g[:, None] - center[:, 0, 0]) * turn.sin()
    side = side + (g - center[:, 0, 1]) * turn.cos()
    half = (side > 0) & (d[:, 0] < 8) & (kind == 2).view(n, 1, 1)
    x = torch.where(half, 0.5, x) + 0.15 * torch.randn(n, N, N)
    return x, center[:, 0, :, 0, 0]


class Detector(nn.Module):
    def __init__(self, pyramid):
        super().__init__()

        def conv(i, o, k, s=1):
            return nn.Conv2d(i * S, o * S, k, s, k // 2, groups=S)

        self.down = nn.ModuleList(
            [conv(1, C, 5, 2), conv(C, C, 3, 2), conv(C, 2 * C, 3, 2)]
        )
        self.deep = conv(2 * C, 2 * C, 3)
        if pyramid:
            self.side = nn.ModuleList([conv(C, C, 1), conv(C, C, 1), conv(2 * C, C, 1)])
        self.out = conv(C, 1, 3) if pyramid else conv(2 * C, 16, 1)

    def forward(self, x):  # (n, S, 24, 24) -> (n, S, 144)
        maps = []
        for layer in self.down:
            x = layer(x).relu()
            maps.append(x)  # strides 2, 4, 8
        maps[2] = self.deep(x).relu()
        if not hasattr(self, "side"):  # 16 fine cells from each coarse one
            return F.pixel_shuffle(self.out(maps[2]), 4).flatten(2)
        p = self.side[2](maps[2])
        for level in (1, 0):
            p = self.side[level](maps[level]) + F.interpolate(p, scale_factor=2.0)
        return self.out(p.relu()).flatten(2)


nets = Detector(False), Detector(True)
adam = torch.optim.Adam([p for n in nets for p in n.parameters()], 8e-3)
for _ in range(160):
    x, center = scene(torch.randint(3, (8 * S,)))
    cell = (center // 2).long() @ torch.tensor([12, 1])
    x = x.view(8, S, N, N)
    loss = sum(F.cross_entropy(net(x).flatten(0, 1), cell) for net in nets)
    adam.zero_grad(), loss.backward(), adam.step()

gain = []
print("recall, 5 seeds      coarse map         feature pyramid")
for k, kind in enumerate(KINDS):
    x, center = scene(torch.full((250,), k))
    with torch.no_grad():
        views = x[:, None].expand(-1, S, -1, -1)
        best = torch.stack([net(views).argmax(2) for net in nets])
    place = 2 * torch.stack([best // 12, best % 12], 3) + 1  # (2, 250, S, 2)
    near = (place - center[:, None]).square().sum(3) < (16 if k else 4)  # by size
    r = near.double().mean(1)
    gain.append(r[1] - r[0])
    print(f"{kind:20} ", end="")
    print("  ".join(f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in r))
small, large, half = torch.stack(gain).mean(1)
assert small > 0.3 and small > half + 0.1 and half < large + 0.15
