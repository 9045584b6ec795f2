"""Windows may overlap: max pooling is a maximum over any sliding window.

Source: Krizhevsky, Sutskever, Hinton, NeurIPS 2012 (3x3 windows, stride 2).
Shapes: x (N, C, H, W) -> windows (N, C, H', W', k, k) -> (N, C, H', W').
"""

from itertools import product

import torch
import torch.nn.functional as F


def pooled_size(size, kernel, stride, padding=0, ceil=False):
    room = size + 2 * padding - kernel
    out = (room + (stride - 1 if ceil else 0)) // stride + 1
    if ceil and (out - 1) * stride >= size + padding:
        out -= 1  # a window must not start in the right-hand padding
    return out


def max_pool2d(x, kernel, stride, padding=0, ceil=False):
    sizes = [pooled_size(n, kernel, stride, padding, ceil) for n in x.shape[2:]]
    ends = [(out - 1) * stride + kernel for out in sizes]  # last pixel used
    bottom, right = [end - n - padding for end, n in zip(ends, x.shape[2:])]
    # Minus infinity never wins; zero would beat an all-negative window.
    x = F.pad(x, (padding, right, padding, bottom), value=-torch.inf)
    return x.unfold(2, kernel, stride).unfold(3, kernel, stride).amax((4, 5))


torch.manual_seed(0)
checked = 0
grid = product(range(4, 15), range(1, 5), range(1, 4), range(3), (False, True))
for size, k, s, p, ceil in grid:
    if p > k // 2:
        continue  # the library refuses these
    x = torch.randn(1, 2, size, size + 1) - 3  # mostly negative
    library = F.max_pool2d(x, k, s, p, ceil_mode=ceil)
    assert max_pool2d(x, k, s, p, ceil).equal(library)
    checked += 1
print(f"windows and maximum = F.max_pool2d on {checked} settings")
for size in (13, 14):
    down, up = (pooled_size(size, 3, 2, ceil=c) for c in (False, True))
    print(f"{size} px, 3x3, stride 2: {down} px, with ceil_mode {up} px")
