"""Turns are harder to name where an image looks alike upside down.

Gidaris and others, arXiv 1803.07728. Digits x (N, 1, 8, 8) turned by 0, 90, 180
or 270 degrees; the network, never shown which digit it is, names the turn.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, digit = load_digits(return_X_y=True)
x, digit = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(digit)
SEEDS = range(5)
count = torch.zeros(len(SEEDS), 10, 4)  # seed, digit, turns off (0 is right)
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 4),
    )
    fit, test = torch.randperm(len(x)).split([1297, 500])
    adam = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(200):
        parts = x[fit[torch.randint(len(fit), (32,))]].chunk(4)
        turned = [torch.rot90(part, k, (2, 3)) for k, part in enumerate(parts)]
        loss = F.cross_entropy(net(torch.cat(turned)), torch.arange(32) // 8)
        adam.zero_grad(), loss.backward(), adam.step()
    net.eval()
    for k in range(4):
        off = (net(torch.rot90(x[test], k, (2, 3))).argmax(1) - k) % 4
        for d in range(10):
            count[s, d] += off[digit[test] == d].bincount(minlength=4)
share = count / count.sum(2, keepdim=True)
right, half = share[..., 0], share[..., 2]
alike, others = right[:, [0, 1, 8]].mean(1), right[:, [2, 3, 4, 5, 6, 7, 9]].mean(1)
assert (others - alike).min() > 0.03  # every seed
of_errors = half.sum(1) / (1 - right).sum(1)
assert of_errors.min() > 0.95
shown, plt.rcParams["font.size"] = share.mean(0).numpy(), 13  # (10, 4)
plt.figure(figsize=(7, 3.6))
plt.bar(range(10), shown[:, 0], label="right")
plt.bar(range(10), shown[:, 2], bottom=shown[:, 0], hatch="//", label="half a turn off")
plt.xticks(range(10)), plt.xlabel("digit"), plt.ylabel("share of answers")
plt.legend(loc="lower left", framealpha=1), plt.tight_layout(), plt.show()
for name, a in [("0, 1, 8", alike), ("others", others)]:
    print(f"{name:8} right {a.mean():.2f} ({a.min():.2f} to {a.max():.2f})")
print("errors that are half a turn off: over 95 %")
print(f"6 right {right[:, 6].mean():.2f}, 9 right {right[:, 9].mean():.2f}; n=5")
