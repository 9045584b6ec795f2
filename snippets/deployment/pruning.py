"""Masking 80 % of the weights saves no arithmetic in a dense kernel; removing channels
does, at a price in accuracy that fine-tuning mostly repays.

Digits, five CNNs; magnitude pruning (Han and others, 2015) against whole channels.
"""

import copy
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

torch.set_default_dtype(torch.float64)
data = load_digits()
images = torch.tensor(data.images).unsqueeze(1) / 16
labels = torch.tensor(data.target)


def network(c1=8, c2=16):
    return nn.Sequential(
        nn.Conv2d(1, c1, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(c1, c2, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * c2, 10),
    )


def fit(net, x, y, steps, masks=()):
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        apply_masks(net, masks)
    return net


def magnitude_masks(net, sparsity):
    return [
        w.abs() > w.abs().flatten().quantile(sparsity)
        if w.dim() > 1
        else torch.ones_like(w)
        for w in net.parameters()
    ]  # biases stay


@torch.no_grad()
def apply_masks(net, masks):
    for w, mask in zip(net.parameters(), masks):
        w *= mask


def remove_channels(net, keep1, keep2):
    """A smaller network from the channels with the largest L1 norm of weights."""
    a = net[0].weight.abs().sum((1, 2, 3)).topk(keep1).indices.sort().values
    b = net[2].weight.abs().sum((1, 2, 3)).topk(keep2).indices.sort().values
    head = net[5].weight.view(10, -1, 16)[:, b].flatten(1)  # 16 positions a channel
    small = network(keep1, keep2)
    for p, value in zip(
        small.parameters(),
        [
            net[0].weight[a],
            net[0].bias[a],
            net[2].weight[b][:, a],
            net[2].bias[b],
            head,
            net[5].bias,
        ],
    ):
        p.data = value.detach().clone()
    return small


scores = {}
for seed in range(5):
    torch.manual_seed(seed)
    order = torch.randperm(len(labels))
    train, test = order[:300], order[300:900]
    x, y = images[train], labels[train]
    dense = fit(network(), x, y, 40)
    masked, masks = copy.deepcopy(dense), magnitude_masks(dense, 0.8)
    apply_masks(masked, masks)
    narrow = remove_channels(dense, 4, 8)
    for name, net in {
        "dense": dense,
        "80 % of weights zero": copy.deepcopy(masked),
        "  fine-tuned": fit(masked, x, y, 10, masks),
        "fewer channels": copy.deepcopy(narrow),
        "  fine-tuned ": fit(narrow, x, y, 10),
    }.items():
        with FlopCounterMode(display=False) as counter:
            guess = net(images[test]).argmax(1)
        weights = torch.cat([p.flatten() for p in net.parameters()])
        row = scores.setdefault(
            name,
            (
                [],
                (weights == 0).double().mean().item(),
                len(weights),
                counter.get_total_flops() // len(test),
            ),
        )
        row[0].append((guess == labels[test]).double().mean().item())
print("5 seeds               accuracy   zeros  stored weights  FLOPs")
for name, (runs, zeros, size, count) in scores.items():
    print(
        f"{name:21s} {min(runs):.2f}-{max(runs):.2f}  {zeros:.2f}   {size:6d}"
        f"          {count}"
    )
dense, masked, narrow = (scores[k] for k in ("dense", "  fine-tuned", "  fine-tuned "))
assert masked[3] == dense[3] > 3 * narrow[3] and masked[2] == dense[2]
assert masked[1] > 0.78 and min(masked[0]) > max(scores["80 % of weights zero"][0])
assert sum(narrow[0]) > sum(dense[0]) - 5 * 0.05
