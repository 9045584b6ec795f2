"""Folding batch normalization into the convolution changes no output in eval mode, but
it spreads the channels' ranges: at few bits they need a scale each.

W' = W g / sqrt(v + e), b' = beta + (b - m) g / sqrt(v + e): Jacob and others, 2018. One
separable CNN a seed: x (N, SEEDS, 8, 8).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = 5  # seeds
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]


def block(i, o, k, stride, groups):  # the normalization brings the bias
    return [
        nn.Conv2d(i, o, k, stride, groups=groups, bias=False),
        nn.BatchNorm2d(o),
        nn.ReLU(),
    ]


net = nn.Sequential(  # groups=S: the networks share no weight
    *block(S, 16 * S, 2, 2, S),
    *block(16 * S, 16 * S, 3, 1, 16 * S),  # depthwise
    *block(16 * S, 32 * S, 1, 1, S),  # pointwise
    nn.Conv2d(32 * S, 10 * S, 2, groups=S),
    nn.Unflatten(1, (S, 10)),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(1200, (100, 60)):
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()
net.requires_grad_(False)
test, truth = x[1200:], y[1200:]


def fold(conv, bn):
    gain = bn.weight / (bn.running_var + bn.eps).sqrt()  # (O,)
    bias = 0 if conv.bias is None else conv.bias
    new = nn.Conv2d(
        conv.in_channels,
        len(gain),
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
    ).requires_grad_(False)
    new.weight.copy_(conv.weight * gain.view(-1, 1, 1, 1))
    new.bias.copy_(bn.bias + gain * (bias - bn.running_mean))
    return new


def quantized(w, scales, bits):  # symmetric, levels -top to top
    top = 2 ** (bits - 1) - 1
    s = w.view(scales, -1).abs().amax(1).view(-1, 1) / top
    return ((w.view(scales, -1) / s).round() * s).view_as(w)


def spread(conv):  # widest channel over narrowest, per seed
    r = conv.weight.flatten(1).abs().amax(1).view(S, -1)
    return r.amax(1) / r.amin(1)


training_mode = net(test)  # normalizes by this batch, and updates the running mean
folded = [m for k in (0, 3, 6) for m in (fold(net[k], net[k + 1]), nn.ReLU())]
folded = nn.Sequential(*folded, *net[9:])
gap = (net.eval()(test) - folded(test)).abs().max()
wrong = (training_mode - folded(test)).abs().max()
before, after = spread(net[3]), spread(folded[2])
full, rows = (net(test).argmax(2) == truth).double().mean(0), {}
assert gap < 1e-10 and wrong > 0.1 and (after > before).all()
print("folded against unfolded: difference < 1e-10 in eval, > 0.1 in training mode")
print(
    f"depthwise, widest over narrowest channel, {S} seeds: "
    f"{before.mean():.1f} before, {after.mean():.1f} after folding"
)
for bits in (8, 3):
    for per in ("tensor", "channel"):
        q = {
            n: quantized(w, S if per == "tensor" else len(w), bits)
            if w.dim() == 4
            else w
            for n, w in folded.named_parameters()
        }
        f = torch.func.functional_call(folded, q, test)
        a = rows[bits, per] = (f.argmax(2) == truth).double().mean(0)
        print(
            f"{bits} bits, scale per {per:7}: "
            f"{a.mean():.2f} ({a.min():.2f}-{a.max():.2f})"
        )
print(f"float: {full.mean():.2f} ({full.min():.2f}-{full.max():.2f})")
assert (rows[8, "tensor"] - full).abs().mean() < 0.01
assert rows[3, "channel"].mean() > rows[3, "tensor"].mean() + 0.02
