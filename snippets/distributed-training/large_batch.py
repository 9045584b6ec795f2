"""Same epochs, 16x the batch: 16x the rate repairs most, warm-up adds no clear gain.

Source: Goyal and others, 2017 (linear scaling, warm-up). 1280 digits for training,
517 for testing; five CNNs side by side as groups, each with its own split and start.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
SEEDS, FIRST = 5, 0
X, Y = load_digits(return_X_y=True)
X, Y = torch.tensor(X / 16).view(-1, 1, 8, 8), torch.tensor(Y)
torch.manual_seed(FIRST)
split = torch.stack([torch.randperm(len(X)) for _ in range(SEEDS)])
train, test = split[:, :1280], split[:, 1280:]
shapes = [(8, 1, 3, 3), (16, 8, 3, 3), (10, 64, 1, 1)]
start = [torch.randn(SEEDS, *s) * (2 / (s[1] * s[2] * s[3])) ** 0.5 for s in shapes]


def logits(weights, x):
    """x (SEEDS, B, 1, 8, 8) to (B, SEEDS, 10)."""
    x = x.transpose(0, 1).flatten(1, 2)
    for w in weights[:2]:
        x = F.relu(F.conv2d(x, w.flatten(0, 1), stride=2, padding=1, groups=SEEDS))
    x = x.reshape(len(x), -1, 1, 1)  # 64 features for each network
    return F.conv2d(x, weights[2].flatten(0, 1), groups=SEEDS).view(len(x), SEEDS, 10)


def accuracy(batch, rate, warmup=0, epochs=8):
    """SGD with momentum; the rate rises linearly over the first `warmup` epochs."""
    weights = [w.clone().requires_grad_() for w in start]
    optimizer = torch.optim.SGD(weights, lr=rate, momentum=0.9)
    per_epoch = 1280 // batch
    for step in range(epochs * per_epoch):
        if step % per_epoch == 0:
            order = torch.randperm(1280, generator=torch.Generator().manual_seed(step))
        chosen = train[:, order.roll(-batch * (step % per_epoch))[:batch]]
        out = logits(weights, X[chosen]).transpose(0, 1).flatten(0, 1)
        optimizer.zero_grad()
        (SEEDS * F.cross_entropy(out, Y[chosen].flatten())).backward()
        if warmup:
            ramp = min(1, (step + 1) / (warmup * per_epoch))
            optimizer.param_groups[0]["lr"] = rate * ramp
        optimizer.step()
    with torch.no_grad():
        right = logits(weights, X[test]).argmax(-1).T == Y[test]
    return right.double().mean(1)


runs = {
    "batch  16, rate 0.02": accuracy(16, 0.02),
    "batch 256, rate 0.02": accuracy(256, 0.02),
    "batch 256, rate 0.32": accuracy(256, 0.32),
    "  and one warm-up epoch": accuracy(256, 0.32, warmup=1),
}
small, same, scaled, warm = (float(a.mean()) for a in runs.values())
assert small - same > 0.1  # fewer updates of the same size: behind
assert scaled - same > 0.5 * (small - same)  # linear scaling repairs more than half
assert abs(warm - scaled) < 0.04  # warm-up: no clear gain here
print(f"test accuracy after 8 epochs, mean and range of {SEEDS} seeds")
for name, a in runs.items():
    print(f"{name:23s} {a.mean():.2f} ({a.min():.2f} to {a.max():.2f})")
