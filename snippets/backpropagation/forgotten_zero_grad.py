"""Without zero_grad(), SGD becomes SGD with momentum 1: ruin at one learning rate, an
apparent gain at another.

Small CNN on scikit-learn's digits (1797, 1, 8, 8), 100 steps, last 197 held out.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = (torch.tensor(v) for v in load_digits(return_X_y=True))
images = (images.view(-1, 1, 8, 8) - images.mean()) / images.std()


def train(seed, lr, steps=100, momentum=0.0, forget=False):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10)
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    for step in range(steps):
        batch = torch.arange(64) + 64 * (step % 25)  # the first 1600 images
        F.cross_entropy(net(images[batch]), labels[batch]).backward()
        optimizer.step()
        if not forget:
            optimizer.zero_grad()
    right = net(images[1600:]).argmax(1) == labels[1600:]
    weights = torch.cat([p.detach().flatten() for p in net.parameters()])
    return right.double().mean().item(), weights


accuracy = {}
for seed in range(5):
    _, forgot = train(seed, lr=0.3, steps=5, forget=True)
    _, momentum = train(seed, lr=0.3, steps=5, momentum=1.0)
    assert (forgot - momentum).abs().max() < 1e-10
    for lr in (0.3, 0.01):
        for forget in (False, True):
            values = accuracy.setdefault((lr, forget), [])
            values.append(train(seed, lr, forget=forget)[0])
for (lr, forget), values in accuracy.items():
    name = "forgotten" if forget else "as it should be"
    print(f"lr {lr:4}, {name:15}: accuracy {min(values):.2f} to {max(values):.2f}")
print("n = 5 seeds; the first 5 steps equal momentum 1: difference < 1e-10")
assert min(accuracy[0.3, False]) > max(accuracy[0.3, True]) + 0.2
gains = [b - a for a, b in zip(accuracy[0.01, False], accuracy[0.01, True])]
assert sum(gains) / len(gains) > 0.1  # the bug looks like a gain
