"""Fusing an elementwise chain moves a third of the bytes, for the same operations.

Counted by intercepting each operator that PyTorch runs. The end of a residual
block: scale, shift, add the shortcut, ReLU, on (32, 128, 56, 56) in bfloat16.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Traffic(TorchDispatchMode):
    """Adds up the bytes of every operator's inputs and outputs."""

    def __init__(self):
        super().__init__()
        self.bytes, self.kernels = 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [t for t in (*args, out) if isinstance(t, torch.Tensor)]
        self.bytes += sum(t.numel() * t.element_size() for t in tensors)
        self.kernels += 1
        return out


def block_end(x, shortcut, scale, shift):
    return torch.relu(x * scale + shift + shortcut)


like = {"dtype": torch.bfloat16, "device": "meta"}  # shapes, no data
x, shortcut = torch.empty(2, 32, 128, 56, 56, **like)
scale, shift = torch.empty(2, 1, 128, 1, 1, **like)
with Traffic() as eager:
    y = block_end(x, shortcut, scale, shift)
fused = sum(t.numel() * t.element_size() for t in (x, shortcut, scale, shift, y))
ratio = eager.bytes / fused
assert eager.kernels == 4 and 2.9 < ratio < 3.1  # 9 transfers of the map against 3

print(f"step by step: {eager.kernels} kernels, {eager.bytes / 1e6:.0f} MB")
print(f"fused: 1 kernel, {fused / 1e6:.0f} MB, {ratio:.1f} times less")
for name, bandwidth in (("A100", 2.039e12), ("H100", 3.35e12), ("B200", 8.0e12)):
    micros = [1e6 * b / bandwidth for b in (eager.bytes, fused)]
    print(f"{name}, at best: {micros[0]:.0f} against {micros[1]:.0f} microseconds")
