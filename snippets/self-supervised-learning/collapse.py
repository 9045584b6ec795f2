"""Agreement alone collapses; stop-gradient plus predictor, or variance, saves it.

SimSiam: Chen and He, arXiv 2011.10566. VICReg: Bardes, Ponce, LeCun, arXiv
2105.04906. Digits (N, 1, 8, 8) -> embeddings z (N, 32), predictions p (N, 32).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
x, SEEDS = torch.tensor(load_digits().images / 16)[:, None], range(5)


def view(x):  # turn by up to 25 degrees, shift by up to 1 px
    a = torch.empty(len(x)).uniform_(-25, 25).deg2rad()
    dx, dy = torch.empty(2, len(x)).uniform_(-0.25, 0.25)
    theta = torch.stack([a.cos(), -a.sin(), dx, a.sin(), a.cos(), dy], 1)
    grid = F.affine_grid(theta.view(-1, 2, 3), x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def cosine(a, b):  # the more alike, the lower
    return -F.cosine_similarity(a, b).mean()


def low_variance(z):  # VICReg's hinge: each dimension should have std 1 in the batch
    return (1 - (z.var(0) + 1e-4).sqrt()).relu().mean()


losses = {  # of the embeddings of two views, a and b, and the predictor p
    "agreement alone": lambda a, b, p: cosine(a, b),
    "SimSiam": lambda a, b, p: cosine(p(a), b.detach()) + cosine(p(b), a.detach()),
    "- no stop-gradient": lambda a, b, p: cosine(p(a), b) + cosine(p(b), a),
    "- no predictor": lambda a, b, p: cosine(a, b.detach()) + cosine(b, a.detach()),
    "variance hinge": lambda a, b, p: (
        F.mse_loss(a, b) + low_variance(a) + low_variance(b)
    ),
}
spread = torch.zeros(len(losses), len(SEEDS))
for n, loss in enumerate(losses.values()):
    for m, seed in enumerate(SEEDS):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Linear(32, 32),
        )
        predictor = nn.Sequential(
            nn.Linear(32, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 32)
        )
        weights = [*net.parameters(), *predictor.parameters()]
        sgd = torch.optim.SGD(weights, 0.1, momentum=0.9)
        for _ in range(100):
            batch = x[torch.randint(len(x), (64,))]
            sgd.zero_grad()
            loss(net(view(batch)), net(view(batch)), predictor).backward()
            sgd.step()
        z = F.normalize(net(x), dim=1).detach()  # on the unit sphere
        spread[n, m] = z.std(0).mean() * 32**0.5  # 1: all directions; 0: one point
healthy = torch.tensor([False, True, False, False, True])
assert spread[healthy].min() > 0.5 and spread[~healthy].max() < 0.2
for name, row in zip(losses, spread):
    print(f"{name:18}  {row.mean():.2f} ({row.min():.2f} to {row.max():.2f})")
print(f"std of a dimension times sqrt(d), {len(SEEDS)} seeds")
