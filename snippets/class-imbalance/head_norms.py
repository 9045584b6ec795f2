"""Rare classes get shorter weight vectors in the last layer with SGD, less with Adam.

Kang and others 2020 saw the norm of a class's weights follow its frequency; Menon and
others 2021 that this depends on the optimizer. Digits, 90 to 4 images a class.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16
sizes = torch.tensor([90, 64, 45, 32, 23, 16, 11, 8, 6, 4])
solvers = {
    "SGD": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, 0.01),
}
norms = {name: [] for name in solvers}

for seed in range(5):
    torch.manual_seed(seed)
    by_size = torch.randperm(10)  # digits, the most frequent first
    rows = [torch.where(labels == c)[0] for c in by_size]
    train = torch.cat([r[:n] for r, n in zip(rows, sizes)])
    for name, solver in solvers.items():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 10),
        )
        optimizer = solver(net.parameters())
        for _ in range(150):
            i = train[torch.randint(len(train), (64,))]
            loss = F.cross_entropy(net(images[i]), labels[i])
            optimizer.zero_grad(), loss.backward(), optimizer.step()
        norms[name].append(net[5].weight.detach().norm(dim=1)[by_size])

correlation = {}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.3))
for ax, (name, w) in zip(axes, norms.items()):
    r = [torch.stack([sizes.log(), v]).corrcoef()[0, 1].item() for v in w]
    correlation[name] = torch.tensor(r)
    print(
        f"{name:4s}: correlation of log count and norm {sum(r) / 5:.2f} "
        f"({min(r):.2f} to {max(r):.2f}, 5 seeds)"
    )
    for v in w:
        ax.semilogx(sizes, v, "o-", color="C0", alpha=0.5, ms=4)
    ax.set(
        title=name,
        xlabel="training images",
        xticks=[4, 11, 32, 90],
        xticklabels=[4, 11, 32, 90],
    )
    ax.minorticks_off()
assert correlation["SGD"].min() > 0.7
assert correlation["Adam"].mean() < correlation["SGD"].mean() - 0.25
axes[0].set_ylabel("norm of the class's weights")
plt.tight_layout()
plt.show()
