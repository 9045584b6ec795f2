"""Averaging lowers confidence: a cure for over-confident members only.

Guo and others, ICML 2017 (ECE, temperature); Rahaman, Thiery, NeurIPS 2021.
Shapes: of members p (N, M, 10), of one prediction p (N, 10), labels y (N,).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, digits = map(torch.from_numpy, load_digits(return_X_y=True))
images, SEEDS, M = images.view(-1, 8, 8) / 16, 5, 5


def train(index, labels, epochs=80):  # groups=M: M separate CNNs
    net = nn.Sequential(
        nn.Conv2d(M, 8 * M, 3, padding=1, groups=M),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8 * M, 10 * M, 4, groups=M),
        nn.Unflatten(1, (M, 10)),
        nn.Flatten(2),
    )
    optimizer = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(epochs):
        z = net(images[index][:, None].expand(-1, M, -1, -1))
        loss = M * F.cross_entropy(z.mT, labels[index][:, None].expand(-1, M))
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    return net(images[:, None].expand(-1, M, -1, -1)).detach()


def ece(p, y, bins=15):
    """Gap between confidence and accuracy, averaged over bins by size."""
    confidence, guess = p.max(1)
    gap = confidence - (guess == y).double()
    index = (confidence * bins).long().clamp(max=bins - 1)
    return torch.zeros(bins).index_add(0, index, gap).abs().sum() / len(y)


def heat(p, val):
    """Temperature scaling: the T that makes the validation labels likely."""
    grid = torch.logspace(-1, 1, 81)
    losses = [F.cross_entropy(p[val].log() / t, digits[val]) for t in grid]
    return (p.log() / grid[torch.stack(losses).argmin()]).softmax(1)


rows = []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    index, val, test = torch.randperm(len(images)).split([200, 300, 1297])
    labels = digits.clone()  # 30% wrong labels, fitted: over-confident members
    labels[index[:60]] = (labels[index[:60]] + torch.randint(1, 10, (60,))) % 10
    p = train(index, labels).softmax(2)
    mild = torch.stack([heat(p[:, m], val) for m in range(M)], 1)
    y, pools = digits[test], [p.mean(1), mild.mean(1), heat(p.mean(1), val)]
    row = [sum(ece(q[test, m], y) for m in range(M)) / M for q in (p, mild)]
    row += [ece(pool[test], y) for pool in pools]
    nll = F.nll_loss(mild[test].log().mT, y[:, None].expand(-1, M))
    rows.append(torch.stack([*row, nll, F.nll_loss(pools[1][test].log(), y)]))
rows = torch.stack(rows)  # (SEEDS, 7)
raw, calibrated, pooled, pooled_mild, last, nll, pooled_nll = rows.T
assert (pooled < raw).all() and (pooled_mild > calibrated + 0.03).all()
assert (last < pooled_mild - 0.02).all() and (pooled_nll < nll - 0.05).all()
names = "members", "calibrated members", "pool", "pool of calibrated", "calibrated pool"
for name, e in zip(names, rows.T):
    print(f"ECE of {name}: {e.mean():.2f} ({e.min():.2f}-{e.max():.2f}, n={SEEDS})")
print(f"NLL of calibrated members {nll.mean():.2f}, their pool {pooled_nll.mean():.2f}")
