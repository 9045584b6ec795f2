"""Boosting lifts weak learners, stalls on a fitted CNN and chases noise.

AdaBoost for K classes: Zhu and others, 2009. Shapes: x (N, 64), y and w (N,).
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier
from torch import nn

torch.set_default_dtype(torch.float64)
digits, labels = load_digits(return_X_y=True)
K, SEEDS = 10, 5


def boost(fit, x, y, rounds=40):
    w, members = np.full(len(y), 1 / len(y)), []
    for _ in range(rounds):
        predict = fit(x, y, w)
        error = w[wrong := predict(x) != y].sum()
        if error == 0 or error >= 1 - 1 / K:  # always right, or only guessing
            return [(1.0, predict)] if error == 0 else members, w
        say = np.log((1 - error) / error) + np.log(K - 1)
        members.append((say, predict))
        w = w * np.exp(say * wrong)  # the misses weigh more in the next round
        w /= w.sum()
    return members, w


def vote(members, x):
    return sum(say * np.eye(K)[predict(x)] for say, predict in members).argmax(1)


def tree(x, y, w):
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(x, y, w).predict


def cnn(x, y, w):
    x, y, w = torch.tensor(x / 16).view(-1, 1, 8, 8), torch.tensor(y), torch.tensor(w)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, K))
    optimizer = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(150):
        loss = (w * F.cross_entropy(net(x), y, reduction="none")).sum()
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    return lambda x: net(torch.tensor(x / 16).view(-1, 1, 8, 8)).argmax(1).numpy()


rows = []
for seed in range(SEEDS):
    rng, _ = np.random.default_rng(seed), torch.manual_seed(seed)
    index, test = np.split(rng.permutation(len(labels)), [300])
    x, clean, noisy = digits[index], labels[index], labels[index].copy()
    noisy[:30] = (noisy[:30] + rng.integers(1, K, 30)) % K  # 10% wrong labels
    (trees, _), (misled, w) = boost(tree, x, clean), boost(tree, x, noisy)
    cnns, _ = boost(cnn, x, clean)
    guesses = [vote(m, digits[test]) for m in (trees[:1], trees, misled, cnns)]
    rows.append([*(guesses == labels[test]).mean(1), len(cnns), w[:30].sum()])
one, boosted, fooled, single, count, share = np.array(rows).T
assert (boosted > one + 0.2).all() and (fooled < boosted - 0.03).all()
assert (count == 1).all() and (share > 0.2).all()
print(f"one tree {one.mean():.2f}, 40 boosted {boosted.mean():.2f} (n={SEEDS})")
print(
    f"10% mislabeled: 40 boosted {fooled.mean():.2f}, over 20% of the weight on these"
)
print(f"CNN {single.mean():.2f}, rounds until no error is left: {count.max():.0f}")
