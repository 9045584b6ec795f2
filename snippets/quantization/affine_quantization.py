"""q = clip(round(x / s) + z) moves no value inside the range by more than s / 2, keeps
zero exact because z is an integer, and clips what lies outside.

Jacob and others, CVPR 2018. x, q (N,); scale s, zero point z.
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


def parameters(lo, hi, qmin, qmax):
    lo, hi = min(lo, 0.0), max(hi, 0.0)  # the range must contain zero
    s = (hi - lo) / (qmax - qmin)
    return s, qmin - round(lo / s)  # z is an integer, so zero is a grid point


def quantize(x, s, z, qmin, qmax):
    q = torch.round(x / s) + z  # round half to even
    return q.clamp(qmin, qmax).to(torch.int64)  # clip, do not wrap around


def dequantize(q, s, z):
    return s * (q - z)


ties = torch.tensor([-1.5, -0.5, 0.5, 1.5, 2.5])
print("half to even:", quantize(ties, 1.0, 0, -8, 7).tolist())
inside, outside, gap = [], [], []
for seed in range(5):
    for bits in (8, 4, 2):
        qmin, qmax = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        x = torch.randn(10_000) + seed  # lopsided for all seeds but 0
        lo, hi = x[:2000].quantile(0.01).item(), x[:2000].quantile(0.99).item()
        s, z = parameters(lo, hi, qmin, qmax)
        q = quantize(x, s, z, qmin, qmax)
        y = dequantize(q, s, z)
        error, kept = (y - x).abs() / s, (q > qmin) & (q < qmax)
        inside.append(error[kept].max()), outside.append(error.max())
        fake = torch.fake_quantize_per_tensor_affine(x, s, z, qmin, qmax)
        gap.append(((fake - y).abs() > 1e-6).double().mean())
        assert dequantize(quantize(0 * x, s, z, qmin, qmax), s, z).abs().max() == 0
print(f"{len(gap)} tensors, zero exact in all")
print(
    f"error inside the range at most {max(inside):.2f} s, "
    f"clipped values at 8 bits at least {min(outside[::3]):.0f} s"
)
assert max(inside) <= 0.5 + 1e-9 and min(outside[::3]) > 10
assert max(gap) < 1e-3  # at a tie, x * (1 / s) may round otherwise than x / s
print("equal to torch.fake_quantize_per_tensor_affine in > 99.9 % of the values")

x, t = torch.randn(50_000), torch.linspace(-4, 4, 2001)
s, z = parameters(-2.0, 2.0, -4, 3)  # 3 bits, 8 levels
figure, axis = plt.subplots(figsize=(6, 3.4))
axis.hist(x.numpy(), 60, color="0.8")
axis.set_xlabel("float value x"), axis.set_ylabel("number of values")
stairs = axis.twinx()
stairs.plot(t, dequantize(quantize(t, s, z, -4, 3), s, z), color="tab:red", lw=2)
stairs.plot(t, t, "k--", lw=1), stairs.set_ylabel("value after 3 bits")
for k in (-4 - z, 3 - z):
    stairs.axvline(k * s, color="tab:blue", ls=":")
plt.tight_layout(), plt.show()
