"""One attention query per label finds that label's object without box labels.

The core of Query2Label (Liu and others, 2021). Scenes x (N, 1, 24, 24): a 3 x 3 grid
with 5 digits. Labels y (N, 5): which of 0 to 4 occur; 5 to 9 are clutter.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, digit = load_digits(return_X_y=True)
images, digit = torch.tensor(images / 16).view(-1, 8, 8), torch.tensor(digit)


def scenes(n, pool):
    i = pool[torch.randint(len(pool), (n, 9))]
    shown = torch.rand(n, 9).argsort(1) < 5  # (N, P): 5 of P = 9 places
    x = (images[i] * shown[:, :, None, None]).view(n, 3, 3, 8, 8)
    place = (F.one_hot(digit[i], 10)[:, :, :5] * shown[:, :, None]).mT  # (N, 5, P)
    return x.transpose(2, 3).reshape(n, 1, 24, 24), place.amax(2).double(), place


def block(c, d):
    return nn.Conv2d(c, d, 3, stride=2, padding=1), nn.BatchNorm2d(d), nn.ReLU()


def attend(maps):  # (N, 2 L, H, W) -> logits (N, L), weights (N, L, P)
    match, evidence = maps.flatten(2).chunk(2, 1)  # (N, L, P) each
    a = match.softmax(2)  # sums to one over the places
    return (a * evidence).sum(2), a


hits = []
for seed in range(5):
    torch.manual_seed(seed)
    fit, new = torch.randperm(len(digit)).split([1000, 797])
    (x, y, _), (X, Y, place) = scenes(1500, fit), scenes(500, new)
    net = nn.Sequential(
        *block(1, 16), *block(16, 32), *block(32, 32), nn.Conv2d(32, 10, 1)
    )  # 5 queries and 5 weights, per cell
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(120):
        i = torch.randint(len(x), (32,))
        loss = F.binary_cross_entropy_with_logits(attend(net(x[i]))[0], y[i])
        adam.zero_grad(), loss.backward(), adam.step()
    _, a = attend(net.eval().requires_grad_(False)(X))
    hits.append(place.gather(2, a.argmax(2, keepdim=True))[Y == 1].double().mean())
n = (Y.sum(1) == 3).nonzero()[0, 0]  # the first scene with three labels
axes = plt.subplots(1, 4, figsize=(7, 2.1))[1]
for ax, label in zip(axes, [None, *Y[n].nonzero()[:, 0].tolist()]):
    ax.imshow(X[n, 0].numpy(), cmap="gray_r", extent=(0, 3, 3, 0))
    ax.set_title("scene" if label is None else f"query of {label}", fontsize=13)
    ax.set_xticks([]), ax.set_yticks([])
    weights = torch.zeros(3, 3) if label is None else a[n, label].view(3, 3)
    ax.imshow(weights.numpy(), cmap="Reds", alpha=0.5, vmax=1, extent=(0, 3, 3, 0))
plt.tight_layout(), plt.show()
assert min(hits) > 0.95
print(f"largest weight on the label's digit: {min(hits):.2f} to {max(hits):.2f}")
print(f"a place at random (5 seeds): {place[Y == 1].double().mean():.2f}")
