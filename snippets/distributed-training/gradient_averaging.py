"""The mean of equal shards' gradients of a mean loss is the big batch's gradient.

Data parallelism by hand: four replicas, batch (32, 3, 8, 8), one gradient each.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


def gradient(net, x, y, reduction="mean"):
    net.zero_grad()
    F.cross_entropy(net(x), y, reduction=reduction).backward()
    return torch.cat([p.grad.flatten() for p in net.parameters()])


def shards(net, x, y, sizes, reduction="mean"):
    """One gradient per replica: (replicas, parameters)."""
    parts = zip(x.split(sizes), y.split(sizes))
    return torch.stack([gradient(net, xs, ys, reduction) for xs, ys in parts])


def gap(a, b):
    return float((a - b).norm() / b.norm())


def experiment(seed):
    torch.manual_seed(seed)
    x, y = torch.randn(32, 3, 8, 8), torch.randint(4, (32,))
    end = nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    conv = nn.Conv2d(3, 8, 3)
    plain = nn.Sequential(conv, *end)
    batch = nn.Sequential(conv, nn.BatchNorm2d(8), *end)
    group = nn.Sequential(conv, nn.GroupNorm(2, 8), *end)
    equal, uneven = [8] * 4, [20, 6, 4, 2]
    big, big_batch, big_group = (gradient(net, x, y) for net in (plain, batch, group))
    weights = torch.tensor(uneven).unsqueeze(1) / 32  # share of the images
    odd = shards(plain, x, y, uneven)
    sums = shards(plain, x, y, equal, "sum").mean(0)
    return {
        "equal shards": gap(shards(plain, x, y, equal).mean(0), big),
        "equal, GroupNorm": gap(shards(group, x, y, equal).mean(0), big_group),
        "uneven, weighted by size": gap((weights * odd).sum(0), big),
        "uneven, plain mean": gap(odd.mean(0), big),
        "equal, BatchNorm": gap(shards(batch, x, y, equal).mean(0), big_batch),
        "equal, summed loss": gap(sums, big),  # too large by the shard's size
    }


seeds = 10
runs = [experiment(seed) for seed in range(seeds)]
print(f"relative error against the big batch, {seeds} seeds")
for name in runs[0]:
    low, high = min(r[name] for r in runs), max(r[name] for r in runs)
    if name in ("equal shards", "equal, GroupNorm", "uneven, weighted by size"):
        assert high < 1e-12
        print(f"{name:26s} < 1e-12")
    else:
        assert low > 0.02
        print(f"{name:26s} {low:.2f} to {high:.2f}")
assert all(abs(r["equal, summed loss"] - 7) < 1e-9 for r in runs)  # 8 times too large
