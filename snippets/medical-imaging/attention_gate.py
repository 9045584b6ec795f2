"""An attention gate learns to open on lesions, but the Dice score does not rise.

Additive gate of Oktay and others (2018). Equal spots outside the organ do not count."""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
y, x = torch.meshgrid(*[torch.arange(24.0)] * 2, indexing="ij")


def disk(cy, cx, r=2.2):
    return (y - cy) ** 2 + (x - cx) ** 2 < r * r


def scans(n):  # images, lesions, look-alikes: (n, 1, 24, 24)
    oy, ox = torch.where(torch.rand(2, n, 1, 1) > 0.5, 17.0, 6.0)  # the organ
    cy, cx = torch.stack([oy, ox]) + 4 * torch.rand(2, n, 1, 1) - 2
    lesion, decoy = disk(cy, cx), disk(23 - cy, cx) | disk(cy, 23 - cx)
    images = 0.4 * disk(oy, ox, 6.5) + lesion + decoy + 0.3 * torch.randn(n, 24, 24)
    return images[:, None], lesion[:, None].double(), decoy[:, None]


class AttentionGate(nn.Module):
    def __init__(self, c_skip, c_gate, c):
        super().__init__()
        self.theta = nn.Conv2d(c_skip, c, 2, stride=2, bias=False)
        self.phi, self.psi = nn.Conv2d(c_gate, c, 1), nn.Conv2d(c, 1, 1)

    def forward(self, skip, gate):  # gate has half the resolution
        alpha = self.psi(F.relu(self.theta(skip) + self.phi(gate))).sigmoid()
        alpha = F.interpolate(alpha, scale_factor=2, mode="bilinear")
        return alpha * skip, alpha


class UNet(nn.Module):
    def __init__(self, gated):
        super().__init__()
        self.conv = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1),
                nn.InstanceNorm2d(b, affine=True),
                nn.ReLU(),
            )
            for a, b in ((1, 6), (6, 8), (8, 12), (12 + 8, 8), (8 + 6, 6))
        )
        self.gates = nn.ModuleList([AttentionGate(8, 12, 8), AttentionGate(6, 8, 6)])
        self.head, self.gated = nn.Conv2d(6, 1, 1), gated

    def forward(self, x):
        mid = self.conv[1](F.max_pool2d(top := self.conv[0](x), 2))
        x = self.conv[2](F.max_pool2d(mid, 2))
        for skip, gate, conv in zip((mid, top), self.gates, self.conv[3:]):
            skip, alpha = gate(skip, x) if self.gated else (skip, None)
            x = conv(torch.cat([skip, F.interpolate(x, scale_factor=2)], 1))
        return self.head(x), alpha


def run(gated, seed):
    torch.manual_seed(seed)
    net = UNet(gated)
    adam = torch.optim.Adam(net.parameters())
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, 0.04, 50)
    for step in range(50):
        images, g, _ = scans(6)
        p = net(images)[0].sigmoid()
        loss = F.binary_cross_entropy(p, g) + 1 - 2 * (p * g).sum() / (p + g).sum()
        adam.zero_grad(), loss.backward(), adam.step(), cycle.step()
    images, lesion, decoy = scans(60)
    logits, alpha = net(images)
    dice = 2 * lesion[logits > 0].sum() / (lesion.sum() + (logits > 0).sum())
    opened = [alpha[m > 0].mean() for m in (lesion, decoy) if gated]
    return torch.stack([dice, *opened]).detach(), images, alpha


runs = [run(True, seed) for seed in range(3)]
dice, on_lesion, on_decoy = torch.stack([r for r, _, _ in runs]).T
plain = torch.cat([run(False, seed)[0] for seed in range(3)])
assert (on_lesion > on_decoy + 0.2).all() and (dice - plain).abs().max() < 0.05
names = "gate on lesions", "gate on look-alikes", "Dice with gates", "Dice without"
for name, v in zip(names, (on_lesion, on_decoy, dice, plain)):
    print(f"{name:20s}{v.mean():.2f} ({v.min():.2f}-{v.max():.2f}), 3 seeds")
fig, axes = plt.subplots(1, 4, figsize=(7, 2.1), layout="tight")
for k, ax in enumerate(axes):  # two images, each with its gate
    ax.imshow(runs[0][1 + k % 2][k // 2, 0].detach().numpy(), cmap="gray")
    ax.set(title=("image", "top gate")[k % 2], xticks=(), yticks=())
plt.show()
