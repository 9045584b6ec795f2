"""Self-distillation of a ridge regression: every round shrinks the weak directions.

Mobahi and others, NeurIPS 2020; with one fixed ridge: Borup, Andersen, 2021. On the
features of a random CNN. Shapes: kernel K (N, N), targets (N, classes).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)


def self_distill(K, targets, rounds, ridge):
    """Coefficients of the last round, in one formula.

    In direction i of K, with eigenvalue w_i, a round multiplies by w_i / (w_i + ridge).
    """
    w, U = torch.linalg.eigh(K)
    shrink = (w / (w + ridge)) ** (rounds - 1) / (w + ridge)
    return U @ (shrink[:, None] * (U.T @ targets))


def refit(K, targets, rounds, ridge):
    """The same by doing it: fit, predict, fit to the predictions."""
    for _ in range(rounds):
        a = torch.linalg.solve(K + ridge * torch.eye(len(K)), targets)
        targets = K @ a
    return a


torch.manual_seed(0)
images, digits = map(torch.from_numpy, load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16
maps = F.conv2d(images, torch.randn(64, 1, 3, 3), padding=1).relu()
features = F.normalize(F.max_pool2d(maps, 2).flatten(1))
x, y, n = features[:300], digits[:300], 120
wrong = y.clone()
wrong[:n] = (y[:n] + torch.randint(1, 10, (n,))) % 10  # 40 % of the labels
K, targets = x @ x.T, F.one_hot(wrong, 10).double()
torch.testing.assert_close(
    self_distill(K, targets, 8, 0.01), refit(K, targets, 8, 0.01)
)
print("eight rounds of fitting = the formula")


def accuracy(rounds, ridge):
    a = self_distill(K, targets, rounds, ridge)
    guess = (features[300:] @ x.T @ a).argmax(1)
    return (guess == digits[300:]).double().mean()


for rounds, ridge in ((1, 0.01), (16, 0.01), (128, 0.01), (1, 0.1)):
    score = 100 * accuracy(rounds, ridge)
    print(f"40 % wrong labels, rounds {rounds}, ridge {ridge}: {score:.0f} % right")
assert accuracy(16, 0.01) > accuracy(1, 0.01) + 0.05
assert accuracy(1, 0.1) > accuracy(16, 0.01) - 0.03  # a larger ridge does as much

# Figure: test accuracy against rounds, beside one fit with a larger ridge.
counts = [1, 2, 4, 8, 16, 32, 64, 128]
fig, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
ax.plot(counts, [accuracy(r, 0.01) for r in counts], "o-", label="rounds, ridge 0.01")
ax.axhline(accuracy(1, 0.1), color="k", ls=":", label="one round, ridge 0.1")
ax.set(xscale="log", xlabel="rounds (log scale)", ylabel="test accuracy")
ax.set_xticks(counts, counts)
ax.minorticks_off()
ax.legend()
plt.show()
