"""Attention ignores missing inputs only if they are masked before the softmax.

Source: Vaswani and others, 2017; torch.nn.functional documentation.
Shapes: q (N, 1, D), one query; k, v (N, V, D), one token a view; seen (N, V).
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
N, V, D = 100, 6, 16


def masked_attention(q, k, v, seen):
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5  # (N, 1, V)
    scores = scores.masked_fill(~seen[:, None], -torch.inf)
    weights = scores.softmax(2).nan_to_num(0.0)  # nothing seen: all weights 0
    return weights @ v


leaks = []
for seed in range(5):
    torch.manual_seed(seed)
    q, k, v = torch.randn(N, 1, D), torch.randn(N, V, D), torch.randn(N, V, D)
    seen = torch.rand(N, V) >= 0.5
    seen[:, 0] = True  # at least one view is there
    out = masked_attention(q, k, v, seen)

    # The same as attention over the views that are there, sample by sample.
    for i, s in enumerate(seen):
        alone = F.scaled_dot_product_attention(q[i], k[i, s], v[i, s])
        assert torch.allclose(out[i], alone, atol=1e-12)

    # Zeroing the inputs instead: a score of 0 is not a score of -inf.
    zeroed = k * seen[:, :, None]
    weights = (q @ zeroed.transpose(1, 2) / D**0.5).softmax(2)[:, 0]
    leaks.append(weights[~seen].sum().item() / N)
assert min(leaks) > 0.3

none = torch.zeros(N, V, dtype=torch.bool)  # every view is missing
assert torch.full((V,), -torch.inf).softmax(0).isnan().all()
assert masked_attention(q, k, v, none).eq(0).all()
spoiled = torch.where(seen[:, :, None], v, torch.nan)
assert masked_attention(q, k, spoiled, seen).isnan().any()  # 0 * NaN = NaN
print("masked before the softmax: as if the views were left out, < 1e-12")
print(f"set to 0 instead: weight {min(leaks):.2f}-{max(leaks):.2f} on them, n=5")
print("no view at all: softmax gives NaN, so the code returns 0 on purpose")
print("NaN as the missing value: comes through a weight of 0")
