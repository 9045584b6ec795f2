"""The same scorer at three prevalences: one ROC curve, three precision-recall curves.

Scores: negatives N(0, 1), positives N(1.5, 1). Only the share of positives changes.
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)


def curves(y, score):
    """False and true positive rate and precision at every threshold; y, score (N,)."""
    order = score.argsort(descending=True, stable=True)
    y, score = y[order].double(), score[order]
    last = torch.ones(len(y), dtype=torch.bool)
    last[:-1] = score[1:] != score[:-1]  # ties move together
    tp, fp = y.cumsum(0)[last], (1 - y).cumsum(0)[last]
    return fp / fp[-1], tp / tp[-1], tp / (tp + fp)


def roc_auc(y, score):
    fpr, tpr, _ = curves(y, score)
    zero = torch.zeros(1)
    return torch.trapezoid(torch.cat([zero, tpr]), torch.cat([zero, fpr])).item()


def average_precision(y, score):
    """Precision, averaged over the steps in which recall grows."""
    _, recall, precision = curves(y, score)
    return (recall.diff(prepend=torch.zeros(1)) * precision).sum().item()


torch.manual_seed(0)
n, points = 200_000, []
for share in (0.5, 0.1, 0.01):
    y = (torch.arange(n) < share * n).long()
    score = torch.randn(n) + 1.5 * y
    fpr, tpr, precision = curves(y, score)
    points.append((fpr, tpr, precision))
    by_bayes = share * tpr / (share * tpr + (1 - share) * fpr)
    assert (by_bayes - precision).abs().max() < 1e-12
    assert abs(roc_auc(y, score) - 0.8556) < 0.02  # the normal law's exact area
    print(f"{share:4.0%} positive: AP {average_precision(y, score):.2f}")
print("precision = prevalence TPR / (prevalence TPR + (1 - prevalence) FPR)")
print("ROC AUC 0.86 within 0.02 each time")

# Figure
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
for share, style, (fpr, tpr, precision) in zip(
    ("50 %", "10 %", "1 %"), ("k-", "C0--", "C1-."), points
):
    thin = torch.cat([torch.arange(0, 400, 8), torch.arange(400, len(fpr), 1600)])
    left.plot(fpr[thin], tpr[thin], style, label=f"{share} positive")
    right.plot(tpr[thin], precision[thin], style)
left.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
right.set(xlabel="recall", ylabel="precision", title="precision-recall", ylim=(0, 1.03))
left.legend(loc="lower right")
plt.tight_layout()
plt.show()
