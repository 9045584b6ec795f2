"""In ASPP a 3x3 kernel with a rate near the map's size shrinks to a 1x1 kernel.

Source: Chen and others, arXiv 1706.05587 (DeepLabv3), section 3.3 and figure 4.
Shapes: map (1, 16, 33, 33) is a 513 px crop at output stride 16; rates 6, 12, 18.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


class ASPP(nn.Module):
    def __init__(self, c_in=16, c=8, rates=(6, 12, 18)):
        super().__init__()
        self.branches = nn.ModuleList(
            [nn.Conv2d(c_in, c, 1)]
            + [nn.Conv2d(c_in, c, 3, padding=r, dilation=r) for r in rates]
        )
        self.image = nn.Conv2d(c_in, c, 1)  # on the global average
        self.project = nn.Conv2d((len(rates) + 2) * c, c, 1)

    def forward(self, x):
        whole = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([b(x) for b in self.branches] + [whole], 1))


def taps_inside(size, rate):  # how many of 9 taps fall on the map, by position
    ones = torch.ones(1, 1, size, size)
    return F.conv2d(ones, torch.ones(1, 1, 3, 3), padding=rate, dilation=rate)


x = torch.randn(1, 16, 33, 33, requires_grad=True)
y = ASPP()(x)
(grad,) = torch.autograd.grad(y[0, 0, 16, 16], x)
assert y.shape == (1, 8, 33, 33) and (grad.abs().sum(1) > 0).all()
print(f"five branches -> {tuple(y.shape)}; every output sees every position")

for size in (65, 33):
    for rate in (6, 12, 18, size):
        taps = taps_inside(size, rate)
        full = (taps == 9).double().mean().item()
        assert abs(full - max(0, 1 - 2 * rate / size) ** 2) < 1e-12
        print(f"map {size}, rate {rate:2}: 9 taps inside at {full:4.0%}", end=" ")
        print(f"of positions, on average {taps.mean():.1f}")
    assert (taps_inside(size, size) == 1).all()  # only the center tap is left
assert (taps_inside(33, 18) < 9).all()  # DeepLabv3's largest rate on its map
