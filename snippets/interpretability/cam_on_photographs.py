"""A class activation map finds the part of a photograph mosaic that a class comes from,
though the network was trained on class labels of small crops only.

CAM: Zhou and others, CVPR 2016. The middle third of each photograph is kept for the
mosaics. Crops (N, 3, 24, 24), mosaics (N, 3, 96, 96), maps (N, 6, 24, 24).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data, transform
from torch import nn

torch.set_default_dtype(torch.float64)
names = ["cat", "coffee", "astronaut", "tissue", "retina", "rocket"]
raw = [
    data.chelsea(),
    data.coffee(),
    data.astronaut(),
    data.immunohistochemistry(),
    data.retina()[200:1200, 200:1200],
    data.rocket(),
]
raw = torch.stack(
    [torch.from_numpy(transform.resize(photo, (144, 144))) for photo in raw]
).permute(0, 3, 1, 2)  # (6, 3, 144, 144)
photos = (raw - raw.mean((0, 2, 3), keepdim=True)) / raw.std()
held = photos[..., 48:96]
seen = torch.cat([photos[..., :48], photos[..., 96:]])  # (12, ...), class = index mod 6


def crops(k, size, source):
    top = torch.randint(source.shape[2] - size + 1, (len(k),)).tolist()
    left = torch.randint(source.shape[3] - size + 1, (len(k),)).tolist()
    return torch.stack(
        [source[i, :, t : t + size, l : l + size] for i, t, l in zip(k, top, left)]
    )


def train():
    net = nn.Sequential(
        nn.Conv2d(3, 16, 6, 4, 1),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(24, 6, 1),
    )  # class evidence at each place
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    k = torch.randint(12, (800,))
    x = crops(k, 24, seen)
    for i in torch.randint(800, (90, 40)):
        loss = F.cross_entropy(net(x[i]).mean((2, 3)), k[i] % 6)  # average pooling
        adam.zero_grad(), loss.backward(), adam.step()
    return net


accuracy, hit = [], []
for seed in range(5):
    torch.manual_seed(seed)
    net = train()
    y = torch.randint(6, (200,))
    guess = net(crops(y, 24, held)).mean((2, 3)).argmax(1)
    accuracy.append((guess == y).double().mean())
    k = torch.rand(20, 6).argsort(1)[:, :4]  # four photographs a mosaic
    mosaic = crops(k.flatten(), 48, held).view(20, 2, 2, 3, 48, 48)
    mosaic = mosaic.permute(0, 3, 1, 4, 2, 5).reshape(20, 3, 96, 96)
    cam = net(mosaic).gather(1, k[..., None, None].expand(-1, -1, 24, 24)).detach()
    peak = cam.flatten(2).argmax(2)  # (N, 4), one for each class that is there
    quarter = peak // 24 // 12 * 2 + peak % 24 // 12
    hit.append((quarter == torch.arange(4)).double().mean())

accuracy, hit = torch.stack(accuracy), torch.stack(hit)
print(
    f"accuracy on held-out crops: {accuracy.mean():.2f} "
    f"({accuracy.min():.2f} to {accuracy.max():.2f}, n=5)"
)
print(
    f"peak of the map in the class's own quarter: {hit.mean():.2f} "
    f"({hit.min():.2f} to {hit.max():.2f}; chance 0.25)"
)
assert hit.mean() > 0.65 and hit.min() > 0.5

picture = (mosaic[0] * raw.std() + raw.mean((0, 2, 3))[:, None, None]).clamp(0, 1)
figure, axes = plt.subplots(1, 5, figsize=(7, 1.8))
axes[0].imshow(picture.permute(1, 2, 0).numpy(), interpolation="none")
axes[0].set_title("mosaic", fontsize=9)
for panel, i, heat in zip(axes[1:], k[0], F.relu(cam[0])):
    panel.imshow(
        picture.mean(0)[::2, ::2].numpy(),
        cmap="gray",
        interpolation="none",
        extent=(0, 96, 96, 0),
    )
    panel.imshow(
        heat.numpy(),
        cmap="inferno",
        alpha=0.6,
        extent=(0, 96, 96, 0),
        interpolation="none",
    )
    panel.set_title(names[i], fontsize=9)
for panel in axes:
    panel.set_axis_off()
plt.tight_layout(), plt.show()
