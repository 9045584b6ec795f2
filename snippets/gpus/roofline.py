"""Only layers with many operations per byte can use a GPU's arithmetic.

Williams and others 2009. Batch 32, 128 channels, 56 x 56, bfloat16; each input,
weight and output moves once. Peaks from NVIDIA's data sheets, dense bfloat16.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

GPUS = {  # peak 10^12 operations/s, memory bandwidth 10^12 bytes/s
    "A100 80GB (2020)": (312, 2.039),
    "H100 SXM (2022)": (989.4, 3.35),
    "B200, DGX (2024)": (2250, 8.0),
}


def count(layer, *shape, per_output=0):
    """Operations and bytes of one forward pass; elementwise ops per output value."""
    x = torch.empty(shape, dtype=torch.bfloat16, device="meta")  # shapes, no data
    layer = layer.to(x)
    with FlopCounterMode(display=False) as counter:
        y = layer(x)
    ops = counter.get_total_flops() + per_output * y.numel()  # it skips elementwise
    values = x.numel() + y.numel() + sum(p.numel() for p in layer.parameters())
    return ops, 2 * values


maps = (32, 128, 56, 56)
layers = {
    "3x3 conv": count(nn.Conv2d(128, 128, 3, padding=1, bias=False), *maps),
    "1x1 conv": count(nn.Conv2d(128, 128, 1, bias=False), *maps),
    "depthwise 3x3": count(
        nn.Conv2d(128, 128, 3, padding=1, groups=128, bias=False), *maps
    ),
    "ReLU": count(nn.ReLU(), *maps, per_output=1),
    "linear, batch 1": count(nn.Linear(2048, 1000, bias=False), 1, 2048),
    "linear, batch 256": count(nn.Linear(2048, 1000, bias=False), 256, 2048),
}

fig, ax = plt.subplots(figsize=(7, 4))
grid = torch.logspace(-1, 3.5, 100)
for (name, (peak, width)), style in zip(GPUS.items(), (":", "-", "--"), strict=True):
    ax.loglog(grid, (width * grid).clamp(max=peak), "k", ls=style, lw=1.5, label=name)
    print(f"{name}: ridge at {peak / width:.0f} operations per byte")
ax.loglog(grid, 0.064 * grid, color="gray", lw=1, label="over PCIe 5")
peak, width = GPUS["H100 SXM (2022)"]
bound = {}
print("on H100:             op/byte  share of peak")
for (name, (ops, size)), marker in zip(layers.items(), "so^vD*", strict=True):
    rate = min(peak, width * ops / size)
    bound[name] = ops / rate  # time, at best
    ax.loglog(ops / size, rate, marker, ms=9, label=name)
    print(f"  {name:18s} {ops / size:7.1f} {rate / peak:10.1%}")
ax.set(xlabel="operations per byte", ylabel=r"at most, $10^{12}$ operations/s")
ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))

dense, depthwise = layers["3x3 conv"], layers["depthwise 3x3"]
assert dense[0] == 128 * depthwise[0]
assert 1.5 < bound["3x3 conv"] / bound["depthwise 3x3"] < 3
beyond = [name for name, (ops, size) in layers.items() if ops / size > peak / width]
assert beyond == ["3x3 conv"]
print("depthwise: 128 times fewer operations, time at best", end=" ")
print(f"{bound['3x3 conv'] / bound['depthwise 3x3']:.1f} times less")
plt.tight_layout()
plt.show()
