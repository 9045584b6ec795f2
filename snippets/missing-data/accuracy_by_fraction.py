"""How holes are filled decides how fast accuracy falls with their number.

Source: the definitions; regression is the Gaussian conditional mean.
Shapes: digits x (N, 64), seen (N, 64), library of training images (M, 64).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images, fractions, SEEDS = images / 16, [0.0, 0.2, 0.4, 0.6, 0.8], 5


def knn_fill(x, seen, library, k=5):  # distance up to a constant per row
    gaps = (seen + 0.0) @ library.square().T - 2 * (x * seen) @ library.T
    return torch.where(seen, x, library[gaps.topk(k, largest=False)[1]].mean(1))


def regression_fill(x, seen, library, ridge=0.01):  # all patterns at once
    mean, s = library.mean(0), seen + 0.0
    cov = torch.cov(library.T) + ridge * torch.eye(len(mean))
    block = cov * s[:, :, None] * s[:, None] + torch.diag_embed(1 - s)
    return torch.where(seen, x, mean + torch.linalg.solve(block, (x - mean) * s) @ cov)


names, rows = ("zeros", "mean", "regression", "kNN"), []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    train, test = torch.randperm(len(images))[:1100].split([800, 300])
    net = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, 2, 1),
        nn.ReLU(),  # 4x4
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for batch in (b for _ in range(12) for b in train[torch.randperm(800)].split(100)):
        loss = F.cross_entropy(net(images[batch]), labels[batch])  # no holes here
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, y, library = images[test], labels[test], images[train]
    for fraction in fractions:
        seen = torch.rand_like(x) >= fraction
        fills = [x * seen, torch.where(seen, x, library.mean(0))]
        fills += [f(x, seen, library) for f in (regression_fill, knn_fill)]
        rows.append([(net(f).argmax(1) == y).double().mean() for f in fills])
results = torch.tensor(rows).view(SEEDS, 5, 4).unbind(2)  # (seed, fraction) each
gaps = torch.stack(results)[:, :, 3].diff(dim=0)  # at 60 %, to the next better
assert gaps[0].mean() > 0.03 and gaps[1:].min() > 0.02  # mean only on average
plt.figure(figsize=(5, 3.4), layout="constrained")
for name, curve, style in zip(names, results, ("o:", "s--", "^-.", "D-")):
    plt.plot(fractions, curve.mean(0), style, label=name)
    low, high = curve[:, 3].aminmax()
    print(f"{name}: 60% lost {curve[:, 3].mean():.2f} ({low:.2f}-{high:.2f}, n=5)")
plt.gca().set(xlabel="share of pixels lost", ylabel="test accuracy")
plt.legend(title="holes filled with")
plt.show()
