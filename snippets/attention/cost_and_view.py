"""Gates cost next to nothing; all-to-all attention grows with the square of the area.

SE (Hu 2018), CBAM (Woo 2018), non-local (Wang 2018: half width, dot products).
Shapes: x (N, 64, H, W); products counted by torch: matrix products, convolutions.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

torch.set_default_dtype(torch.float64)


class SE(nn.Module):
    def __init__(self, c, r=4):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(c, c // r), nn.ReLU(), nn.Linear(c // r, c))

    def forward(self, x):
        s = torch.sigmoid(self.mlp(x.mean((2, 3))))  # (N, C): squeeze, excite
        return x * s[:, :, None, None]


class CBAM(SE):
    def __init__(self, c, r=4):
        super().__init__(c, r)
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x):
        s = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        x = x * s[:, :, None, None]  # which channels
        both = torch.stack([x.mean(1), x.amax(1)], 1)  # (N, 2, H, W)
        return x * torch.sigmoid(self.conv(both))  # which places


class NonLocal(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.qkv = nn.Conv2d(c, 3 * c // 2, 1, bias=False)
        self.out = nn.Conv2d(c // 2, c, 1, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(x).flatten(2).chunk(3, 1)  # (N, C/2, HW) each
        a = (q.mT @ k / q.shape[1] ** 0.5).softmax(-1)  # (N, HW, HW)
        return x + self.out((v @ a.mT).view(*v.shape[:2], *x.shape[2:]))


C, sizes = 64, (8, 16, 32)
blocks = [nn.Conv2d(C, C, 3, padding=1, bias=False), SE(C), CBAM(C), NonLocal(C)]
madds = {}
for block in blocks:
    name = type(block).__name__
    for seed in range(5):  # which places does one output position depend on?
        torch.manual_seed(seed)
        x = torch.randn(1, C, 16, 16, requires_grad=True)
        g = torch.autograd.grad(block(x)[0, :, 8, 8].sum(), x)[0]
        seen = (g != 0).any(1).sum().item()
        assert seen == (9 if name == "Conv2d" else 256)
    for size in sizes:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            block(torch.randn(1, C, size, size))
        madds[name, size] = counter.get_total_flops() // 2
    row = ", ".join(f"{madds[name, size] / 1e6:.3f}" for size in sizes)
    print(
        f"{name}: {sum(p.numel() for p in block.parameters())} weights, "
        f"sees {seen} of 256 places, million products {row}"
    )
assert all(madds["SE", n] == 2 * C * C // 4 for n in sizes)  # for any area
assert all(madds["CBAM", n] == 4 * C * C // 4 + 98 * n * n for n in sizes)
assert all(madds["NonLocal", n] == 2 * C**2 * n**2 + C * n**4 for n in sizes)
assert all(200 * madds["CBAM", n] < madds["Conv2d", n] for n in sizes)
assert madds["NonLocal", 16] < madds["Conv2d", 16]  # cheaper while HW < 7 C
assert madds["NonLocal", 32] > madds["Conv2d", 32]
