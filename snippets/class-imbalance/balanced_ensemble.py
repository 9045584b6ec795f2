"""An ensemble helps rare classes if its members are balanced, not otherwise.

As in EasyEnsemble (Liu and others 2009): each member sees all 4 images of digits 1,
8, 9 and a random 4 of the 60 of the others. Rival: all members see all images.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16
rare, seeds, members = [1, 8, 9], range(5), 5


def train(pool, steps):
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    adam = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        i = pool[torch.randint(len(pool), (40,))]
        loss = F.cross_entropy(net(images[i]), labels[i])
        adam.zero_grad(), loss.backward(), adam.step()
    return net


def class_recall(probabilities, y):
    hit = (probabilities.argmax(1) == y).double()
    return torch.stack([hit[y == c].mean() for c in range(10)])


results = {"one balanced": [], "5 balanced": [], "one natural": [], "5 natural": []}
for seed in seeds:
    torch.manual_seed(seed)
    rows = [torch.where(labels == c)[0] for c in range(10)]
    rows = [r[torch.randperm(len(r))] for r in rows]
    test = torch.cat([r[90:] for r in rows])
    rows = [r[: 4 if c in rare else 60] for c, r in enumerate(rows)]
    for kind, steps in (("balanced", 40), ("natural", 60)):
        votes = []
        for _ in range(members):
            draw = [r[torch.randperm(len(r))[:4]] for r in rows]
            net = train(torch.cat(draw if kind == "balanced" else rows), steps)
            votes.append(net(images[test]).detach().softmax(1))
        single = torch.stack([class_recall(v, labels[test]) for v in votes]).mean(0)
        results[f"one {kind}"].append(single)  # the average member
        results[f"5 {kind}"].append(class_recall(sum(votes), labels[test]))

results = {name: torch.stack(r) for name, r in results.items()}  # (seeds, 10)
balanced = {name: r.mean(1) for name, r in results.items()}
few = {name: r[:, rare].mean() for name, r in results.items()}
assert few["5 natural"] < few["one natural"] + 0.1  # they share the bias
assert few["5 balanced"] > few["5 natural"] + 0.1
assert (balanced["5 balanced"] > balanced["one balanced"] + 0.02).all()
for name, b in balanced.items():
    print(
        f"{name:12s} rare recall {few[name]:.2f}, balanced accuracy "
        f"{b.mean():.2f} ({b.min():.2f}-{b.max():.2f})"
    )
