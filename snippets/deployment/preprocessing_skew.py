"""A serving path that prepares pictures otherwise than training loses accuracy without
any error, and the mean confidence need not tell.

Digits, x (N, 1, 8, 8) in 0-1; five CNNs, faults at serving time only.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
data = load_digits()
images = torch.tensor(data.images).unsqueeze(1) / 16  # (1797, 1, 8, 8)
labels = torch.tensor(data.target)


def trained(seed):
    torch.manual_seed(seed)
    order = torch.randperm(len(labels))
    train, test = order[:500], order[500:1000]
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), 0.03)
    for _ in range(40):  # full batch
        optimizer.zero_grad()
        F.cross_entropy(net(images[train]), labels[train]).backward()
        optimizer.step()
    return net, images[test], labels[test]


serving = {
    "as trained": lambda x: x,
    "not divided by 16": lambda x: 16 * x,
    "divided by 255": lambda x: x * 16 / 255,
    "rows and columns swapped": lambda x: x.transpose(2, 3),
    "black and white swapped": lambda x: 1 - x,
    "shrunk and enlarged": lambda x: F.interpolate(F.avg_pool2d(x, 2), scale_factor=2),
}
accuracy = {fault: [] for fault in serving}
confidence = {fault: [] for fault in serving}
for seed in range(5):
    net, x, y = trained(seed)
    for fault, prepare in serving.items():
        with torch.no_grad():
            logits = net(prepare(x))
        p, guess = logits.softmax(1).max(1)
        accuracy[fault].append((guess == y).double().mean().item())
        confidence[fault].append(p.mean().item())
print("5 seeds                    accuracy (min-max)  confidence (mean)")
for fault, runs in accuracy.items():
    mean = sum(confidence[fault]) / 5
    print(f"{fault:26s} {min(runs):.2f}-{max(runs):.2f}           {mean:.2f}")
assert min(accuracy["as trained"]) > 0.9
assert min(confidence["rows and columns swapped"]) > 0.8  # wrong, and sure of it
assert max(accuracy["rows and columns swapped"]) < 0.6
assert max(accuracy["black and white swapped"]) < 0.6
