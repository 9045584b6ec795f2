"""Only a 3D kernel sees that a disk in a slice belongs to a ball, not to a tube.

A small V-Net (Milletari, Navab, Ahmadi 2016) with soft Dice loss: residual stages,
strided convolutions, PReLU. Its rival sees one slice at a time. Balls are lesions,
tubes are vessels, both in noise. Volumes (N, 1, 12, 12, 12).
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
z, y, x = torch.meshgrid(*[torch.arange(12.0)] * 3, indexing="ij")


def scans(n):
    cz, cy, cx, vy, vx = 3 + 6 * torch.rand(5, n, 1, 1, 1)
    r, v = 2 + torch.rand(2, n, 1, 1, 1)
    ball = (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < r * r
    tube = ((y - vy) ** 2 + (x - vx) ** 2 < v * v) & ~ball
    volume = (ball | tube) + 0.2 * torch.randn(n, 12, 12, 12)
    return volume[:, None], ball[:, None].double()


def soft_dice_loss(p, g, eps=1.0):
    """V-Net's: squares in the denominator; the mean over the volumes."""
    p, g = p.flatten(1), g.flatten(1)
    return 1 - ((2 * (p * g).sum(1) + eps) / ((p**2 + g**2).sum(1) + eps)).mean()


class VNet(nn.Module):
    def __init__(self, k, a=4, b=8):  # k: depth of the kernels, 3 or 1
        super().__init__()
        same = {"kernel_size": (k, 3, 3), "padding": (k // 2, 1, 1)}
        step = {"kernel_size": ((k + 1) // 2, 2, 2), "stride": ((k + 1) // 2, 2, 2)}
        self.top, self.low = nn.Conv3d(1, a, **same), nn.Conv3d(b, b, **same)
        self.down, self.up = nn.Conv3d(a, b, **step), nn.ConvTranspose3d(b, a, **step)
        self.last, self.head = nn.Conv3d(2 * a, a, **same), nn.Conv3d(a, 1, 1)
        self.act = nn.ModuleList(
            nn.Sequential(nn.InstanceNorm3d(c, affine=True), nn.PReLU())
            for c in (a, b, b, a)
        )

    def forward(self, x):
        top = self.act[0](self.top(x) + x)  # a stage adds its input
        low = self.act[1](self.down(top))  # a strided convolution, no pooling
        up = self.up(self.act[2](self.low(low) + low))
        x = self.act[3](self.last(torch.cat([top, up], 1)) + up)
        return self.head(x).sigmoid()


def test_dice(k, seed):
    torch.manual_seed(seed)
    net = VNet(k)
    adam = torch.optim.Adam(net.parameters(), 0.05)
    warm = torch.optim.lr_scheduler.OneCycleLR(adam, 0.05, 40)
    for step in range(40):
        volumes, truth = scans(4)
        loss = soft_dice_loss(net(volumes), truth)
        adam.zero_grad(), loss.backward(), adam.step(), warm.step()
    volumes, truth = scans(20)
    return 1 - soft_dice_loss((net(volumes) > 0.5).double(), truth, 0).item()


solid = torch.tensor([test_dice(3, seed) for seed in range(3)])
flat = torch.tensor([test_dice(1, seed) for seed in range(3)])
assert (solid > flat + 0.15).all()
for name, d in (("3 x 3 x 3", solid), ("1 x 3 x 3", flat)):
    print(f"{name}: Dice {d.mean():.2f} ({d.min():.2f}-{d.max():.2f}), 3 seeds")
