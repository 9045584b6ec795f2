"""A dense block grows its channels by k a layer and skips by concatenation.

Sources: Huang and others, arXiv 1608.06993 (DenseNet, CVPR 2017); Jegou and others,
1611.09326 (for segmentation). Shapes: (1, 48, 16, 16), 4 layers, k = 12 -> 96 maps.
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


class DenseBlock(nn.Module):
    def __init__(self, channels=48, layers=4, k=12):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(channels + i * k),
                nn.ReLU(),
                nn.Conv2d(channels + i * k, k, 3, padding=1, bias=False),
            )
            for i in range(layers)
        )

    def forward(self, x):
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))  # reads all earlier maps
        return torch.cat(maps, 1)


def weights(net):
    return sum(p.numel() for p in net.parameters() if p.dim() == 4)


x = torch.randn(1, 48, 16, 16)
block = DenseBlock()
y = block(x)
assert y.shape[1] == 48 + 4 * 12
assert torch.equal(y[:, :48], x)  # the input itself is still there, untouched

plain = nn.Sequential(
    nn.Conv2d(48, 96, 3, padding=1, bias=False),
    *(nn.Conv2d(96, 96, 3, padding=1, bias=False) for _ in range(3)),
)
assert weights(block) == 9 * 12 * (48 + 60 + 72 + 84)
assert weights(plain) > 8 * weights(block)
print(f"channels 48 -> {y.shape[1]}: 4 layers of growth rate 12; input kept as it was")
print(f"3x3 weights: dense block {weights(block)}, four plain layers {weights(plain)}")
