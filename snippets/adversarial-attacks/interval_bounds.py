"""Interval bounds prove that no point of the box changes the class; on an ordinary
network they prove nothing, on one trained through them they prove most images.

Gowal and others, 2018. One CNN a seed: images x (N, S, 8, 8), logits (N, S, 10).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S, eps = 5, 0.1
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]


def bounds(net, low, high):
    """Limits of every logit over the box, layer by layer."""
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            center, radius = layer((low + high) / 2), (high - low) / 2
            spread = F.conv2d(
                radius,
                layer.weight.abs(),
                None,
                layer.stride,
                layer.padding,
                layer.dilation,
                layer.groups,
            )
            low, high = center - spread, center + spread
        else:  # ReLU and reshaping: monotone
            low, high = layer(low), layer(high)
    return low, high


def worst_logits(net, x, y, eps):
    """True class at its least, others at their most: right here, right all over."""
    low, high = bounds(net, (x - eps).clamp(0, 1), (x + eps).clamp(0, 1))
    return torch.where(F.one_hot(y, 10).bool(), low, high)


def train(certified, steps=150):
    net = nn.Sequential(  # groups=S: the networks share no weight
        nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
        nn.ReLU(),
        nn.Conv2d(8 * S, 32 * S, 4, groups=S),
        nn.ReLU(),
        nn.Conv2d(32 * S, 10 * S, 1, groups=S),
        nn.Unflatten(1, (S, 10)),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for step, i in enumerate(torch.randint(1200, (steps, 100))):
        share = min(1, 1.5 * step / steps)  # from ordinary to certified
        f, t = net(x[i]), y[i]
        if certified:  # half of the loss on images, half on proofs
            worst = worst_logits(net, x[i], t, share * eps)
            f, t = torch.cat([f, worst]), t.repeat(2, 1)
        loss = F.cross_entropy(f.flatten(0, 1), t.flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return net


def pgd(net, x, y, eps, steps=20):
    z = x.clone()
    for _ in range(steps):
        f = net(z.requires_grad_()).flatten(0, 1)
        loss = F.cross_entropy(f, y.flatten(), reduction="sum")
        z = z.detach() + eps / 4 * torch.autograd.grad(loss, z)[0].sign()
        z = z.clamp(x - eps, x + eps).clamp(0, 1)
    return z


a, b, rows = x[-200:], y[-200:], []
print(f"accuracy, n={S}      clean             PGD-20            proved")
for name, certified in ("ordinary", False), ("trained on bounds", True):
    net = train(certified)
    low, high = bounds(net, (a - eps).clamp(0, 1), (a + eps).clamp(0, 1))
    for k in range(50):  # try to leave the bounds: inner points and corners of the box
        d = torch.rand_like(a) * 2 - 1
        f = net((a + eps * (d if k % 2 else d.sign())).clamp(0, 1))
        assert (low - 1e-9 < f).all() and (f < high + 1e-9).all()
    attacked, proof = net(pgd(net, a, b, eps)), worst_logits(net, a, b, eps)
    assert not ((proof.argmax(2) == b) & (attacked.argmax(2) != b)).any()
    logits = net(a), attacked, proof
    rows.append([(f.argmax(2) == b).double().mean(0) for f in logits])
    texts = [f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in rows[-1]]
    print(f"{name:18}", *texts)
(clean, weak, none), (cost, strong, proved) = rows
print("inside the bounds: 50 points of each box; proved and yet fooled by PGD: 0")
assert none.max() < 0.02 and proved.min() > 0.3 and (strong > weak + 0.05).all()
assert (clean - cost).mean() > 0.02
