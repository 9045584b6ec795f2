"""U-Net turns 572 x 572 into 388 x 388, and only every 16th input size fits.

The network of Ronneberger, Fischer, Brox (2015) with its real channel numbers, on
PyTorch's meta device: shapes are worked out, nothing is computed.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def double_conv(c_in, c_out):  # no padding: each 3 x 3 takes 2 pixels
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3), nn.ReLU(), nn.Conv2d(c_out, c_out, 3), nn.ReLU()
    )


class UNet(nn.Module):
    def __init__(self, channels=(64, 128, 256, 512, 1024), classes=2):
        super().__init__()
        back = channels[-2::-1]
        self.down = nn.ModuleList(map(double_conv, (1, *channels), channels))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in back)
        self.merge = nn.ModuleList(double_conv(2 * c, c) for c in back)
        self.head = nn.Conv2d(channels[0], classes, 1)  # logits: the loss does softmax

    def forward(self, x):  # (N, 1, H, W)
        skips = [self.down[0](x)]
        for block in self.down[1:]:
            if skips[-1].shape[-1] % 2:
                raise ValueError("pooling would drop a row")
            skips.append(block(nn.functional.max_pool2d(skips[-1], 2)))
        x = skips.pop()  # the bottleneck
        for up, merge in zip(self.up, self.merge):
            x, skip = up(x), skips.pop()
            cut = (skip.shape[-1] - x.shape[-1]) // 2  # crop the middle of the skip
            skip = skip[..., cut : cut + x.shape[-2], cut : cut + x.shape[-1]]
            x = merge(torch.cat([skip, x], 1))  # concatenate, do not add
        return self.head(x)


with torch.device("meta"):
    net, sides, legal = UNet(), [], {}
    with FlopCounterMode(display=False) as flops:
        for block in [*net.down, *net.merge]:
            block.register_forward_hook(lambda _, __, y: sides.append(y.shape[-1]))
        output = net(torch.empty(1, 1, 572, 572))
    print("after each double convolution:", *sides)
    for n in range(556, 604):
        try:
            legal[n] = net(torch.empty(1, 1, n, n)).shape[-1]
        except ValueError:
            pass
parameters = sum(p.numel() for p in net.parameters())
assert output.shape == (1, 2, 388, 388) and sides[4] == 28
assert legal == {556: 372, 572: 388, 588: 404}
print("input -> output, of 556 to 603:", legal)
print(f"{parameters:,} parameters, {flops.get_total_flops() / 1e9:.0f} GFLOPs a tile")
