"""Pooling divides the later work by four and widens what a unit sees.

Source: Dumoulin and Visin, arXiv 1603.07285 (2016), for the sizes.
Shapes: x (1, 3, 64, 64), three 3x3 convolutions of 32 channels.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def network(pool):
    layers = [nn.Conv2d(3, 32, 3, padding=1)]
    for _ in range(2):
        layers += [nn.ReLU(), *pool, nn.Conv2d(32, 32, 3, padding=1)]
    return nn.Sequential(*layers)


def measure(net):
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        y = net(x)
    flops = counter.get_flop_counts()  # one multiply-add counts as 2
    layers = [f"Sequential.{n}" for n, m in enumerate(net) if hasattr(m, "weight")]
    macs = [sum(flops[name].values()) // 2 for name in layers]
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    columns = x.grad[0].abs().sum((0, 1)).nonzero()
    return macs, (columns.max() - columns.min() + 1).item()


torch.manual_seed(0)
plain, plain_field = measure(network([]))
pooled, pooled_field = measure(network([nn.AvgPool2d(2)]))
assert [a / b for a, b in zip(plain, pooled)] == [1, 4, 16]
assert plain_field == 7 and pooled_field == 18
print("million multiply-adds per layer:")
print("  without pooling", [round(m / 1e6, 1) for m in plain])
print("  with 2x2 pooling", [round(m / 1e6, 1) for m in pooled])
print(f"a last unit sees {plain_field} px, with pooling {pooled_field} px")
