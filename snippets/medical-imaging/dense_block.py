"""A dense block keeps every earlier map: k0 + L k channels, its input untouched.

DenseNet (Huang and others 2017) concatenates where ResNet adds. (N, C, H, W).
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)


class DenseBlock(nn.Module):
    def __init__(self, c_in, growth, layers):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(c),
                nn.ReLU(),
                nn.Conv2d(c, growth, 3, padding=1, bias=False),
            )
            for c in range(c_in, c_in + layers * growth, growth)
        )

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)  # each layer sees all maps before it
        return x


torch.manual_seed(0)
block = DenseBlock(c_in=16, growth=12, layers=6)
x = torch.randn(4, 16, 8, 8)
y = block(x)
assert y.shape == (4, 16 + 6 * 12, 8, 8)
assert torch.equal(y[:, :16], x)  # the input arrives unchanged at the far end
weights = sum(p.numel() for p in block.parameters() if p.dim() == 4)
plain = 6 * 88 * 88 * 9  # six convolutions as wide as the block's output
assert weights == sum(9 * 12 * (16 + 12 * i) for i in range(6)) < plain / 10
print("16 + 6 * 12 =", y.shape[1], "channels out; the first 16 are the input itself")
print(f"{weights:,} weights; six layers of 88 channels throughout: {plain:,}")
