"""Activations, not weights, fill the memory when a CNN is trained.

ResNet-50 (He and others 2016), 224 x 224, on fake tensors: shapes and types but no
data. Counted: what autograd saves for the backward pass, each storage once.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode


def conv_bn(c_in, c_out, k=1, stride=1):
    conv = nn.Conv2d(c_in, c_out, k, stride, k // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


class Bottleneck(nn.Module):
    def __init__(self, c_in, c, stride):
        super().__init__()
        one, three = conv_bn(c_in, c), conv_bn(c, c, 3, stride)
        self.path = nn.Sequential(one, nn.ReLU(), three, nn.ReLU(), conv_bn(c, 4 * c))
        same = stride == 1 and c_in == 4 * c
        self.short = nn.Identity() if same else conv_bn(c_in, 4 * c, 1, stride)

    def forward(self, x):
        return torch.relu(self.path(x) + self.short(x))


def resnet50():
    layers, c_in = [conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for c, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            layers.append(Bottleneck(c_in, c, stride if i == 0 else 1))
            c_in = 4 * c
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)]
    return nn.Sequential(*layers, *pool)


def saved_bytes(net, x, autocast):
    """Bytes that backward needs, without the parameters themselves."""
    storages = {}

    def pack(t):
        if not isinstance(t, nn.Parameter):
            storage = t.untyped_storage()
            storages[storage._cdata] = storage  # held, so that no id comes twice
        return t

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        net(x)
    return sum(storage.nbytes() for storage in storages.values())


with FakeTensorMode():
    net = resnet50()
    count = sum(p.numel() for p in net.parameters())
    image = (3, 224, 224)
    one = saved_bytes(net, torch.empty(1, *image), False)
    full = saved_bytes(net, torch.empty(64, *image), False)
    mixed = saved_bytes(net, torch.empty(64, *image), True)
assert count == 25_557_032

parts = {"weights": 4 * count, "gradients": 4 * count, "Adam": 8 * count}
fixed = sum(parts.values())  # 16 bytes a parameter
bars = {"batch 1": one, "batch 64": full, "batch 64, autocast": mixed}
assert one < fixed < full / 10
assert 0.45 < mixed / full < 0.6
fig, ax = plt.subplots(figsize=(6, 4))
bottom = [0.0] * 3
for (name, size), hatch in zip([*parts.items()], ("", "//", ".."), strict=True):
    ax.bar(list(bars), [size / 1e9] * 3, bottom=bottom, hatch=hatch, label=name)
    bottom = [b + size / 1e9 for b in bottom]
heights = [size / 1e9 for size in bars.values()]
ax.bar(list(bars), heights, bottom=bottom, color="0.8", label="activations")
ax.set_ylabel("gigabytes")
ax.legend(fontsize=10, loc="upper left")
print(f"{count:,} parameters; with gradients and Adam {fixed / 1e9:.2f} GB")
for name, size in bars.items():
    print(f"{name}: activations {size / 1e9:.2f} GB")
print(f"one image more: {(full - one) / 63 / 1e6:.0f} MB")
plt.tight_layout()
plt.show()
