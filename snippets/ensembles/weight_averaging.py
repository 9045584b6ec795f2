"""Weights average well along one training run, not across separate runs.

Izmailov and others, UAI 2018 (SWA); Frankle and others, ICML 2020 (fork).
Shapes: digits x (N, 1, 8, 8); all weights of a network as one vector.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images, SEEDS = images.view(-1, 1, 8, 8) / 16, 5


def network(vector=None):
    conv1, conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
    stages = conv1, nn.ReLU(), nn.MaxPool2d(2), conv2, nn.ReLU(), nn.MaxPool2d(2)
    net = nn.Sequential(*stages, nn.Flatten(), nn.Linear(64, 10))
    if vector is not None:
        nn.utils.vector_to_parameters(vector.clone(), net.parameters())
    return net


def train(net, index, epochs):
    """Constant learning rate; returns the weights after each epoch."""
    optimizer, weights = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9), []
    for _ in range(epochs):
        for batch in index[torch.randperm(len(index))].split(32):
            loss = F.cross_entropy(net(images[batch]), labels[batch])
            optimizer.zero_grad(), loss.backward(), optimizer.step()
        weights.append(nn.utils.parameters_to_vector(net.parameters()).detach().clone())
    return torch.stack(weights)


def accuracy(vector, test):
    guess = network(vector)(images[test]).argmax(1)
    return (guess == labels[test]).double().mean().item()


steps, paths, tails = torch.linspace(0, 1, 9), torch.zeros(3, SEEDS, 9), []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    index, test = torch.randperm(len(images)).split([400, 1397])
    one, other = (train(network(), index, 20) for _ in range(2))
    fork = train(network(one[3]), index, 16)  # from epoch 4, in another order
    pairs = (one[-1], other[-1]), (one[9], one[-1]), (one[-1], fork[-1])
    for line, (u, v) in zip(paths[:, seed], pairs):
        line += torch.tensor([accuracy(u + t * (v - u), test) for t in steps])
    tail = torch.tensor([accuracy(u, test) for u in one[-10:]])
    tails.append([tail.mean(), accuracy(one[-10:].mean(0), test)])
tails, names = torch.tensor(tails), ["separate runs", "one run", "forked run"]
for path, name, mark in zip(paths, names, "o^s"):
    ends, middle = path[:, [0, -1]].mean(), path[:, 4]
    print(f"{name}: ends {ends:.2f}, halfway {middle.mean():.2f}", end=" ")
    print(f"({middle.min():.2f}-{middle.max():.2f}, n={SEEDS})")
    plt.plot(steps, path.mean(0), mark + "-", label=name)
    assert (middle < ends - 0.1).all() if name == names[0] else middle.mean() > ends
assert (tails[:, 1] > tails[:, 0]).all()
print("epochs 11 to 20: one {:.2f}, mean weights {:.2f}".format(*tails.mean(0)))
plt.xlabel("share of the second network's weights", fontsize=14)
plt.ylabel("test accuracy", fontsize=14), plt.legend(fontsize=13, loc="lower right")
plt.tick_params(labelsize=12), plt.tight_layout(), plt.show()
