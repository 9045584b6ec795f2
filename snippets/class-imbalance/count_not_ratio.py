"""The minority's count limits the result; its ratio mostly moves the threshold.

Logistic regression between two normal clouds in 20 dimensions, 2 standard deviations
apart, trained with n minority examples and r times as many of the majority. Tested on
10,000 cases, half and half, at p = 0.5 and at the prior, p = 1 / (1 + r).
"""

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression

torch.set_default_dtype(torch.float64)
counts, ratios, seeds = (10, 50, 250), (1, 10, 100), range(5)


def sample(positives, negatives):
    y = (torch.arange(positives + negatives) < positives).double()
    x = torch.randn(len(y), 20)
    x[:, 0] += 2 * y
    return x, y


fixed, moved = torch.zeros(2, len(counts), len(ratios), len(seeds))
for k, seed in enumerate(seeds):
    torch.manual_seed(seed)
    x_test, y_test = sample(5000, 5000)  # accuracy = balanced accuracy
    for i, n in enumerate(counts):
        for j, ratio in enumerate(ratios):
            model = LogisticRegression(tol=1e-6).fit(*sample(n, n * ratio))
            log_odds = torch.tensor(model.decision_function(x_test))
            for score, cut in ((fixed, 0.0), (moved, -torch.tensor(ratio).log())):
                score[i, j, k] = ((log_odds > cut) == y_test).double().mean()

a, b = fixed.mean(2), moved.mean(2)  # (count, ratio)
assert (a[:, 2] < 0.6).all()  # 1 : 100 at p = 0.5 looks like a disaster
assert (b[:, 2] > b[:, 0] - 0.02).all()  # but it is the threshold alone
assert (b[2] > b[0] + 0.03).all()  # 250 against 10 examples, at every ratio
print("balanced accuracy, 5 seeds (rows n = 10, 50, 250; columns r = 1, 10, 100)")
for name, table in (("p = 0.5", a), ("p = prior", b)):
    print(f"{name:9s}", "; ".join(" ".join(f"{v:.2f}" for v in row) for row in table))

fig, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for ax, table, title in zip(axes, (a, b), ("alarm above 0.5", "above the prior")):
    ax.imshow(table.numpy(), cmap="Blues", vmin=0.45, vmax=1)
    for i in range(3):
        for j in range(3):
            ax.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", size=13)
    ax.set(
        title=title,
        xticks=range(3),
        yticks=range(3),
        yticklabels=counts,
        xticklabels=[f"1:{r}" for r in ratios],
        xlabel="ratio",
    )
axes[0].set_ylabel("minority examples")
plt.tight_layout()
plt.show()
