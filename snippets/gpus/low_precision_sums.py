"""A 16-bit running sum stalls; 16-bit inputs with a 32-bit sum do not.

Why tensor cores add in float32, and why mixed precision keeps float32 weights
(Micikevicius and others 2018). Terms (M, n), sums (M,).
"""

import torch


def running_sum(terms, dtype):
    """Add one after another, rounding to `dtype` after each: (M, n) -> (M,)."""
    total = torch.zeros(terms.shape[0], dtype=dtype)
    for column in terms.to(dtype).T:
        total = total + column
    return total


def with_float32_sum(terms, dtype):
    """The terms have 16 bits, the sum 32."""
    return terms.to(dtype).float().sum(1)


ones = torch.ones(1, 4096)
stall = {d: running_sum(ones, d).item() for d in (torch.float16, torch.bfloat16)}
assert stall[torch.float16] == 2048  # 11 bits: 2049 is not a float16
assert stall[torch.bfloat16] == 256  # 8 bits: 257 is not a bfloat16
assert with_float32_sum(ones, torch.bfloat16) == 4096
print("sum of 4096 ones:", {str(d)[6:]: int(v) for d, v in stall.items()})

# A dot product of a 3 x 3 convolution over 512 channels has 4608 terms.
off = {dtype: [] for dtype in stall}
for seed in range(5):
    torch.manual_seed(seed)
    terms = torch.rand(64, 4608)
    exact = terms.double().sum(1)
    for dtype in stall:
        naive = (1 - running_sum(terms, dtype).double() / exact).mean()
        mixed = (with_float32_sum(terms, dtype).double() / exact - 1).abs().mean()
        assert naive > 0.05 and mixed < 1e-3
        off[dtype].append(naive.item())
for dtype, values in off.items():
    print(f"4608 positive terms, {str(dtype)[6:]} sum: ", end="")
    print(f"{min(values):.1%} to {max(values):.1%} too small (5 seeds)")
print("the same terms with a float32 sum: < 0.1% off")

# The same happens to weights: a step below half a unit in the last place is lost.
for dtype in stall:
    weight, master = torch.ones((), dtype=dtype), torch.ones(())
    for _ in range(1000):
        weight = weight - torch.tensor(1e-4, dtype=dtype)
        master = master - 1e-4
    assert weight == 1 and abs(master - 0.9) < 1e-3
print("1000 steps of -0.0001 from 1: 16-bit weight 1.0, float32 weight 0.9")
