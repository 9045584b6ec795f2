"""Sliding an occluder over faces shows what a detector needs, and what it mistakes.

Zeiler and Fergus, ECCV 2014. 100 faces and 100 other patches x (N, S, 25, 25), each
standardized, so that 0 is its mean gray. Five CNNs side by side (groups).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y, S = torch.from_numpy(data.lfw_subset()).double(), torch.arange(200) < 100, 5
split = torch.rand(200, S).argsort(0)  # another one for each seed
x, y = X[split], Y[split]
x = (x - x.mean((2, 3), True)) / x.std((2, 3), keepdim=True)

net = nn.Sequential(
    nn.Conv2d(S, 8 * S, 5, 2, groups=S),
    nn.ReLU(),
    nn.Conv2d(8 * S, 8 * S, 3, 2, groups=S),
    nn.ReLU(),
    nn.Conv2d(8 * S, S, 5, groups=S),
    nn.Flatten(),
)
adam = torch.optim.Adam(net.parameters(), 3e-3)
for i in torch.randint(100, (100, 32)):
    mirrored = torch.rand(32, 1, 1, 1) < 0.5
    view = torch.where(mirrored, x[i].flip(3), x[i])
    loss = S * F.binary_cross_entropy_with_logits(net(view), y[i].double())
    adam.zero_grad(), loss.backward(), adam.step()
x, y = x[100:], y[100:]


@torch.no_grad()
def drop(rows, columns, gray):  # how far the faces' scores fall, for each seed
    covered = x.clone()
    covered[:, :, rows, columns] = gray
    return ((score - net(covered)) * y).sum(0) / y.sum(0)


score, every = net(x).detach(), slice(None)
accuracy = ((score > 0) == y).double().mean(0)
eyes, mouth = slice(7, 13), slice(16, 22)
print(f"accuracy {accuracy.mean():.2f} ({accuracy.min():.2f}-{accuracy.max():.2f})")
d = {}
for name, rows, gray in (
    ("eyes, mean gray", eyes, 0.0),
    ("mouth, mean gray", mouth, 0.0),
    ("mouth, bright", mouth, 1.5),
):
    v = d[name] = drop(rows, every, gray)
    print(f"bar over {name:17} score falls by", end=" ")
    print(f"{v.mean():.1f} ({v.min():.1f} to {v.max():.1f})")
e, m, b = d.values()
assert e.mean() > m.mean() + 1 and b.mean() > m.mean() + 2 and accuracy.mean() > 0.85
fig, axes = plt.subplots(1, 3, figsize=(7, 2.9))
axes[0].imshow(X[:100].mean(0).numpy(), cmap="gray"), axes[0].set_title("mean face")
for ax, gray, name in zip(axes[1:], (0.0, 1.5), ("gray square", "bright square")):
    corners = [slice(r, r + 7) for r in range(0, 19, 3)]
    grid = [[drop(r, c, gray).mean() for c in corners] for r in corners]
    image = ax.imshow(
        torch.tensor(grid).numpy(),
        cmap="coolwarm",
        vmin=-6,
        vmax=6,
        extent=(0, 25, 25, 0),
    )
    ax.set_title(name)
plt.setp(axes, xticks=[], yticks=[]), fig.tight_layout()
fig.colorbar(image, ax=axes, label="score falls by", shrink=0.8), plt.show()
