"""Fine-tuning from a random head moves the features most; here at little cost.

Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022.
Source: all digits, shifted. Labels: 20 centered images each of 7, 8, 9.
Far test: the same digits, shifted. Images are (N, 1, 12, 12).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
SEEDS = range(5)
pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
images = F.pad(pixels.view(-1, 1, 8, 8) / 16, (2, 2, 2, 2))


def shifted(x):  # each image by up to 2 pixels; the margin is empty
    moves = torch.randint(-2, 3, (len(x), 2)).tolist()
    return torch.stack([a.roll(m, (1, 2)) for a, m in zip(x, moves)])


def cnn(classes):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, classes),
    )


def train(net, groups, x, y, steps, augment=False):
    optimizer = torch.optim.SGD(groups, lr=0.03, momentum=0.9)
    for _ in range(steps):
        i = torch.randint(len(x), (32,))
        optimizer.zero_grad()
        F.cross_entropy(net(shifted(x[i]) if augment else x[i]), y[i]).backward()
        optimizer.step()


recipes = ("probe", "fine-tune", "backbone lr / 10", "probe, then tune")
scores = torch.zeros(3, len(SEEDS), 4)  # near, far, drift; seed; recipe
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    order = torch.randperm(len(images))
    x, y = images[order], labels[order] - 7
    source = cnn(10)
    train(source, source.parameters(), x[:900], y[:900] + 7, 400, augment=True)
    x, y = x[900:][y[900:] >= 0], y[900:][y[900:] >= 0]  # new 7, 8, 9
    few = torch.cat([(y == c).nonzero()[:20, 0] for c in range(3)])
    near, far, truth = x[-190:], shifted(x[-190:]), y[-190:]
    for r, recipe in enumerate(recipes):
        net = cnn(3)
        body, head = net[:-1], net[-1]
        body.load_state_dict(source[:-1].state_dict())
        if "probe" in recipe:
            frozen = body(x[few]).detach()  # computed once
            train(head, head.parameters(), frozen, y[few], 80)
        if recipe != "probe":
            rate = 0.003 if recipe == "backbone lr / 10" else 0.03
            groups = [
                {"params": body.parameters(), "lr": rate},
                {"params": head.parameters()},
            ]
            train(net, groups, x[few], y[few], 80)
        old, new = source[:-1](near), body(near)
        scores[0, s, r] = (net(near).argmax(1) == truth).double().mean()
        scores[1, s, r] = (net(far).argmax(1) == truth).double().mean()
        scores[2, s, r] = ((new - old).norm() / old.norm()).item()

_, far, drift = scores
loss = far[:, 0] - far[:, 1]  # what fine-tuning loses against the probe
assert (drift[:, 1] / drift[:, 2:].amax(1)).min() > 1.2  # on every seed
assert loss.mean().abs() < 0.06  # little, for so much drift
print(f"accuracy near and far, feature drift; mean of {len(loss)} seeds")
for recipe, *numbers in zip(recipes, *scores.mean(1)):
    print(f"{recipe:<17}", *(f"{n:.2f}" for n in numbers[:2]), f"{numbers[2]:.1f}")
print(f"far, probe over fine-tune: {loss.min():.2f} to {loss.max():.2f}")
