"""A randomized-smoothing certificate: inside the radius R no attack changes the vote.

Cohen, Rosenfeld, Kolter, ICML 2019. One CNN a seed: images x (N, SEEDS, 8, 8),
logits (N, SEEDS, 10); L2 balls; each bound holds with probability 0.999.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from scipy.stats import beta, norm
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = SEEDS = 5
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]


def votes(net, x, sigma, n):  # how often each class wins under noise: (N, S, 10)
    with torch.no_grad():
        guesses = (net(x + sigma * torch.randn_like(x)).argmax(-1) for _ in range(n))
        return sum(F.one_hot(g, 10) for g in guesses)


def certify(net, x, sigma, n0=20, n=400, alpha=0.001):
    """Class and radius; the class is chosen on other samples than those that count."""
    top = votes(net, x, sigma, n0).argmax(-1)
    k = votes(net, x, sigma, n).gather(-1, top[..., None]).squeeze(-1).numpy()
    p = torch.from_numpy(beta.ppf(alpha, k, n - k + 1)).nan_to_num(0)  # Clopper-Pearson
    radius = sigma * torch.from_numpy(norm.ppf(p.numpy()))
    return top, torch.where(p > 0.5, radius, -1.0)  # -1: abstain


def attack(net, x, y, radius, sigma, steps=10, samples=4):
    """L2 ascent on the mean loss under noise, projected to the given radius."""
    d, r = torch.zeros_like(x), radius[..., None, None]
    for _ in range(steps):
        d.requires_grad_()
        z = (x + d).repeat(samples, 1, 1, 1)
        f = net(z + sigma * torch.randn_like(z))
        t = y.repeat(samples, 1).flatten()
        loss = F.cross_entropy(f.flatten(0, -2), t, reduction="sum")
        (g,) = torch.autograd.grad(loss, d)
        d = (d + r / 4 * F.normalize(g.flatten(-2), dim=-1).view_as(d)).detach()
        scale = (r / d.square().sum((-2, -1), keepdim=True).sqrt()).nan_to_num(0)
        d = d * scale.clamp(max=1)  # nan: radius and change are both 0
    return x + d


def train(sigma):
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
    for i in torch.randint(1200, (120, 100)):  # the noise of the certificate
        f = net(x[i] + sigma * torch.randn_like(x[i]))
        loss = F.cross_entropy(f.flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return net


test, truth, grid = x[-40:], y[-40:], torch.linspace(0, 1, 41)
plain = (train(0)(test).argmax(2) == truth).double().mean(0)
print(f"no smoothing: accuracy {plain.mean():.2f}, proved nothing")
for sigma, style in (0.15, "k-"), (0.4, "C0--"):
    net = train(sigma)
    top, radius = certify(net, test, sigma)
    proved = [((top == truth) & (radius > r)).double().mean(0) for r in grid]
    plt.plot(grid, torch.stack(proved).mean(1), style, label=f"sigma {sigma}")
    lost = []
    for scale in (0.99, 3):  # inside the proved radius, and far outside
        z = attack(net, test, top, scale * radius.clamp(0), sigma)
        k = votes(net, z, sigma, 400).gather(-1, top[..., None]).squeeze(-1)
        upper = torch.from_numpy(beta.ppf(0.999, k + 1, 400 - k)).nan_to_num(1)
        lost.append((upper < 0.5)[radius > 0].double().mean())  # surely no majority
    print(
        f"sigma {sigma}: certified at 0, 0.25, 0.5:",
        ", ".join(
            f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in proved[:21:10]
        ),
    )
    print(f"  votes lost, attacked at 0.99 R: {lost[0]:.2f}, at 3 R: {lost[1]:.2f}")
    assert lost[0] == 0 and lost[1] > 0.3 and (proved[0] < plain + 0.05).all()
plt.xlabel("L2 radius"), plt.ylabel("certified accuracy"), plt.legend(), plt.show()
