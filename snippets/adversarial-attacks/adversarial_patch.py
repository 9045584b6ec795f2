"""One sticker, the same for every image, makes a network say the class it was made for;
black, white and random stickers only hide the digit.

Brown and others, 2017; Eykholt and others, CVPR 2018. One CNN a seed:
images x (N, SEEDS, 8, 8), sticker (SEEDS, 4, 4).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S, target, PAD = 5, 3, (2, 2, 2, 2)
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]

net = nn.Sequential(  # groups=S: the networks share no weight
    nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
    nn.ReLU(),
    nn.Conv2d(8 * S, 32 * S, 4, groups=S),
    nn.ReLU(),
    nn.Conv2d(32 * S, 10 * S, 1, groups=S),
    nn.Unflatten(1, (S, 10)),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(1200, (100, 100)):
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()


def stick(images, sticker):  # on the middle, under light that varies image by image
    light = 0.7 + 0.3 * torch.rand(len(images), 1, 1, 1)
    hole = F.pad(torch.zeros(S, 4, 4), PAD, value=1)
    return light * (images * hole + F.pad(sticker, PAD))


u = torch.zeros(S, 4, 4, requires_grad=True)
adam = torch.optim.Adam([u], 0.3)
for i in torch.randint(1200, (80, 50)):  # expectation over images and light
    f = net(stick(x[i], u.sigmoid())).flatten(0, 1)
    loss = F.cross_entropy(f, torch.full((len(f),), target))
    adam.zero_grad(), loss.backward(), adam.step()

test, truth = x[-300:], y[-300:]  # seen by no one before
stickers = {
    "black": torch.zeros(S, 4, 4),
    "white": torch.ones(S, 4, 4),
    "random": torch.rand(S, 4, 4),
    "optimized": u.sigmoid().detach(),
}
clean = (net(test).argmax(2) == truth).double().mean()
print(f"without a sticker: accuracy {clean:.2f}")
hits, other = {}, truth != target
for name, sticker in stickers.items():
    guess = net(stick(test, sticker)).argmax(2)
    hits[name] = ((guess == target) & other).sum(0) / other.sum(0)
    a, h = (guess == truth).double().mean(), hits[name]
    print(
        f"{name:9} sticker: accuracy {a:.2f}, other digits read as {target}: "
        f"{h.mean():.2f} ({h.min():.2f} to {h.max():.2f}, n={S})"
    )
assert hits["optimized"].min() > 0.7 and hits["random"].mean() < 0.2

figure, axes = plt.subplots(2, 5, figsize=(7, 3.2))
for k, (bare, stuck) in zip(other[:, 0].nonzero()[:5, 0], axes.T):
    for panel, z in (bare, test), (stuck, stick(test, stickers["optimized"])):
        panel.imshow(z[k, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        panel.set_title(f"reads {net(z)[k, 0].argmax()}"), panel.set_axis_off()
plt.tight_layout(), plt.show()
