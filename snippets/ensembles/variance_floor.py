"""Averaging removes only the errors that the members do not share.

Law: mean squared error of M members' mean = rho s^2 + (1 - rho) s^2 / M.
Shapes: errors (cases, M); for CNNs each case is one class of one image.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images, SEEDS, M = images.view(-1, 8, 8) / 16, 5, 6
sizes = torch.arange(1, M + 1)


def train(index, epochs=20):
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


torch.manual_seed(0), plt.figure(figsize=(7, 4.6))
for name, mark in (("rho 0", "o"), ("rho 0.3", "s"), ("rho 0.8", "^"), ("CNNs", "D")):
    rhos, measured = [], []
    for seed in range(SEEDS):
        errors = torch.randn(20000, M)  # errors of their own
        if name == "CNNs":
            index, test = torch.randperm(len(images)).split([200, 1597])
            p = train(index)(images[test][:, None].expand(-1, M, -1, -1)).softmax(2)
            errors = (p - F.one_hot(labels[test])[:, None]).mT.flatten(0, 1).detach()
        else:  # mixed with one error that all share
            rho = float(name[4:])
            errors = rho**0.5 * torch.randn(20000, 1) + (1 - rho) ** 0.5 * errors
        rhos.append((torch.corrcoef(errors.T).sum() - M) / (M * (M - 1)))
        teams = [errors.roll(k, 1)[:, :m] for m in sizes for k in range(M)]
        mse = torch.stack([team.mean(1).square().mean() for team in teams])
        measured.append(mse.view(M, M).mean(1) / errors.square().mean())
    rho, measured = sum(rhos) / SEEDS, sum(measured) / SEEDS
    law = rho + (1 - rho) / sizes  # relative to one member
    assert (measured - law).abs().max() < 0.02
    plt.plot(sizes, law, "k-", lw=1), plt.plot(sizes, measured, mark, ms=9)
    plt.text(M + 0.15, law[-1] - 0.02, name, fontsize=14)
    print(f"{name}: error of {M} members {measured[-1]:.2f}, law {law[-1]:.2f}")
print(f"correlation of two CNNs: {min(rhos):.2f}-{max(rhos):.2f} (n={SEEDS})")
plt.xlabel("members M", fontsize=14), plt.xlim(0.8, M + 1), plt.xticks(sizes)
plt.ylabel("squared error, one member = 1", fontsize=14), plt.ylim(0, 1.05)
plt.tick_params(labelsize=12), plt.tight_layout(), plt.show()
