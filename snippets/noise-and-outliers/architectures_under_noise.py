"""BatchNorm, residual connections and attention are said to make a CNN robust to noise.
Here they raise clean accuracy at best; training with noise is what helps.

Digits (N, 1, 8, 8), 600 to train; Gaussian noise of deviation 0.4 on the test images.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
X, Y = (torch.tensor(v) for v in load_digits(return_X_y=True))
X, SEEDS, NOISE = X.view(-1, 1, 8, 8) / 16, 5, 0.4


class Block(nn.Module):  # conv 3x3 and ReLU, with one ingredient
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(12, 12, 3, padding=1)
        if kind == "BatchNorm":
            self.conv = nn.Sequential(self.conv, nn.BatchNorm2d(12))
        if kind == "attention":  # squeeze and excitation: a gate per channel
            layers = nn.Conv2d(12, 6, 1), nn.ReLU(), nn.Conv2d(6, 12, 1), nn.Sigmoid()
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers)

    def forward(self, x):
        f = self.conv(x).relu()
        f = f * self.gate(f) if self.kind == "attention" else f
        return x + f if self.kind == "residual" else f


kinds = ["plain", "BatchNorm", "residual", "attention", "plain, noise-trained"]
accuracy = torch.zeros(len(kinds), SEEDS, 2)  # clean, noisy
for seed in range(SEEDS):
    for k, kind in enumerate(kinds):
        torch.manual_seed(seed)
        fit, test = torch.randperm(len(X)).split([600, 1197])
        noisy = X[test] + NOISE * torch.randn_like(X[test])
        net = nn.Sequential(
            nn.Conv2d(1, 12, 3, 2, 1),
            nn.ReLU(),
            Block(kind),
            Block(kind),
            nn.Flatten(),
            nn.Linear(192, 10),
        )
        adam = torch.optim.Adam(net.parameters(), 5e-3)
        for _ in range(100):
            i = fit[torch.randint(600, (50,))]
            x = X[i] + NOISE * torch.randn_like(X[i]) * kind.endswith("trained")
            loss = F.cross_entropy(net(x), Y[i])
            adam.zero_grad(), loss.backward(), adam.step()
        net.eval()  # BatchNorm: running statistics
        right = [net(x).argmax(1) == Y[test] for x in (X[test], noisy)]
        accuracy[k, seed] = torch.stack(right).double().mean(1)

for kind, a in zip(kinds, accuracy):
    drop = a[:, 0] - a[:, 1]
    print(
        f"{kind:20} clean {a[:, 0].mean():.2f}, noisy {a[:, 1].mean():.2f}, "
        f"drop {drop.mean():.2f} ({drop.min():.2f} to {drop.max():.2f})"
    )
print(f"{SEEDS} seeds")
noisy, drop = accuracy[..., 1], accuracy[..., 0] - accuracy[..., 1]
assert (noisy[1:4] - noisy[0]).mean(1).max() < 0.05  # no ingredient helps much
assert (noisy[4] - noisy[0]).mean() > 0.05 and (drop[:4].amin(0) - drop[4]).min() > 0.02
