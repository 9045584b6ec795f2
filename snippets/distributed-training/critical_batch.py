"""Steps to a target: halved by every doubling of the batch at first, hardly later.

Source: Shallue and others, 2019; McCandlish and others, 2018. Softmax regression
on 1500 digits; the best of nine learning rates at each batch size, five seeds.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
X, Y = load_digits(return_X_y=True)
X, Y = torch.tensor(X / 16)[:1500], torch.eye(10)[Y][:1500]
RATES = 2.0 ** torch.arange(-4, 5).view(-1, 1, 1, 1)  # (rates, 1, 1, 1)
TARGET, SEEDS = 0.25, 5


def loss(weights):
    return -(Y[:500] * torch.log_softmax(X[:500] @ weights, -1)).sum(-1).mean(-1)


def steps_to_target(batch, seeds, limit=4000):
    """First step at which the training loss is below TARGET, best rate: (seeds,)."""
    torch.manual_seed(batch)
    weights = torch.zeros(len(RATES), seeds, 64, 10)
    found = torch.full((len(RATES), seeds), float("inf"))
    step, check = 0, 0
    while step < limit and found.min(0).values.isinf().any():
        chosen = torch.randint(len(X), (seeds, batch))  # the same data for every rate
        x, y = X[chosen], Y[chosen]
        error = torch.softmax(x @ weights, -1) - y
        weights = weights - RATES * (x.transpose(-1, -2) @ error) / batch
        step += 1
        if step >= check:  # look at intervals of 3 percent: it costs a whole epoch
            found[(loss(weights) < TARGET) & found.isinf()] = step
            check = step * 1.03
    return found.min(0).values


batches = [2, 4, 8, 16, 32, 64, 256, 1024]
steps = torch.stack([steps_to_target(b, SEEDS) for b in batches])  # (sizes, seeds)
median = steps.median(1).values
assert steps.isfinite().all()
assert median[0] > 4 * median[4]  # 2 to 32: 16 times the batch, far fewer steps
assert median[5] < 2 * median[7]  # 64 to 1024: 16 times the batch, hardly fewer
low, high = steps.min(1).values, steps.max(1).values
for b, mid, least, most in zip(batches, median, low, high):
    print(f"batch {b:4d}: {mid:3.0f} steps ({least:.0f} to {most:.0f})")

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.errorbar(
    batches,
    median,
    yerr=torch.stack([median - low, high - median]).numpy(),
    marker="o",
    capsize=3,
    label="measured: median and range",
)
perfect = [float(median[0]) * 2 / b for b in batches]
ax.loglog(batches, perfect, "k--", label="perfect scaling: steps x batch fixed")
ax.set_xticks([2, 8, 32, 128, 512], ["2", "8", "32", "128", "512"])
ax.set(xlabel="batch size", ylabel="steps to the target", ylim=(8, 500))
ax.set_yticks([10, 30, 100, 300], ["10", "30", "100", "300"])
ax.minorticks_off()
ax.legend()
plt.show()
