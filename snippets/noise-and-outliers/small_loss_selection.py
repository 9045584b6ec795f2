"""Training on the images with the smallest loss leaves most wrong labels out.

300 digits (N, 1, 8, 8), 40 % wrong labels. After 6 epochs each batch keeps the 60 %
with the smallest loss. One network of co-teaching: Han and others, NeurIPS 2018.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn

torch.set_default_dtype(torch.float64)


def select(loss, share):
    """Indices of the given share of a batch with the smallest loss."""
    return loss.argsort()[: round(share * len(loss))]


X, Y = (torch.tensor(v) for v in load_digits(return_X_y=True))
X, SEEDS = X.view(-1, 1, 8, 8) / 16, 5
accuracy, found = torch.zeros(2, SEEDS), torch.zeros(2, SEEDS)
kept_right, kept_wrong = torch.zeros(2, SEEDS)
for seed in range(SEEDS):
    for k, share in enumerate((1.0, 0.6)):
        torch.manual_seed(seed)
        train, test = torch.randperm(len(X)).split([300, 1497])
        wrong = torch.rand(len(Y)) < 0.4
        y = torch.where(wrong, (Y + torch.randint(1, 10, Y.shape)) % 10, Y)
        net = nn.Sequential(
            nn.Conv2d(1, 12, 4, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(108, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )
        adam = torch.optim.Adam(net.parameters(), 1e-2)
        for epoch in range(50):
            for batch in train[torch.randperm(300)].split(60):
                loss = F.cross_entropy(net(X[batch]), y[batch], reduction="none")
                if epoch >= 6:
                    loss = loss[select(loss.detach(), share)]
                adam.zero_grad(), loss.mean().backward(), adam.step()
            if epoch in (5, 49) and k == 0:  # does a large loss mark a wrong label?
                each = F.cross_entropy(net(X[train]), y[train], reduction="none")
                area = roc_auc_score(wrong[train], each.detach())
                found[int(epoch == 49), seed] = area
        accuracy[k, seed] = (net(X).argmax(1) == Y)[test].double().mean()
    each = F.cross_entropy(net(X[train]), y[train], reduction="none")
    kept = torch.zeros(300, dtype=torch.bool)
    kept[select(each, 0.6)] = True  # as the selected network ends
    kept_right[seed] = kept[~wrong[train]].double().mean()
    kept_wrong[seed] = kept[wrong[train]].double().mean()

for name, a in [
    ("all images", accuracy[0]),
    ("small loss only", accuracy[1]),
    ("kept of right labels", kept_right),
    ("kept of wrong labels", kept_wrong),
    ("AUROC of loss, epoch 6", found[0]),
    ("AUROC of loss, epoch 50", found[1]),
]:
    print(f"{name:23} {a.mean():.2f} ({a.min():.2f} to {a.max():.2f})")
print(f"{SEEDS} seeds; first two lines: clean test accuracy")
assert (accuracy[1] - accuracy[0]).min() > 0.02
assert (kept_right - kept_wrong).min() > 0.4
assert (found[0] - found[1]).mean() > 0.1  # late losses tell less
