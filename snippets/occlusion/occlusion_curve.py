"""Accuracy falls with the hidden area; training with occluders flattens the fall.

And it matters what covers: a piece of another object misleads more than gray. Eight
photographs are the classes; views x (N, 1, 24, 24) vary pose, light and noise. Ten CNNs
side by side (groups): five trained on plain views, five on views with a pasted piece.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
NAMES = "chelsea coffee camera rocket coins clock horse astronaut".split()
raw = [torch.tensor(getattr(data, n)() * 1.0) for n in NAMES]
raw = [p.view(1, 1, *p.shape[:2], -1).mean(-1) for p in raw]  # gray
photos = torch.cat([F.interpolate(p, (48, 48), mode="area") for p in raw])
photos = (photos - photos.mean((2, 3), True)) / photos.std((2, 3), keepdim=True)
S, G, SIDES = 5, 10, (0, 8, 12, 16, 19)  # seeds, networks, hidden squares


def views(n):  # photos zoomed, turned, moved, lit differently, noisy
    y, angle = torch.randint(8, (n,)), 0.3 * torch.randn(n)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1)
    zoom, shift = 0.6 + 0.3 * torch.rand(n, 1, 1), 0.15 * torch.randn(n, 2, 1)
    theta = torch.cat([zoom * turn.view(n, 2, 2), shift], 2)
    grid = F.affine_grid(theta, (n, 1, 24, 24), align_corners=False)
    x = F.grid_sample(photos[y], grid, padding_mode="reflection", align_corners=False)
    gain, offset = 0.7 + 0.6 * torch.rand(n, 1, 1, 1), torch.randn(n, 1, 1, 1) / 2
    return gain * x + offset + 0.3 * torch.randn(n, 1, 24, 24), y


def squares(n, side):  # (n, 1, 24, 24), True inside; side: a number or (n, 1, 1, 1)
    corner = (torch.rand(2, n, 1, 1, 1) * (25 - side)).long()
    d = torch.arange(24).view(24, 1) - corner[0], torch.arange(24) - corner[1]
    return (d[0] >= 0) & (d[0] < side) & (d[1] >= 0) & (d[1] < side)


net = nn.Sequential(
    nn.Conv2d(G, 8 * G, 4, 2, groups=G),
    nn.ReLU(),
    nn.Conv2d(8 * G, 16 * G, 3, 2, groups=G),
    nn.ReLU(),
    nn.Conv2d(16 * G, 8 * G, 5, groups=G),
    nn.Flatten(),
    nn.Unflatten(1, (G, 8)),
)
adam = torch.optim.Adam(net.parameters(), 6e-3)
for _ in range(130):
    x, y = views(16 * S)
    hole = squares(16 * S, torch.randint(4, 18, (16 * S, 1, 1, 1)))
    pasted = torch.where(hole, x.roll(1, 0), x)  # a piece of another training view
    both = torch.cat([v.view(16, S, 24, 24) for v in (x, pasted)], 1)
    labels = y.view(16, S).repeat(1, 2).flatten()
    loss = G * F.cross_entropy(net(both).flatten(0, 1), labels)
    adam.zero_grad(), loss.backward(), adam.step()

(x, y), (other, _), right = views(400), views(400), []
for side in SIDES:
    hole = squares(400, side)
    for cover in (0 * x, other):  # gray, or the same place of another view
        seen = torch.where(hole, cover, x).expand(-1, G, -1, -1)
        right.append((net(seen).argmax(2) == y[:, None]).double().mean(0))
accuracy = torch.stack(right).view(len(SIDES), 2, 2, S)  # side, cover, training, seed
gain, harm = accuracy[:, :, 1] - accuracy[:, :, 0], accuracy[:, 0] - accuracy[:, 1]
assert gain[3:, 1].min() > 0.1 and gain[3:, 0].mean() > 0.04
assert harm[2:, 0].min() > 0.05 and -0.1 < gain[0].mean() < 0  # the price in the clear
print("hidden   behind gray       behind a piece of another object")
print("area     plain  pasting    plain  pasting   (training; mean of 5 seeds)")
for side, a in zip(SIDES, accuracy.mean(3).flatten(1)):
    gray, piece = f"{a[0]:.2f}   {a[1]:.2f}", f"{a[2]:.2f}   {a[3]:.2f}"
    print(f"{side**2 / 576:4.0%}     {gray}       {piece}")
figure, axes = plt.subplots(2, 1, figsize=(6.4, 5.6), height_ratios=(1, 2.2))
cat, cup = (F.interpolate(p, (96, 96), mode="area")[0, 0] for p in raw[:2])
row = [torch.full((96, 4), 255.0)] * 9
for k, side in enumerate(SIDES):
    row[2 * k] = cat.clone()
    a, b = 48 - 2 * side, 48 + 2 * side
    row[2 * k][a:b, a:b] = cup[a:b, a:b]
axes[0].imshow(torch.cat(row, 1).numpy(), cmap="gray", interpolation="none")
axes[0].axis("off")
for c, color in enumerate(("#0b4f6c", "#b85c00")):
    for t, style in enumerate(("o--", "s-")):
        name = f"{('gray', 'other object')[c]}, {('plain', 'pasting')[t]}"
        area, mean = [s**2 / 5.76 for s in SIDES], accuracy[:, c, t].mean(1)
        axes[1].plot(area, mean, style, color=color, label=name)
axes[1].set(xlabel="hidden area (%)", ylabel="accuracy", ylim=(0, 1))
axes[1].legend(title="cover, training"), plt.tight_layout(), plt.show()
