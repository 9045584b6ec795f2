"""Huber's loss shrugs off outlying targets that bend a least-squares line; an outlying
input (leverage) defeats it as well.

y = 2 x + noise of deviation 0.1, 200 points, a tenth of them spoiled. Huber, 1964.
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)
DELTA, SEEDS = 0.2, 5


def influence(r, loss):
    """psi(r), the derivative of the loss by the residual r."""
    return {
        "squared": r,
        "Huber": r.clamp(-DELTA, DELTA),
        "absolute": DELTA * r.sign(),
        "Tukey": r * (1 - (r / (5 * DELTA)) ** 2).clamp(min=0) ** 2,
    }[loss]


def fit(x, y, loss, steps=200):
    """Solve sum_i psi(r_i) (x_i, 1) = 0 by reweighted least squares."""
    A = torch.stack([x, torch.ones_like(x)], 1)  # (N, 2)
    w = torch.ones_like(x)
    for _ in range(steps):
        beta = torch.linalg.solve(A.T @ (w[:, None] * A), A.T @ (w * y))
        r = y - A @ beta
        r = torch.where(r.abs() < 1e-9, 1e-9, r)  # for absolute
        w = influence(r, loss) / r
    return beta  # slope, intercept


losses, bad = ["squared", "Huber", "absolute", "Tukey"], torch.arange(200) < 20
error = torch.zeros(2, 4, SEEDS)  # of the line, worst point of [-1, 1]
for seed in range(SEEDS):
    torch.manual_seed(seed)
    x = torch.rand(200) * 2 - 1
    clean = 2 * x + 0.1 * torch.randn(200)
    targets = x, torch.where(bad, clean + 8, clean)
    leverage = torch.where(bad, 10.0, x), clean  # wrong inputs, far away
    for k, loss in enumerate(losses):
        for i, (x, y) in enumerate((targets, leverage)):
            slope, intercept = fit(x, y, loss)
            error[i, k, seed] = (slope - 2).abs() + intercept.abs()
for loss, a, b in zip(losses, *error):
    print(
        f"{loss:8} error of the line: targets + 8 {a.mean():.2f} ({a.min():.2f} to "
        f"{a.max():.2f}), inputs at 10 {b.mean():.2f}; {SEEDS} seeds"
    )
assert error[0, 0].min() > 0.6 and error[0, 1:].max() < 0.15
assert error[1].min() > 1  # leverage defeats all four

fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
left.plot(*(v[~bad][::3] for v in targets), ".", color="gray", ms=4)
left.plot(*(v[bad] for v in targets), "x", color="gray", ms=6)
r, ends = torch.linspace(-1.5, 1.5, 101), torch.tensor([-1.0, 1.0])
for loss, style in zip(losses, ["-", "--", ":", "-."]):
    slope, intercept = fit(*targets, loss)
    left.plot(ends, slope * ends + intercept, style, lw=2.5)
    right.plot(r, influence(r, loss), style, lw=2.5, label=loss)
left.set(xlabel="x", ylabel="y", title="fits (crosses: spoiled)")
right.set(xlabel="residual r", title="influence", ylim=(-0.6, 1.1)), right.legend()
plt.tight_layout(), plt.show()
