"""A line is right far less often than a character: about p^n for n characters.

The classic scheme (LeCun et al. 1998): an image per character, a class per character.
Real handwritten digits: train on the first half of scikit-learn's file, read lines of
n digits from the second half, in the file's order.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images).view(-1, 1, 8, 8) / 16  # (1797, 1, 8, 8)
y = torch.tensor(labels)


def fit(steps=150):
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        batch = torch.randint(0, 897, (64,))
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


share = torch.zeros(5, 4)
lengths = torch.tensor([1, 5, 10, 20])
for seed in range(5):
    torch.manual_seed(seed)
    right = (fit()(x[897:]).argmax(1) == y[897:]).double()  # (900,)
    for i, n in enumerate(lengths):
        share[seed, i] = right.view(-1, n).prod(1).mean()
power = share[:, :1] ** lengths
assert (share[:, 0] > 0.88).all() and (share[:, 3] < 0.5).all()
assert ((share - power).abs() < 0.15).all()
print("entirely right: mean of 5 seeds (min to max), and p^n")
for n, v, expected in zip(lengths, share.T, power.mean(0)):
    span = f"({v.min():.2f} to {v.max():.2f})"
    print(f"{n:2} digits: {v.mean():.2f} {span}, {expected:.2f}")
