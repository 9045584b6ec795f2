"""A small FCN segments by texture, where no brightness threshold can.

Brick and grass (scikit-image), both with the same histogram of gray values.
Shapes: mosaic (N, 1, 32, 32) -> scores (N, 2, 32, 32); train left, test right half.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data, filters
from torch import nn

torch.set_default_dtype(torch.float64)


def same_histogram(photo):  # each pixel becomes its rank, 0 to 1
    flat = torch.from_numpy(photo.astype(float)).flatten()
    rank = flat.argsort(stable=True).argsort()
    return (rank / len(flat)).view(photo.shape)


photos = [same_histogram(p[::2, ::2]) for p in (data.brick(), data.grass())]


def mosaics(n, half):  # a disk of grass in brick, from the left or the right half
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    c = 8 + 16 * torch.rand(2, n, 1, 1)
    label = (torch.hypot(y - c[0], x - c[1]) < 11).long()
    images = []
    for mask in label:
        i, j = torch.randint(224, (2,)), torch.randint(96, (2,)) + 128 * half
        brick, grass = (p[a : a + 32, b : b + 32] for p, a, b in zip(photos, i, j))
        images.append(torch.where(mask == 1, grass, brick))
    return torch.stack(images)[:, None], label


def iou(a, b):
    return ((a & b).sum() / (a | b).sum()).item()


scores = []
for seed in range(5):
    torch.manual_seed(seed)
    (x, label), (test, truth) = mosaics(128, 0), mosaics(64, 1)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 5, 2, 2),
        nn.ReLU(),  # stride 2
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.Conv2d(16, 2, 1),
        nn.Upsample(scale_factor=2, mode="bilinear"),
    )
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for step in range(80):
        batch = torch.arange(16) + step % 8 * 16
        optimizer.zero_grad()
        F.cross_entropy(net(x[batch] - 0.5), label[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        guess, grass = net(test - 0.5).argmax(1) == 1, truth == 1
    bright = test[:, 0] > filters.threshold_otsu(test.numpy())
    otsu = max(iou(bright, grass), iou(~bright, grass))
    cuts = [test[:, 0] > level for level in torch.linspace(0, 1, 41)]
    best = max(max(iou(cut, grass), iou(~cut, grass)) for cut in cuts)
    scores.append([iou(guess, grass), otsu, best])
scores = torch.tensor(scores)  # (seed, method)
for name, s in zip(("FCN", "Otsu's threshold", "best threshold"), scores.T):
    print(f"{name}: IoU {s.mean():.2f} ({s.min():.2f} to {s.max():.2f}), n=5")
assert (scores[:, 0] > scores[:, 2] + 0.15).all()
fig, axes = plt.subplots(1, 4, figsize=(7, 2.1), layout="constrained")
panels = {"image": test[0, 0], "truth": grass[0], "Otsu": bright[0], "FCN": guess[0]}
for ax, (title, picture) in zip(axes, panels.items()):
    ax.imshow(picture.numpy(), cmap="gray", interpolation="none")
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
