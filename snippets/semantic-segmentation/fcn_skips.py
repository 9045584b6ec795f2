"""Adding finer score maps to a coarse one, as FCN does, brings thin things back.

Source: Long, Shelhamer, Darrell, arXiv 1411.4038: FCN-32s, -16s, -8s in miniature.
Shapes: x (N, 1, 32, 32) -> maps at strides 8, 4, 2, 1 -> scores (N, 3, 32, 32).
"""

import itertools

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


def scenes(n):  # disks (class 1) and lines one pixel thick (class 2) in noise
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    c = 8 + 16 * torch.rand(2, n, 1, 1)
    disk = torch.hypot(y - c[0], x - c[1]) < 4 + 4 * torch.rand(n, 1, 1)
    angle, offset = 3.14 * torch.rand(n, 1, 1), 16 * torch.rand(n, 1, 1) - 8
    line = ((y - 16) * angle.cos() + (x - 16) * angle.sin() - offset).abs() < 0.6
    label = torch.where(line, 2, disk.long())
    return ((label > 0) + 0.2 * torch.randn(n, 32, 32))[:, None], label


class FCN(nn.Module):
    def __init__(self):
        super().__init__()
        widths = (1, 6), (6, 8), (8, 12)
        self.down = nn.ModuleList(nn.Conv2d(*w, 4, 2, 1) for w in widths)
        self.score = nn.ModuleList(nn.Conv2d(c, 3, 3, 1, 1) for c in (12, 8, 6, 1))

    def forward(self, x):  # four answers: from stride 8 alone, plus 4, plus 2, plus 1
        maps = [x]
        for layer in self.down:
            maps.insert(0, layer(maps[0]).relu())  # coarse to fine
        answers = [self.score[0](maps[0])]
        for score, finer in zip(self.score[1:], maps[1:]):
            coarse = F.interpolate(answers[-1], scale_factor=2, mode="bilinear")
            answers.append(coarse + score(finer))
        return [F.interpolate(y, 32, mode="bilinear") for y in answers]


iou = torch.zeros(5, 4, 3)  # seed, answer, class
for seed in range(5):
    torch.manual_seed(seed)
    (x, label), (test, truth) = scenes(64), scenes(64)
    net = FCN()
    optimizer = torch.optim.Adam(net.parameters(), 0.03)
    for step in range(100):  # one encoder, all four answers trained together
        batch = torch.arange(16) + step % 4 * 16
        optimizer.zero_grad()
        sum(F.cross_entropy(y, label[batch]) for y in net(x[batch])).backward()
        optimizer.step()
    guesses = [y.argmax(1) for y in net(test)]  # labels (64, 32, 32)
    for k, c in itertools.product(range(4), range(3)):
        said, true = guesses[k] == c, truth == c
        iou[seed, k, c] = (said & true).sum() / (said | true).sum()

print("mean IoU and range, n=5")
for k, name in enumerate(("stride 8 only", "+ stride 4", "+ stride 2", "+ stride 1")):
    for c, thing in ((1, f"{name:13}  disk"), (2, "  line")):
        v = iou[:, k, c]
        print(f"{thing} {v.mean():.2f} ({v.min():.2f} to {v.max():.2f})", end="")
    print()
assert (iou[:, 3, 2] > iou[:, 2, 2] + 0.1).all() and (iou[:, 0, 2] < 0.1).all()
assert (iou[:, 3, 1] > iou[:, 0, 1] + 0.1).all()
fig, axes = plt.subplots(1, 6, figsize=(7, 1.6), layout="constrained")
titles = "image", "truth", "stride 8", "+ 4", "+ 2", "+ 1"
for ax, title, picture in zip(axes, titles, (test[:, 0], truth, *guesses)):
    ax.imshow(picture[0].numpy(), cmap="gray", vmin=0, vmax=2, interpolation="none")
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
