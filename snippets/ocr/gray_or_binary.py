"""Binarizing small characters costs a CNN accuracy; gray levels carry edge positions.

Handwritten digits of 8 x 8 pixels with 17 gray levels (scikit-learn). The same net and
training on gray and on thresholded images. The threshold is half of the full ink.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images).view(-1, 1, 8, 8) / 16  # (1797, 1, 8, 8)
y = torch.tensor(labels)


def accuracy(x, seed, steps=100):
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(seed))
    train, test = order[:900], order[900:]
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 16, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(steps):
        batch = train[torch.randint(0, 900, (64,))]
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (net(x[test]).argmax(1) == y[test]).double().mean()


share = torch.tensor(
    [[accuracy(z, seed) for z in (x, (x > 0.5).double())] for seed in range(5)]
)  # (5, 2)
assert (share[:, 0] > share[:, 1]).all() and (share[:, 0] - share[:, 1]).mean() > 0.02
print("accuracy, mean of 5 seeds (min to max)")
for name, v in zip(("gray", "binary"), share.T):
    print(f"{name:6} {v.mean():.2f} ({v.min():.2f} to {v.max():.2f})")
