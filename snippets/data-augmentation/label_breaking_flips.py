"""A flip costs accuracy on the classes whose meaning it changes.

Digits x (N, 1, 8, 8), labels y (N,). Each augmentation is applied to half of
the training images; the test images stay as they are.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(y)
SEEDS = range(5)
moves = {"none": [], "mirror": [3], "upside down": [2], "half turn": [2, 3]}


def train(x, y, flipped):  # flipped: the axes to reverse
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(200):
        i = torch.randint(len(x), (32,))
        coin = torch.rand(32, 1, 1, 1) < 0.5
        batch = torch.where(coin, x[i].flip(flipped), x[i])
        loss = F.cross_entropy(net(batch), y[i])  # the label stays: that is the bug
        adam.zero_grad(), loss.backward(), adam.step()
    return net


recall = torch.zeros(len(SEEDS), len(moves), 10)
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    fit, test = torch.randperm(len(x)).split([600, len(x) - 600])
    for k, flipped in enumerate(moves.values()):
        right = train(x[fit], y[fit], flipped)(x[test]).argmax(1) == y[test]
        for c in range(10):
            recall[s, k, c] = right[y[test] == c].double().mean()

table = 100 * recall.mean(0).numpy()
plt.figure(figsize=(7, 2.9))
plt.imshow(table, cmap="Blues", vmin=40, vmax=150, aspect="auto")
for k in range(len(moves)):
    for c in range(10):
        plt.text(c, k, f"{table[k, c]:.0f}", ha="center", va="center", fontsize=13)
plt.xticks(range(10), fontsize=13), plt.yticks(range(len(moves)), moves, fontsize=13)
plt.xlabel("digit (recall in percent)", fontsize=13)
plt.tight_layout(), plt.show()

sixes_nines = recall[:, :, [6, 9]].mean(2)  # the pair that a half turn swaps
loss = sixes_nines[:, 0] - sixes_nines[:, 3]
zeros = recall[:, 0, 0] - recall[:, 3, 0]  # 0 looks the same after it
assert loss.min() > 0.03 and zeros.mean() < loss.mean() / 3
for move, r in zip(moves, recall.transpose(0, 1)):
    print(f"{move:11}  all {r.mean():.2f}  digits 6, 9 {r[:, [6, 9]].mean():.2f}")
print(
    f"half turn, recall lost on 6 and 9: {loss.min():.2f} to {loss.max():.2f}, "
    f"{len(SEEDS)} seeds"
)
