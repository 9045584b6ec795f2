"""Stacking on in-sample predictions trusts the member that memorized.

Wolpert, Neural Networks 1992: the meta-model needs out-of-fold predictions.
Shapes: x (N, 64), labels y (N,), probabilities of a member (N, 10).
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

torch.set_default_dtype(torch.float64)
digits, labels = load_digits(return_X_y=True)
digits, SEEDS = digits / 16, 5


def tree(x, y):  # unpruned: right on every training example
    return DecisionTreeClassifier(random_state=0).fit(x, y).predict_proba


def cnn(x, y):
    x, y = torch.tensor(x).view(-1, 1, 8, 8), torch.tensor(y)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    optimizer = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(40):  # full batch; not fitted to the end
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    return lambda x: net(torch.tensor(x).view(-1, 1, 8, 8)).softmax(1).detach().numpy()


def out_of_fold(fit, x, y, folds=5):  # predicted by a copy that never saw it
    fold, p = np.arange(len(y)) % folds, np.empty((len(y), 10))
    for k in range(folds):
        p[fold == k] = fit(x[fold != k], y[fold != k])(x[fold == k])
    return p


def stack(inputs, y):  # meta-model, and its share of weight on the tree
    meta = LogisticRegression(tol=1e-6, max_iter=1000).fit(np.hstack(inputs), y)
    weight = np.abs(meta.coef_)  # (10, 20), the tree's inputs first
    return meta, weight[:, :10].sum() / weight.sum()


rows = []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    x, unseen = np.split(digits[order], [300])
    y, truth = np.split(labels[order], [300])
    members = [fit(x, y) for fit in (tree, cnn)]
    seen, test = ([member(z) for member in members] for z in (x, unseen))
    row = [(p.argmax(1) == truth).mean() for p in test]
    for inputs in (seen, [out_of_fold(fit, x, y) for fit in (tree, cnn)]):
        meta, share = stack(inputs, y)
        row += [share, meta.score(np.hstack(test), truth)]
    rows.append(row)
one, two, leak_share, leaky, share, stacked = np.array(rows).T
assert (stacked - leaky).mean() > 0.1 and (stacked > leaky + 0.05).all()
assert (leak_share > share + 0.05).all()
assert (stacked > two - 0.03).all()  # as good as the better member
print(f"tree {one.mean():.2f}, CNN {two.mean():.2f} (accuracy, n={SEEDS})")
for name, a, w in (("in-sample", leaky, leak_share), ("out-of-fold", stacked, share)):
    print(f"stack, {name}: {a.mean():.2f} ({a.min():.2f}-{a.max():.2f}),", end=" ")
    print(f"weight on the tree {w.mean():.0%}")
