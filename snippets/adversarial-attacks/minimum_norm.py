"""Each attack wins in the norm it minimizes: DeepFool and Carlini-Wagner need the least
L2 distance, the sign attacks (FGSM, PGD) the least change of any one pixel.

Moosavi-Dezfooli and others, CVPR 2016; Carlini, Wagner, S&P 2017. One CNN a seed:
images x (N, S, 8, 8), logits f (N, S, 10), classes y (N, S).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


def sign_attack(net, x, y, eps, steps):  # one step: FGSM; several: PGD
    z, step = x.clone(), eps if steps == 1 else 2.5 * eps / steps
    for _ in range(steps):
        f = net(z.requires_grad_()).flatten(0, -2)
        loss = F.cross_entropy(f, y.flatten(), reduction="sum")
        z = z.detach() + step * torch.autograd.grad(loss, z)[0].sign()
        z = z.clamp(x - eps, x + eps).clamp(0, 1)  # box, pixel range
    return z


def deepfool(net, x, y, steps=20):  # to the nearest boundary of a linearized net
    z, own = x.clone(), F.one_hot(y, 10).bool()
    for _ in range(steps):
        f = net(z.requires_grad_())
        totals = f.sum(tuple(range(f.dim() - 1)))  # gradient of each logit
        g = [torch.autograd.grad(v, z, retain_graph=True)[0] for v in totals]
        w = torch.stack(g, -3).flatten(-2)  # (N, S, 10, 64)
        w = w - w[own].view(*y.shape, 1, -1)
        gap = (f[own].view(*y.shape, 1) - f).detach().masked_fill(own, torch.inf)
        norm = w.square().sum(-1).sqrt().clamp(1e-12)
        near = F.one_hot((gap.abs() / norm).argmin(-1), 10).bool()
        step = ((gap.abs() + 1e-4 * norm) / norm**2)[near][:, None] * w[near]
        alive = (gap.amin(-1) > 0)[..., None, None]
        z = (z + 1.02 * step.view_as(x) * alive).clamp(0, 1).detach()
    return z


def carlini_wagner(net, x, y, constants=(0.1, 0.3, 1), steps=60):
    """Minimize distance^2 + c * margin; keep the nearest misclassified point."""
    own, best, size = F.one_hot(y, 10).bool(), x.clone(), torch.full(y.shape, torch.inf)
    for c in constants:
        u = torch.atanh((2 * x - 1) * 0.999).requires_grad_()
        adam = torch.optim.Adam([u], 0.1)
        for _ in range(steps):
            z = (1 + u.tanh()) / 2  # stays in [0, 1]
            f, d = net(z), (z - x).square().sum((-2, -1))
            margin = f[own].view_as(y) - f.masked_fill(own, -torch.inf).amax(-1)
            better = (margin < 0) & (d < size)
            size[better], best[better] = d[better].detach(), z[better].detach()
            adam.zero_grad(), (d + c * margin.clamp(0)).sum().backward(), adam.step()
    return best


torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y, S = *map(torch.from_numpy, load_digits(return_X_y=True)), 5
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]
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
for i in torch.randint(1200, (100, 100)):
    loss = S * F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()
x, y = x[-40:], net(x[-40:]).argmax(-1)  # aim: lose the class the network gives now
found = {"DeepFool": deepfool(net, x, y), "Carlini-Wagner": carlini_wagner(net, x, y)}
for name, steps in ("FGSM", 1), ("PGD", 8):  # at the smallest budget that fools
    found[name], open_ = x.clone(), y >= 0
    for eps in torch.linspace(0.02, 0.5, 25):
        z = sign_attack(net, x, y, eps, steps)
        won = open_ & (net(z).argmax(-1) != y)
        found[name][won], open_ = z[won], open_ & ~won
size = []
for name, z in found.items():
    norms = [torch.linalg.vector_norm(z - x, k, (2, 3)) for k in (2, torch.inf)]
    l2, top = (v.median(0)[0] for v in norms)  # each (S,)
    size.append([l2, top])
    print(
        f"{name:14} L2 {l2.mean():.2f} ({l2.min():.2f}-{l2.max():.2f}), top pixel",
        f"{top.mean():.2f} ({top.min():.2f}-{top.max():.2f}, n={S})",
    )
    assert (net(z).argmax(-1) != y).all()
deep, cw, fgsm, pgd = (torch.stack(s) for s in size)  # each (2, S)
assert (deep[0] < 0.9 * pgd[0]).all() and (cw[0] < 0.9 * pgd[0]).all()
assert (pgd[1] <= fgsm[1]).all() and (1.4 * pgd[1] < torch.min(deep[1], cw[1])).all()
