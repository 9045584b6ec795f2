"""For 8-bit activations the calibration rule does not matter; for 3 bits, with one
faulty image in the calibration set, it decides: min-max fails, entropy does not.

Percentile, MSE: Nagel and others, 2021; entropy: Migacz, 2017. One CNN a seed:
x (N, SEEDS, 8, 8); activations a (SEEDS, values), clipped at top (SEEDS,).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = 5
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


def quantized(a, top, bits):  # after a ReLU: zero point 0, levels 0 to n
    s, n = top[:, None] / (2**bits - 1), 2**bits - 1
    return (a / s).round().clamp(max=n) * s


def mse(a, bits):  # least squared error among 100 candidates
    tops = a.amax(1) * torch.linspace(0.01, 1, 100)[:, None]  # (100, SEEDS)
    error = torch.stack([(quantized(a, t, bits) - a).square().mean(1) for t in tops])
    return tops.gather(0, error.argmin(0)[None])[0]


def divergence(h, m, levels):  # KL of h clipped at bin m against its coarse version
    p, seen = h[:m].clone(), (h[:m] > 0).double()
    p[-1] += h[m:].sum()  # clipping piles the tail on the last bin
    level = torch.arange(m) * levels // m
    total, used = (torch.zeros(levels).index_add(0, level, v) for v in (h[:m], seen))
    q = (total / used.clamp(min=1))[level] * seen / h[:m].sum()
    p = p / h.sum()
    return (p * (p / q.clamp(min=1e-12)).clamp(min=1e-12).log()).sum()


def entropy(a, bits, bins=512):
    tops, n = [], 2**bits - 1
    for v in a:
        h = torch.histc(v[v > 0], bins, 0, v.max().item())
        m = min(range(n, bins + 1, 8), key=lambda m: divergence(h, m, n))
        tops.append(v.max() * m / bins)
    return torch.stack(tops)


rules = {
    "min-max": lambda a, bits: a.amax(1),
    "mse": mse,
    "entropy": entropy,
    "percentile": lambda a, bits: a.quantile(0.999, 1),
}


def accuracy(a):
    f = net[4:](a.view(S, 597, 64).transpose(0, 1).reshape(597, S * 16, 2, 2))
    return (f.argmax(2) == y[1200:]).double().mean(0)


h, got = net[:4](x).view(len(x), S, 64).transpose(0, 1), {}  # after the second ReLU
for name, brightness in (("clean", 1), ("faulty", 16)):
    first = net[:4](brightness * x[:1]).view(1, S, 64).transpose(0, 1)
    sample = torch.cat([first, h[:, 1:64]], 1).flatten(1)  # 64 calibration images
    for bits in (8, 3):
        for rule, clip in rules.items():
            top = clip(sample, bits)
            v = accuracy(quantized(h[:, 1200:].flatten(1), top, bits))
            got[name, bits, rule] = v.mean(), top[0]
            print(
                f"{name:6} {bits} bits {rule:10} clips at {top.mean():5.1f}, "
                f"accuracy {v.mean():.2f} ({v.min():.2f}-{v.max():.2f}, n={S})"
            )
acc = {key: v[0] for key, v in got.items()}
assert max(acc["clean", 8, r] - acc["faulty", 8, r] for r in rules) < 0.01
assert acc["faulty", 3, "entropy"] > acc["clean", 3, "entropy"] - 0.02
assert acc["faulty", 3, "min-max"] < 0.6 and acc["faulty", 3, "mse"] < 0.93

figure, axis = plt.subplots(figsize=(6.4, 3.2))
axis.hist(sample[0].numpy(), 60, log=True, color="0.75")
for rule, style in zip(rules, ("-", "--", ":", "-.")):
    axis.axvline(got["faulty", 3, rule][1], ls=style, color="k", label=rule)
axis.set_xlabel("activation"), axis.set_ylabel("number of values")
axis.legend(title="clips at"), plt.tight_layout(), plt.show()
