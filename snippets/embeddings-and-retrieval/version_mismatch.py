"""Embeddings of two trainings cannot be compared, until a rotation aligns them.

Schoenemann 1966 (orthogonal Procrustes). The same digits, network and loss, only
another seed. Digits x (N, 1, 8, 8) -> z (N, 32) on the unit sphere.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, digit = load_digits(return_X_y=True)
x, digit = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(digit)


def train(fit):
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 32),
    )
    head = nn.Linear(32, 10)
    adam = torch.optim.Adam([*net.parameters(), *head.parameters()], 5e-3)
    for _ in range(60):
        batch = fit[torch.randint(len(fit), (64,))]
        loss = F.cross_entropy(head(net(x[batch])), digit[batch])
        adam.zero_grad(), loss.backward(), adam.step()
    return F.normalize(net(x)).detach()


def procrustes(source, target):
    """The orthogonal matrix R (d, d) that minimizes |source R - target|."""
    u, _, vt = torch.linalg.svd(source.T @ target)
    return u @ vt


def recall(query, gallery, y_query, y_gallery):
    nearest = (query @ gallery.T).argmax(1)
    return (y_gallery[nearest] == y_query).double().mean()


score = torch.zeros(5, 3)  # seed, version of the query
for seed in range(5):
    torch.manual_seed(seed)
    fit, gallery, query = torch.randperm(len(x)).split([900, 600, 297])
    old, new = train(fit), train(fit)
    pairs = fit[:200]  # images whose embedding both versions have, no labels
    aligned = new @ procrustes(new[pairs], old[pairs])
    for n, q in enumerate([old, new, aligned]):
        score[seed, n] = recall(q[query], old[gallery], digit[query], digit[gallery])
assert score[:, 1].max() < 0.4  # useless across versions
assert score[:, 2].min() > 0.6 and (score[:, 2] - score[:, 1]).min() > 0.4
print("query       gallery  recall@1, mean (min to max)")
for name, a in zip(["old", "new", "new, turned"], score.T):
    print(f"{name:11} old      {a.mean():.2f} ({a.min():.2f} to {a.max():.2f})")
