"""Attention in four lines equals the library's, head by head.

Source: Vaswani and others, Attention Is All You Need, 2017.
Shapes: q (..., L, d), k (..., S, d), v (..., S, e); x (N, L, E), float64.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


def attention(q, k, v):
    scores = q @ k.mT / q.shape[-1] ** 0.5  # (..., L, S)
    a = scores.softmax(-1)  # each query's weights sum to one over the keys
    return a @ v, a


def multi_head(x, w_in, b_in, w_out, b_out, heads):
    n, length, width = x.shape
    qkv = (x @ w_in.T + b_in).view(n, length, 3, heads, width // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (N, heads, L, E / heads) each
    y, a = attention(q, k, v)
    return y.transpose(1, 2).reshape(n, length, width) @ w_out.T + b_out, a


errors, outside = [], []
for seed in range(5):
    torch.manual_seed(seed)
    maps = torch.randn(2, 32, 6, 6)  # a feature map (N, C, H, W) ...
    x = maps.flatten(2).mT  # ... is a set of H W = 36 tokens of width C
    q, k, v = torch.randn(3, 2, 36, 32)
    y, a = attention(q, k, v)
    errors.append((y - F.scaled_dot_product_attention(q, k, v)).abs().max())
    low, high = v.amin(1, keepdim=True), v.amax(1, keepdim=True)
    outside.append(torch.maximum(low - y, y - high).max())  # below 0: inside

    library = nn.MultiheadAttention(32, num_heads=4, batch_first=True)
    nn.init.normal_(library.in_proj_bias), nn.init.normal_(library.out_proj.bias)
    w_in, b_in, w_out, b_out = library.parameters()
    y, a = multi_head(x, w_in, b_in, w_out, b_out, heads=4)
    y_lib, a_lib = library(x, x, x, average_attn_weights=False)
    errors += [(y - y_lib).abs().max(), (a - a_lib).abs().max()]
    assert torch.allclose(a.sum(-1), torch.ones(2, 4, 36))
assert max(errors) < 1e-12 and max(outside) < 0
print("difference to F.scaled_dot_product_attention: < 1e-12")
print("difference to nn.MultiheadAttention, weights and output: < 1e-12")
print("every output lies between the values' smallest and largest (5 seeds)")
