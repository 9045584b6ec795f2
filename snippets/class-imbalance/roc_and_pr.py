"""The same scorer at three prevalences: one ROC curve, three precision-recall curves.

Scores: negatives N(0, 1), positives N(1.5, 1). Only the share of positives changes.
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)


def curves(y, score):
    """False and true positive rate and precision at every threshold, falling."""
    order = score.argsort(descending=True, stable=True)
    y, score = y[order].double(), score[order]
    last = torch.cat([score[1:] != score[:-1], torch.ones(1, dtype=torch.bool)])
    tp, fp = y.cumsum(0)[last], (1 - y).cumsum(0)[last]  # ties move together
    return fp / fp[-1], tp / tp[-1], tp / (tp + fp)


def roc_auc(y, score):
    fpr, tpr, _ = curves(y, score)
    zero = torch.zeros(1)
    return torch.trapezoid(torch.cat([zero, tpr]), torch.cat([zero, fpr])).item()


def average_precision(y, score):
    """Precision, averaged over the steps in which recall grows."""
    _, recall, precision = curves(y, score)
    return (recall.diff(prepend=torch.zeros(1)) * precision).sum().item()


n, aucs, aps = 50_000, [], []
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
for share, style in zip((0.5, 0.1, 0.01), ("k-", "C0--", "C1-.")):
    runs = []
    for seed in range(5):
        torch.manual_seed(seed)
        y = (torch.arange(n) < share * n).long()
        score = torch.randn(n) + 1.5 * y
        runs.append((roc_auc(y, score), average_precision(y, score)))
    auc, ap = torch.tensor(runs).T  # (5,) each
    aucs.append(auc), aps.append(ap)
    print(
        f"{share:4.0%} positive: ROC AUC {auc.mean():.2f} "
        f"({auc.min():.2f}-{auc.max():.2f}), AP {ap.mean():.2f} "
        f"({ap.min():.2f}-{ap.max():.2f})"
    )
    fpr, tpr, precision = curves(y, score)
    thin = torch.cat([torch.arange(0, 200, 4), torch.arange(200, len(fpr), 400)])
    left.plot(fpr[thin], tpr[thin], style, label=f"{share:.0%} positive")
    right.plot(tpr[thin], precision[thin], style)
    # Bayes: precision follows from the ROC point and the prevalence
    formula = share * tpr / (share * tpr + (1 - share) * fpr)
    assert (formula - precision).abs().max() < 1e-12
assert (torch.stack(aucs) - 0.8556).abs().max() < 0.03  # the normal law's exact area
assert aps[0].min() > 0.8 and aps[1].max() < 0.6 and aps[2].max() < 0.3
left.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
right.set(xlabel="recall", ylabel="precision", title="precision-recall", ylim=(0, 1.03))
left.legend(loc="lower right")
plt.tight_layout()
plt.show()
