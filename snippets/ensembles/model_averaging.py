"""Averaging beats the members' mean, and soft voting beats hard voting.

Lakshminarayanan and others, NeurIPS 2017: same data, different seeds.
Shapes: probabilities p (N, M, 10), labels y (N,).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images, SEEDS, M = images.view(-1, 8, 8) / 16, 5, 5


def train(index, epochs):
    """M CNNs side by side: with groups=M no weight is shared."""
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
    for _ in range(epochs):  # each member reads the images in its own order
        order = torch.stack([index[torch.randperm(len(index))] for _ in range(M)], 1)
        for batch in order.split(50):  # (50, M)
            logits = net(images[batch]).flatten(0, 1)
            loss = M * F.cross_entropy(logits, labels[batch].flatten())
            optimizer.zero_grad(), loss.backward(), optimizer.step()
    return net


def scores(p, y):  # accuracy and negative log-likelihood (NLL)
    return (p.argmax(-1) == y).double().mean(), F.nll_loss(p.log(), y)


rows = []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    index, test = torch.randperm(len(images)).split([200, 1597])
    x, y = images[test][:, None].expand(-1, M, -1, -1), labels[test]
    p, novice = (train(index, e)(x).softmax(2).detach() for e in (15, 1))
    member = torch.tensor([scores(p[:, m], y) for m in range(M)]).mean(0)
    votes = F.one_hot(p.argmax(2), 10).sum(1)  # a tie goes to the lower digit
    hard = (votes.argmax(1) == y).double().mean()
    logits = p.log().mean(1).softmax(1)  # the geometric mean, renormalized
    diluted = torch.cat([p[:, :1], novice[:, 1:]], 1)  # one expert, 4 novices
    pools = [scores(pool, y) for pool in (p.mean(1), logits, diluted.mean(1))]
    rows.append([*member, hard, *sum(pools, ()), *scores(p[:, 0], y)])
rows = torch.tensor(rows)
acc, nll, hard, soft, soft_nll, geo, geo_nll, _, mixed, _, expert = rows.T
assert (soft_nll < nll).all() and (soft > acc + 0.01).all()
assert (soft - hard).mean() > 0.004 and (mixed > expert + 0.5).all()
print(f"one member: accuracy {acc.mean():.2f}, NLL {nll.mean():.2f}")
print(f"hard vote: accuracy {hard.mean():.2f}")
print(f"mean of probabilities: {soft.mean():.2f}, NLL {soft_nll.mean():.2f}")
print(f"mean of logits: {geo.mean():.2f}, NLL {geo_nll.mean():.2f}")
low, high = (soft - acc).aminmax()
print(f"gain by soft vote {low:.2f} to {high:.2f} (n={SEEDS})")
print(f"an expert: NLL {expert.mean():.2f}; with 4 novices {mixed.mean():.2f}")
