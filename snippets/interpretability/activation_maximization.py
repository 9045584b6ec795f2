"""Gradient ascent on the pixels makes images that excite a class more than every real
image does and that other networks read the same way, yet that no data set contains.

Erhan and others, 2009; Simonyan, Vedaldi and Zisserman, 2014. Ten networks in groups:
images x (N, 10, 8, 8), logits (N, 10, 10), one optimized image per class and network.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
X, S = X.view(-1, 1, 8, 8) / 16, 10
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
for i in torch.randint(len(X), (100, 64, S)):
    f = net(X[i, 0])  # each network draws its own images
    loss = F.cross_entropy(f.flatten(0, 1), Y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()


def maximize(net, steps, jitter):
    """Ascend the logit of class n in image n (10, S, 8, 8), pixels in 0 to 1."""
    u = (0.1 * torch.randn(10, S, 8, 8)).requires_grad_()
    adam = torch.optim.Adam([u], 0.1)
    k = torch.arange(10)
    for _ in range(steps):
        x = u.sigmoid()
        if jitter:  # asks for an image that survives small shifts and noise
            x = x.roll(torch.randint(-1, 2, (2,)).tolist(), (2, 3))
            x = x + 0.3 * torch.randn(x.shape)
        loss = -net(x)[k, :, k].sum()
        if jitter:
            loss = loss + 0.2 * u.sigmoid().sum()  # ink costs
        adam.zero_grad(), loss.backward(), adam.step()
    return u.sigmoid().detach()


with torch.no_grad():
    real = net(X.expand(-1, S, -1, -1))  # (1797, S, 10)
best = real.argmax(0)  # (S, 10), the image that excites each class most
rows = {
    "real": X[best.T, 0],
    "plain": maximize(net, 60, False),
    "robust": maximize(net, 60, True),
}
k, far = torch.arange(10), {}
print("             logit / highest   another network   distance to the")
print("             of a real image   reads the class   nearest real image")
for name, x in rows.items():
    own = net(x)[k, :, k] / real.amax(0).T  # (10 classes, S)
    others = net(x.roll(1, dims=1)).argmax(2)  # network s reads the image of s - 1
    agree = (others == k[:, None]).double().mean()
    away = torch.cdist(x.transpose(0, 1).flatten(2), X.view(1, -1, 64)).sort(2).values
    away = away[..., int(name == "real")]  # a real image is not its own neighbor
    far[name] = away.mean(1)  # (S,)
    print(f"{name:10} {own.mean():12.1f} {agree:17.2f} {away.mean():17.1f}")
    if name == "plain":
        assert (own > 1).all() and agree > 0.85  # every class of every network
print(f"n = {S} networks, 10 classes each")
assert (far["plain"] > 2 * far["real"]).all() and (far["plain"] > far["robust"]).all()

figure, axes = plt.subplots(3, 1, figsize=(7, 3))
for panel, (name, x) in zip(axes, rows.items()):
    line = F.pad(x[:, 0], (1, 1, 1, 1), value=0.5).transpose(0, 1).flatten(1)
    panel.imshow(line.numpy(), cmap="gray", interpolation="none")  # (10, 100)
    panel.set_xticks([]), panel.set_yticks([]), panel.set_ylabel(name)
plt.tight_layout(), plt.show()
