"""Left padding makes a convolution causal; doubling dilations see exponentially far.

Gradients say which inputs an output depends on. Receptive field of L layers of width k:
1 + L (k - 1) without dilation, 1 + (k - 1)(2^L - 1) with dilations 1, 2, 4 ... (van den
Oord et al. 2016). The figure draws which inputs reach the last output.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

torch.set_default_dtype(torch.float64)


class CausalConv(nn.Module):
    """Output t sees the inputs t, t - dilation, ..., t - (k - 1) dilation."""

    def __init__(self, channels, k, dilation):
        super().__init__()
        self.left = (k - 1) * dilation
        self.conv = nn.Conv1d(channels, channels, k, dilation=dilation)

    def forward(self, x):  # (N, C, T) -> (N, C, T)
        return self.conv(nn.functional.pad(x, (self.left, 0)))


def stack(k, dilations, layer=CausalConv):
    return nn.Sequential(*[m for d in dilations for m in (layer(2, k, d), nn.Tanh())])


def centered(channels, k, dilation):
    return nn.Conv1d(channels, channels, k, padding="same", dilation=dilation)


def dependence(net, t, T=80):
    """True for each input position that output t depends on: (T,)"""
    x = torch.randn(1, 2, T, requires_grad=True)
    net(x)[0, :, t].sum().backward()
    return x.grad[0].abs().sum(0) > 0


torch.manual_seed(0)
print("width 3     layers: 1  2  3  4  5")
for name, base in (("dilation 1", 1), ("dilations 1, 2, 4 ...", 2)):
    fields = []
    for L in range(1, 6):
        net = stack(3, [base**i for i in range(L)])
        sees = dependence(net, 70)
        assert not sees[71:].any() and sees[70]
        assert sees.sum() == (1 + 2 * L if base == 1 else 1 + 2 * (2**L - 1))
        fields.append(int(sees.sum()))
        net_c = stack(3, [base**i for i in range(L)], centered)
        assert dependence(net_c, 40)[41:].any()  # a centered one sees the future
    print(f"{name:21}", *fields)
x = torch.randn(1, 2, 80)
prefixes = torch.stack([net(x[..., :t])[0, :, -1] for t in range(1, 81)], 1)  # (2, 80)
assert (prefixes - net(x)[0]).abs().max() < 1e-12
print("one pass over 80 tokens = 80 passes over prefixes, to < 1e-12; future unseen")

T, levels = 16, [1, 2, 4, 8]  # width 2
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
alive = {T - 1}
for y in range(len(levels), -1, -1):
    ax.plot(range(T), [y] * T, "o", mfc="white", mec="0.6", ms=9)
    ax.plot(sorted(alive), [y] * len(alive), "o", color="C0", ms=9)
    if y:
        edges = [(t, t - j * levels[y - 1]) for t in alive for j in (0, 1)]
        for top, bottom in edges:
            ax.plot([top, bottom], [y, y - 1], color="C0", zorder=0)
        alive = {bottom for _, bottom in edges}
ax.set_yticks(range(5), ["input", *[f"dilation {d}" for d in levels]])
ax.set(xlabel="position t", xticks=range(0, T, 3), xlim=(-0.7, T - 0.3))
ax.spines[:].set_visible(False)
plt.show()
