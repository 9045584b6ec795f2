"""requires_grad=False does not freeze batch normalization; eval() does.

Ioffe and Szegedy, ICML 2015. A backbone trained on digits 0-4 gets a new head
for grainy images of 5-9, (N, 1, 8, 8). The old head shows what was lost.
"""

import copy

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
SEEDS = range(5)
pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
images = pixels.view(-1, 1, 8, 8) / 16


def train(net, part, x, y, steps):
    optimizer = torch.optim.Adam(part.parameters(), lr=5e-3)
    for _ in range(steps):
        i = torch.randint(450, (32,))
        optimizer.zero_grad()
        F.cross_entropy(net(x[i]), y[i]).backward()
        optimizer.step()


def accuracy(net, x, y):
    with torch.no_grad():
        hits = net.eval()(x[450:]).argmax(1) == y[450:]
    return hits.double().mean().item()


old_task = torch.zeros(2, len(SEEDS), 5)  # train or eval mode, seed, test
new_task = torch.zeros(2, len(SEEDS))
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    order = torch.randperm(len(images))
    x, y = images[order], labels[order]
    old_data, new_x = (x[y < 5], y[y < 5]), x[y >= 5]
    new_data = new_x + 0.5 * torch.randn_like(new_x), y[y >= 5] - 5
    body = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )
    head = nn.Linear(128, 5)
    old = nn.Sequential(body, head)
    train(old, old, *old_data, 100)
    for m, mode in enumerate(("train", "eval")):
        frozen = copy.deepcopy(body).requires_grad_(False)
        old = nn.Sequential(frozen, head)  # the old task's view of it
        new = nn.Sequential(frozen, nn.Linear(128, 5))
        old_task[m, s, 0] = accuracy(old, *old_data)
        for n in range(1, 5):
            frozen.train(mode == "train")  # the only difference
            train(new, new[1], *new_data, 10)
            old_task[m, s, n] = accuracy(old, *old_data)
        new_task[m, s] = accuracy(new, *new_data)
        for a, b in zip(frozen.parameters(), body.parameters()):
            assert torch.equal(a, b)  # no weight moved, in either mode
        kept = all(map(torch.equal, frozen.buffers(), body.buffers()))
        assert kept == (mode == "eval")  # but the running statistics did

drop = old_task[:, :, 0] - old_task[:, :, -1]  # (mode, seed)
assert drop[0].mean() > 0.03 and drop[0].min() > 0  # the old task got worse
assert (drop[1] == 0).all()  # with eval(), not by one image
plt.figure(figsize=(5, 4))
print(f"{len(SEEDS)} seeds, 40 steps of the new head; no weight changed")
for m, name in enumerate(("train()", "eval()")):
    mean, low, high = old_task[m].mean(0), old_task[m].amin(0), old_task[m].amax(0)
    print(
        f"{name:<7} old task {mean[0]:.2f} -> {mean[-1]:.2f} (lowest "
        f"{low[-1]:.2f}), new task {new_task[m].mean():.2f}"
    )
    plt.errorbar(
        range(0, 41, 10),
        mean,
        (mean - low, high - mean),
        capsize=4,
        fmt=("s--", "o-")[m],
        label=f"backbone in {name}",
    )
plt.xlabel("training steps of the new head")
plt.ylabel("accuracy on the old task")
plt.legend(loc="lower left")
plt.show()
