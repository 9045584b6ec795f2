"""One classifier, three prevalences: accuracy hides what precision and MCC show.

It finds 90 % of the positives and wrongly alarms on 10 % of the negatives, always.
A classifier that never says "positive" is the baseline. Counts per 10,000 cases.
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)


def confusion(y, predicted):
    """2 x 2 counts: row = true class, column = predicted class; y, predicted (N,)."""
    return torch.bincount(2 * y + predicted, minlength=4).view(2, 2)


def metrics(table):
    """The usual metrics; 0 where precision or MCC would be 0/0."""
    (tn, fp), (fn, tp) = table.double().tolist()
    recall = tp / (tp + fn)
    specificity = tn / (tn + fp)
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "accuracy": (tp + tn) / (tp + tn + fp + fn),
        "balanced": (recall + specificity) / 2,
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "F1": 2 * tp / (2 * tp + fp + fn),
        "MCC": (tp * tn - fp * fn) / product**0.5 if product else 0.0,
    }


def labels(positives, found, alarms, n=10_000):
    """n cases: `found` of the positives and `alarms` of the negatives are flagged."""
    case = torch.arange(n)
    y = (case < positives).long()
    flagged = (case < found) | ((case >= positives) & (case < positives + alarms))
    return y, flagged.long()


def show(name, row):
    print(f"{name:15s}", ", ".join(f"{key} {value:.2f}" for key, value in row.items()))


tables, rows = [], []
for positives in (5000, 1000, 100):
    table = confusion(
        *labels(positives, positives * 9 // 10, (10_000 - positives) // 10)
    )
    tables.append(table)
    rows.append(metrics(table))
    show(f"{positives / 100:g} % positive", rows[-1])
never = metrics(confusion(*labels(100, 0, 0)))
show("never positive", never)
assert never["accuracy"] > rows[2]["accuracy"] + 0.05
assert never["balanced"] < rows[2]["balanced"] - 0.3
assert rows[2]["precision"] < 0.1

# Figure
fig, axes = plt.subplots(1, 3, figsize=(7, 2.9))
for ax, table, share in zip(axes, tables, ("50 %", "10 %", "1 %")):
    ax.imshow((table / table.sum(1, keepdim=True)).numpy(), cmap="Blues", vmax=1.3)
    for (row, column), cases in zip([(0, 0), (0, 1), (1, 0), (1, 1)], table.flatten()):
        ax.text(column, row, f"{cases:,}", ha="center", va="center", size=13)
    ax.set(
        title=f"{share} positive",
        xticks=(0, 1),
        yticks=(0, 1),
        xlabel="predicted",
        xticklabels=("−", "+"),
        yticklabels=("−", "+"),
    )
axes[0].set_ylabel("true")
plt.tight_layout()
plt.show()
