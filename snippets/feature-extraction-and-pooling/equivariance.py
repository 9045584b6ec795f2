"""Convolution commutes with a shift; zero padding and stride break this.

Source: Goodfellow, Bengio, Courville, Deep Learning (2016), chapter 9.
Shapes: x (1, 3, 32, 32); roll is a shift that re-enters on the other side.
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)


def shift(x, pixels):
    return torch.roll(x, pixels, dims=3)


for seed in range(5):
    torch.manual_seed(seed)
    x = torch.randn(1, 3, 32, 32)
    circular = nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular")
    assert torch.allclose(circular(shift(x, 5)), shift(circular(x), 5))
    # Equivariant, not invariant: the map moved, it did not stay.
    assert (circular(shift(x, 5)) - circular(x)).abs().max() > 0.5

    # Zero padding, two layers: only columns within 2 px of a border or of
    # the place where the old border went (column 5) can differ.
    zeros = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)
    )
    gap = (zeros(shift(x, 5)) - shift(zeros(x), 5)).abs().amax((0, 1, 2))
    touched = (gap > 1e-9).nonzero().flatten().tolist()
    assert touched == [0, 1, 3, 4, 5, 6, 30, 31], touched

    # Stride 2: a shift by 2 moves the map by 1, a shift by 1 has no match.
    strided = nn.Conv2d(3, 8, 3, stride=2, padding=1, padding_mode="circular")
    assert torch.allclose(strided(shift(x, 2)), shift(strided(x), 1))
    moved, still = strided(shift(x, 1)), strided(x)
    assert all((moved - shift(still, s)).abs().max() > 0.5 for s in range(16))

print("stride 1, circular padding: shift, then filter = filter, then shift")
print(f"zero padding, 2 layers, 5 px shift: columns {touched} differ")
print("stride 2: exact for a 2 px shift, for 1 px no shift of the map fits")
print("on 5 seeds")
