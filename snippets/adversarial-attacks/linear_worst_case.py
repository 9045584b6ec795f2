"""On a linear model one FGSM step is the exact worst case: it shifts the score by
eps ||w||_1, where random noise of the same size shifts it by about eps ||w||_2.

Goodfellow, Shlens, Szegedy, ICLR 2015. Shapes: images x (N, 64), weights w (64,).
"""

import torch
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
keep = (Y == 3) | (Y == 8)
X, Y = X[keep] / 16, (Y[keep] == 8) * 2.0 - 1  # labels -1 and +1
eps, SEEDS, rows = 0.1, 5, []


def fgsm(score, x, y, eps):
    x = x.clone().requires_grad_()
    loss = torch.nn.functional.softplus(-y * score(x)).sum()
    return (x + eps * torch.autograd.grad(loss, x)[0].sign()).detach()


for seed in range(SEEDS):
    torch.manual_seed(seed)
    fit, test = torch.randperm(len(X)).split([200, len(X) - 200])
    ones = torch.ones(len(X), 1)
    A = torch.cat([X, ones], 1)[fit]
    ridge = torch.linalg.solve(A.T @ A + torch.eye(65), A.T @ Y[fit])
    w, b = ridge[:64], ridge[64]
    score = lambda x, w=w, b=b: x @ w + b
    x, y = X[test], Y[test]
    margin = y * score(x)  # > 0: right
    l1, l2 = w.abs().sum(), w.square().sum().sqrt()
    # No clipping to [0, 1] here, so the algebra is exact.
    drop = margin - y * score(fgsm(score, x, y, eps))
    corners = eps * torch.randn(100_000, 64).sign()  # of the box around x
    shift = (corners @ w).abs()
    nearest = x - ((margin + 1e-9) * y / l2**2)[:, None] * w  # on the other side
    moved = (nearest - x).square().sum(1).sqrt()
    assert (drop - eps * l1).abs().max() < 1e-12  # the closed form
    assert shift.max() < 0.95 * eps * l1  # 100,000 guesses do not reach it
    assert (y * score(nearest) < 0).all() and (moved - margin.abs() / l2).max() < 1e-6
    accurate = [(m > 0).double().mean() for m in (margin, margin - eps * l1)]
    rows.append([*accurate, shift.mean() / (eps * l1), shift.max() / (eps * l1)])
rows = torch.tensor(rows)
assert (rows[:, 0] - rows[:, 1]).min() > 0.2 and rows[:, 2].max() < 0.25
names = "accuracy clean", "accuracy in the worst case", "mean random shift / FGSM's"
for name, v in zip((*names, "largest of 100,000 / FGSM's"), rows.T):
    print(f"{name}: {v.mean():.2f} ({v.min():.2f} to {v.max():.2f}, n={SEEDS})")
print("FGSM's shift equals eps ||w||_1, error < 1e-12")
