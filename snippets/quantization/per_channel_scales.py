"""Scaling a channel up and its use down changes no output, yet ruins 8 bits with one
scale per tensor; one per output channel helps in part, equalizing layers repairs it.

Krishnamoorthi, 2018; Nagel and others, Data-Free Quantization, ICCV 2019.
One CNN a seed: x (N, SEEDS, 8, 8), weights (SEEDS * C, c, k, k).
"""

import matplotlib.pyplot as plt
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

net = nn.Sequential(  # groups=S: the networks share no weight
    nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
    nn.ReLU(),
    nn.Conv2d(8 * S, 16 * S, 3, groups=S),
    nn.ReLU(),
    nn.Conv2d(16 * S, 10 * S, 2, groups=S),
    nn.Unflatten(1, (S, 10)),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(1200, (120, 100)):
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()
net.requires_grad_(False)
first, second, test, truth = net[0], net[2], x[1200:], y[1200:]


def quantized(w, scales, bits=8):  # symmetric, levels -top to top
    top = 2 ** (bits - 1) - 1
    s = w.view(scales, -1).abs().amax(1).view(-1, 1) / top
    return ((w.view(scales, -1) / s).round() * s).view_as(w)


def accuracy(per_channel):
    weights = {
        n: quantized(w, len(w) if per_channel else S) if w.dim() == 4 else w
        for n, w in net.named_parameters()
    }
    f = torch.func.functional_call(net, weights, test)
    return (f.argmax(2) == truth).double().mean(0)  # (SEEDS,)


def rescale(a):  # a > 0, (SEEDS, 8); ReLU(a t) = a ReLU(t), so the output stays
    first.weight *= a.view(-1, 1, 1, 1)
    first.bias *= a.flatten()
    second.weight /= a.repeat_interleave(16, 0).view(16 * S, 8, 1, 1)


def equalize():  # range of each channel going out and coming in: both sqrt(r1 * r2)
    r1 = first.weight.abs().amax((1, 2, 3)).view(S, 8)
    r2 = second.weight.view(S, 16, 8, 9).abs().amax((1, 3))
    rescale((r2 / r1).sqrt())


output, result, drawn = net(test), {}, {}
for name in ("trained", "rescaled", "equalized"):
    if name == "rescaled":
        rescale(10 ** (4 * torch.rand(S, 8) - 2))
    if name == "equalized":
        equalize()
    assert (net(test) - output).abs().max() < 1e-9 * output.abs().max()
    t, c = result[name] = accuracy(False), accuracy(True)
    print(
        f"{name:9} 8 bits, per tensor {t.mean():.2f} ({t.min():.2f}-{t.max():.2f}), "
        f"per channel {c.mean():.2f} ({c.min():.2f}-{c.max():.2f}), n={S}"
    )
    drawn[name] = first.weight[:8].flatten(1).clone()
(t0, _), (t1, c1), (t2, _) = result.values()
assert t1.mean() < t0.mean() - 0.1 and t1.mean() + 0.03 < c1.mean() < t0.mean() - 0.02
assert (t2 - t0).abs().max() < 0.02

figure, axes = plt.subplots(1, 3, figsize=(7, 2.8))
for axis, (name, w) in zip(axes, drawn.items()):
    axis.axhspan(-w.abs().max(), w.abs().max(), color="0.92")
    axis.plot([range(8)] * 2, [w.amin(1), w.amax(1)], color="tab:blue", lw=6, alpha=0.4)
    axis.plot(range(8), w, "k_"), axis.set_title(name), axis.set_xlabel("channel")
axes[0].set_ylabel("weights of layer 1"), plt.tight_layout(), plt.show()
