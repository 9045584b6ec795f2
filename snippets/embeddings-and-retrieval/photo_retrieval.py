"""A trained embedding finds shifted, recolored photo patches; pixels and colors fail.

Loss: NT-Xent between two views, SimCLR, arXiv 2002.05709. Trained on patches of four
photographs, searched among those of three others. x (N, 3, 16, 16) -> z (N, 64).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data
from sklearn.datasets import load_sample_images
from torch import nn

torch.set_default_dtype(torch.float64)


def tiles(photo, stride):  # (n, 3, 48, 48): patches of 32 and a margin of 8
    x = torch.tensor(photo.copy()).permute(2, 0, 1) / 255
    x = x.unfold(1, 48, stride).unfold(2, 48, stride).flatten(1, 2).transpose(0, 1)
    return x[x[:, :, 8:-8, 8:-8].std((1, 2, 3)) > 0.08]  # without nearly uniform ones


def view(x, margin):  # each tile shifted by up to the margin, colors scaled and moved
    side, shift = x.shape[-1] - 2 * margin, torch.randint(2 * margin + 1, (2, len(x)))
    place = zip(x, *shift.tolist())
    x = torch.stack([t[:, r : r + side, c : c + side] for t, r, c in place])
    gain = torch.empty(len(x), 3, 1, 1).uniform_(0.6, 1.4)
    return (x * gain + torch.empty(len(x), 1, 1, 1).uniform_(-0.15, 0.15)).clamp(0, 1)


def histogram(x, bins=4):  # joint color histogram (N, 64); root: Hellinger kernel
    i = (x * bins).long().clamp(max=bins - 1)  # (N, 3, H, W)
    i = (i[:, 0] * bins + i[:, 1]) * bins + i[:, 2]
    return F.one_hot(i.flatten(1), bins**3).double().mean(1).sqrt()


def recall_at(top, right, k):  # top (Q, K) indices, best first; right (Q,)
    return (top[:, :k] == right[:, None]).any(1).double().mean()


def embed(x):  # one convolution and GeM pooling with p = 3
    return ((conv(F.instance_norm(x)).clamp(min=0.01) ** 3).mean((2, 3))) ** (1 / 3)


ROWS = {
    "pixels": lambda x: x.flatten(1),
    "color histogram": histogram,
    "pixels - mean": lambda x: (x - x.mean((2, 3), keepdim=True)).flatten(1),
    "untrained": embed,
    "trained": embed,
}
train = [data.rocket(), data.stereo_motorcycle()[0], *load_sample_images().images]
train = F.avg_pool2d(torch.cat([tiles(photo, 22) for photo in train]), 2)
test = torch.cat([tiles(f(), 32) for f in (data.astronaut, data.coffee, data.chelsea)])
gallery, right = test[:, :, 8:-8, 8:-8], torch.arange(len(test))
SEEDS, KS = 3, (1, 5, 10)
recall, top = torch.zeros(SEEDS, len(ROWS), 3), {}  # seed, row, k
for seed in range(SEEDS):
    torch.manual_seed(seed)
    conv = nn.Conv2d(3, 64, 5, stride=2)
    query, adam = view(test, 8), torch.optim.Adam(conv.parameters(), 1e-2)
    for n, (name, f) in enumerate(ROWS.items()):
        for _ in range(60 if name == "trained" else 0):
            batch = train[torch.randint(len(train), (96,))]
            a, b = (F.normalize(embed(view(batch, 4))) for _ in range(2))
            loss = F.cross_entropy(a @ b.T / 0.05, torch.arange(96))
            adam.zero_grad(), loss.backward(), adam.step()
        q, g = (F.normalize(f(F.avg_pool2d(x, 2))).detach() for x in (query, gallery))
        top[name] = (q @ g.T).topk(10).indices
        recall[seed, n] = torch.tensor([recall_at(top[name], right, k) for k in KS])
gain = recall[:, 4:] - recall[:, :4]
assert gain[:, :3].min() > 0.2 and gain[:, 3].min() > 0.05  # every seed, every k
sample = torch.randperm(len(test))[:5]  # five queries at random, last seed
plt.rcParams["font.size"] = 12
axes = plt.subplots(1, 4, figsize=(7, 3.5), width_ratios=[1, 3, 3, 3])[1]
for axis, name in zip(axes, ["query", "pixels", "color histogram", "trained"]):
    x = query[sample, None] if name == "query" else gallery[top[name][sample, :3]]
    x = F.pad(x, (6,) * 4, value=1.0)  # (5, 1 or 3, 3, 44, 44)
    if name != "query":
        hit = (top[name][sample, :3] == sample[:, None])[..., None, None, None]
        ring = F.pad(F.pad(torch.ones(3, 34, 34), (3,) * 4), (2,) * 4, value=1.0)
        x[hit & (ring == 0)] = 0  # a black frame around the right patch
    mosaic = x.permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    axis.imshow(mosaic.numpy(), interpolation="none")
    axis.set_title(name), axis.axis("off")
plt.tight_layout(), plt.show()
print(f"{len(test)} patches     recall@1             recall@5  recall@10")
for row, name in zip(recall.unbind(1), ROWS):
    (one, five, ten), low, high = row.mean(0), row[:, 0].min(), row[:, 0].max()
    print(f"{name:15} {one:.2f} ({low:.2f} to {high:.2f})  {five:.2f}      {ten:.2f}")
