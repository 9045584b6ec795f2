"""Re-training only the head on balanced batches keeps the features and helps the tail.

Classifier re-training of Kang and others 2020: features from natural batches, frozen,
then a new last layer. Digits with 90 down to 4 images; 89 or so of each are tested.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16
sizes = torch.tensor([90, 64, 45, 32, 23, 16, 11, 8, 6, 4])


def train(net, x, y, chance, steps):
    sgd = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    for _ in range(steps):
        i = torch.multinomial(chance, 64, replacement=True)
        sgd.zero_grad(), F.cross_entropy(net(x[i]), y[i]).backward(), sgd.step()


table = []
for seed in range(5):
    torch.manual_seed(seed)
    by_size = torch.randperm(10)  # digits, the most frequent first
    rows = [torch.where(labels == c)[0] for c in by_size]
    rows = [r[torch.randperm(len(r))] for r in rows]
    test = torch.cat([r[90:] for r in rows])
    i = torch.cat([r[:n] for r, n in zip(rows, sizes)])
    x, y, n_own = images[i], labels[i], sizes.repeat_interleave(sizes)
    body = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
    )  # (N, 256)
    heads = [nn.Linear(256, 10) for _ in range(3)]
    natural, balanced = torch.ones(len(y)), 1 / n_own  # chance to be in a batch
    train(nn.Sequential(body, heads[0]), x, y, natural, 150)
    with torch.no_grad():
        features, test_features = body(x), body(images[test])
    train(heads[1], features, y, natural, 100)  # control: new, but not re-balanced
    train(heads[2], features, y, balanced, 100)
    table.append([])
    for head in heads:
        hit = (head(test_features).argmax(1) == labels[test]).double()
        table[-1].append(torch.stack([hit[labels[test] == c].mean() for c in by_size]))
recall = torch.stack([torch.stack(line) for line in table])  # (seed, head, class)
tail, balanced = recall[..., -3:].mean(2), recall.mean(2)  # (seed, head)
gain = (balanced[:, 2:] - balanced[:, :2]).mean(0)  # against both rivals
assert gain.min() > 0.005 and (tail[:, 2:] - tail[:, :2]).mean(0).min() > 0.01
names = ("trained together", "new head, natural", "new head, balanced")
for name, t, b in zip(names, tail.T, balanced.T):
    print(
        f"{name:18s} rarest three {t.mean():.2f}, balanced accuracy "
        f"{b.mean():.2f} ({b.min():.2f}-{b.max():.2f}, 5 seeds)"
    )
