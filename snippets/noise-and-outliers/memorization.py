"""A CNN first learns the right pattern from noisy labels, then learns the errors.

300 training digits (N, 1, 8, 8) of scikit-learn, 40 % given a wrong label; clean test
set. Zhang and others, ICLR 2017; Arpit and others, ICML 2017.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
X, Y = (torch.tensor(v) for v in load_digits(return_X_y=True))
X, SEEDS, EPOCHS = X.view(-1, 1, 8, 8) / 16, 5, 50


def curves(seed):
    """Per epoch: test accuracy, wrong labels fitted, noisy validation accuracy."""
    torch.manual_seed(seed)
    train, val, test = torch.randperm(len(X)).split([300, 200, 1297])
    wrong = torch.rand(len(Y)) < 0.4
    y = torch.where(wrong, (Y + torch.randint(1, 10, Y.shape)) % 10, Y)  # as given
    net = nn.Sequential(
        nn.Conv2d(1, 12, 4, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(108, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    rows = []
    for _ in range(EPOCHS):
        for batch in train[torch.randperm(300)].split(60):
            loss = F.cross_entropy(net(X[batch]), y[batch])
            adam.zero_grad(), loss.backward(), adam.step()
        right = net(X).argmax(1)
        bad = train[wrong[train]]
        rows.append(
            [
                (right == Y)[test].double().mean(),
                (right == y)[bad].double().mean(),
                (right == y)[val].double().mean(),
            ]
        )
    return torch.tensor(rows)


runs = torch.stack([curves(seed) for seed in range(SEEDS)])  # (seed, epoch, 3)
test, fitted, val = runs.unbind(2)
stop = val.argmax(1)  # early stopping needs no clean label
stopped, last = test.gather(1, stop[:, None])[:, 0], test[:, -1]
assert (test.amax(1) - last).min() > 0.08  # rises, then falls
assert fitted[:, -1].min() > 0.9 and fitted[:, :8].amin(1).max() < 0.15
assert (stopped - last).min() > 0.05
print(f"wrong labels fitted, last epoch {fitted[:, -1].mean():.2f}")
for name, a in [
    ("best epoch", test.amax(1)),
    ("last epoch", last),
    ("stopped", stopped),
]:
    print(f"clean test, {name}: {a.mean():.2f} ({a.min():.2f} to {a.max():.2f})")
print(f"{SEEDS} seeds; stopped = best epoch on 200 images with noisy labels")

plt.figure(figsize=(5.6, 4.2))
names = ["clean test accuracy", "wrong labels fitted", "noisy validation accuracy"]
for row, name, style in zip(runs.unbind(2), names, ["-", "--", ":"]):
    plt.plot(range(1, EPOCHS + 1), row.mean(0), style, lw=2.5, label=name)
    plt.fill_between(range(1, EPOCHS + 1), row.amin(0), row.amax(0), alpha=0.2)
plt.xlabel("epoch", fontsize=12), plt.ylabel("share", fontsize=12)
plt.ylim(0, 1.3), plt.yticks([0, 0.25, 0.5, 0.75, 1])
plt.legend(fontsize=11, loc="upper left"), plt.show()
