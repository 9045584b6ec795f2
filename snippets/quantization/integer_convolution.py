"""A convolution of 8-bit codes with int32 sums, scaled once at the end, equals the
float convolution of the dequantized tensors; and that scaling needs integers only.

Jacob and others, CVPR 2018. Codes of x (N, C, H, W) in 0..255, zero point zx; codes of
w (O, C, k, k) in -127..127, one scale per output channel; sums (N, O, H, W) int32.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def codes(x, s, z, qmin, qmax):
    return (torch.round(x / s) + z).clamp(qmin, qmax).to(torch.int32)


def integer_sums(qx, zx, qw, qb):
    k = qw.shape[-1]
    qx = F.pad(qx, [k // 2] * 4, value=zx)  # the code of zero is zx, not 0
    patches = qx.unfold(2, k, 1).unfold(3, k, 1)  # (N, C, H, W, k, k)
    sums = torch.einsum("nchwij,ocij->nohw", patches, qw)  # all of it int32
    shift = zx * qw.sum((1, 2, 3))  # known before inference
    return sums + (qb - shift).to(torch.int32).view(-1, 1, 1)


def fixed_point(m):  # m = m0 / 2**(n + 31), m0 an int32 of full precision
    n = -torch.floor(torch.log2(m)).to(torch.int64) - 1
    return torch.round(m * 2.0 ** (n + 31)).clamp(max=2**31 - 1).to(torch.int64), n


def requantize(sums, m0, n, zy):  # multiply, round, shift: no float
    n = (n + 31).view(-1, 1, 1)
    product = sums.to(torch.int64) * m0.view(-1, 1, 1) + (1 << (n - 1))
    return ((product >> n) + zy).clamp(0, 255)


gaps, steps, peaks = [], [], []
for seed in range(5):
    torch.manual_seed(seed)
    x, w = torch.randn(2, 32, 12, 12) + 0.5, torch.randn(16, 32, 3, 3) / 17
    b, sx = torch.randn(16), (x.max() - x.min()) / 255
    zx = round((-x.min() / sx).item())
    sw = w.flatten(1).abs().amax(1).view(-1, 1, 1, 1) / 127
    qx, qw = codes(x, sx, zx, 0, 255), codes(w, sw, 0, -127, 127)
    s = sx * sw.flatten()  # the scale of the sums, (O,)
    qb = codes(b, s, 0, -(2**31), 2**31 - 1)
    sums = integer_sums(qx, zx, qw, qb)
    y = F.conv2d(sx * (qx - zx), sw * qw, s * qb, padding=1)  # float, dequantized
    gaps.append((sums * s.view(-1, 1, 1) - y).abs().max())
    sy, zy = (y.max() - y.min()) / 255, 128
    got = requantize(sums, *fixed_point(s / sy), zy)
    steps.append((got - codes(y, sy, zy, 0, 255)).abs().max())
    peaks.append(sums.abs().max())
assert sums.dtype == torch.int32 and max(gaps) < 1e-10 and max(steps) <= 1
assert min(peaks) > 2**15 and 255 * 127 * 9 * 7000 < 2**31
print(f"{len(gaps)} layers: int32 sums times scale against float: difference < 1e-10")
print(f"8-bit output with an integer multiplier: at most {max(steps)} steps off")
print(f"largest sum at least {min(peaks)}: an int16 stops at {2**15 - 1}")
