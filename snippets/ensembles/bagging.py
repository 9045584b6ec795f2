"""Bagging lifts trees, but costs CNNs that different seeds make diverse.

Breiman, Machine Learning 1996; Nixon and others, 2020, for deep networks.
Shapes: draws (n, M), column m: the training images of member m.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier
from torch import nn

torch.set_default_dtype(torch.float64)
pixels, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images, SEEDS, M, N = pixels.view(-1, 8, 8) / 16, 5, 5, 200


def cnns(draws, epochs=30):  # M side by side; groups=M: no shared weight
    net = nn.Sequential(
        nn.Conv2d(M, 4 * M, 3, padding=1, groups=M),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4 * M, 8 * M, 3, padding=1, groups=M),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8 * M, 10 * M, 2, groups=M),
        nn.Unflatten(1, (M, 10)),
        nn.Flatten(2),
    )
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(epochs):  # each member reads its images in its own order
        order = draws.gather(0, torch.rand(N, M).argsort(0))
        for batch in order.split(50):  # (50, M)
            logits = net(images[batch]).flatten(0, 1)
            loss = M * F.cross_entropy(logits, labels[batch].flatten())
            optimizer.zero_grad(), loss.backward(), optimizer.step()
    return net(images[:, None].expand(-1, M, -1, -1)).softmax(2).detach()


def trees(draws):
    members = [DecisionTreeClassifier(random_state=0) for _ in range(M)]
    members = [m.fit(pixels[d], labels[d]) for m, d in zip(members, draws.T)]
    return torch.stack([torch.tensor(m.predict_proba(pixels)) for m in members], 1)


def accuracies(p, y):  # of the members, and of their mean
    guesses = (p, y[:, None]), (p.mean(1), y)
    return [(p.argmax(-1) == y).double().mean() for p, y in guesses]


rows, distinct = [], []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    index, test = torch.randperm(len(images)).split([N, len(images) - N])
    same, boot = index[:, None].expand(-1, M), index[torch.randint(N, (N, M))]
    distinct += [len(d.unique()) / N for d in boot.T]
    runs = trees(same), trees(boot), cnns(same), cnns(boot)
    rows.append([a for p in runs for a in accuracies(p[test], labels[test])])
rows, share = torch.tensor(rows), sum(distinct) / len(distinct)
assert abs(share - (1 - (1 - 1 / N) ** N)) < 0.02  # 63.2% for large N
assert (rows[:, 3] > rows[:, 1] + 0.02).all()  # trees gain
assert (rows[:, 4] - rows[:, 6]).mean() > 0.01  # CNN members lose
assert (rows[:, 7] - rows[:, 5]).mean() < 0.005  # CNN ensembles do not gain
print(f"distinct images in a bootstrap sample: {share:.0%}")
names = "tree, all images", "trees, bagged", "CNNs, all images", "CNNs, bagged"
for name, (member, pool) in zip(names, rows.view(SEEDS, 4, 2).permute(1, 2, 0)):
    print(f"{name}: member {member.mean():.2f}, ensemble {pool.mean():.2f}", end=" ")
    print(f"({pool.min():.2f}-{pool.max():.2f}, n={SEEDS})")
