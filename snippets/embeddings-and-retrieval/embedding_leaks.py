"""A linear map turns a classifier's embedding back into a recognizable image.

Idea: Dosovitskiy and Brox, arXiv 1506.02753 (there with a network as decoder).
Digits x (N, 1, 8, 8) -> z (N, 32); the attacker has 450 pairs (image, embedding).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeCV
from torch import nn

torch.set_default_dtype(torch.float64)
images, digit = load_digits(return_X_y=True)
x, digit = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(digit)
SEEDS, error, right = 5, torch.zeros(5, 2), torch.zeros(5)
for seed in range(SEEDS):
    torch.manual_seed(seed)
    fit, spy, test = torch.randperm(len(x)).split([900, 450, len(x) - 1350])
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 32),
        nn.ReLU(),
    )
    head = nn.Linear(32, 10)
    adam = torch.optim.Adam([*net.parameters(), *head.parameters()], 5e-3)
    for _ in range(80):
        batch = fit[torch.randint(900, (64,))]
        loss = F.cross_entropy(head(net(x[batch])), digit[batch])
        adam.zero_grad(), loss.backward(), adam.step()
    z = net(x).detach()
    right[seed] = (head(z[test]).argmax(1) == digit[test]).double().mean()
    decoder = RidgeCV(alphas=[0.01, 0.1, 1, 10]).fit(z[spy], x[spy].flatten(1))
    decoded = torch.tensor(decoder.predict(z[test])).view(-1, 1, 8, 8)
    mean = torch.stack([x[spy[digit[spy] == c]].mean(0) for c in range(10)])
    spread = (x[test] - x[spy].mean(0)).square().mean()
    for column, guess in enumerate([mean[digit[test]], decoded]):  # the class told
        error[seed, column] = (guess - x[test]).square().mean() / spread
    if seed == 0:
        rows = torch.stack([x[test], decoded, mean[digit[test]]])[:, :8, 0]
assert right.min() > 0.8  # a working classifier
assert (error[:, 1] / error[:, 0]).max() < 0.8  # better than the class tells
plt.rcParams["font.size"] = 12
names = ["image", "decoded", "class mean"]
for axis, row, name in zip(plt.subplots(3, figsize=(6, 2.9))[1], rows, names):
    strip = F.pad(row, (1, 1), value=0.5).permute(1, 0, 2).flatten(1)
    axis.imshow(strip.numpy(), "gray_r", vmin=0, vmax=1, interpolation="none")
    axis.set_ylabel(name, rotation=0, ha="right", va="center")
    axis.set_xticks([]), axis.set_yticks([])
plt.tight_layout(), plt.show()
print("pixel variance explained, mean (min to max)")
for name, a in zip(["the class alone", "decoded from z"], 1 - error.T):
    print(f"{name:15} {a.mean():.2f} ({a.min():.2f} to {a.max():.2f})")
print(f"accuracy        {right.mean():.2f} ({right.min():.2f} to {right.max():.2f})")
