"""Labels alone turn noise into smooth filters and a finder of unseen coins.

Source: Zeiler and Fergus, arXiv 1311.2901 (ECCV 2014), here as a toy.
Shapes: photo (1, 1, 148, 192) -> maps of 148x192, 74x96 and 37x48 units.
"""

import matplotlib.pyplot as plt
import torch
from skimage import data
from torch import nn

torch.set_default_dtype(torch.float64)
COINS = [(22, 22), (28, 50), (26, 78), (26, 108), (26, 138), (22, 168)]  # y, x
COINS += [(62, 22), (63, 51), (64, 77), (62, 102), (60, 136), (62, 168)]
COINS += [(98, 22), (98, 51), (99, 77), (96, 106), (96, 136), (94, 174)]
COINS += [(130, 23), (132, 57), (130, 86), (132, 122), (132, 150), (134, 179)]
photo = torch.from_numpy(data.coins()[:296] / 53 - 1.8)[None, None]
photo = nn.AvgPool2d(2)(photo)  # (1, 1, 148, 192), mean near 0, std near 1
y, x = torch.arange(37)[:, None] * 4 + 1.5, torch.arange(48) * 4 + 1.5
distance = torch.stack([torch.hypot(y - r, x - c) for r, c in COINS])
coin = (distance < 4.5).any(0)  # (37, 48) units; rows from 19 on are unseen

smooth, found, alarms = [], [], []
for seed in (4, 3, 2, 1, 0):  # the last is drawn
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),  # sees 5 px
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 10 px
        nn.Conv2d(16, 16, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 1, 1),  # 28 px
    )
    w = nn.init.normal_(net[0].weight, std=0.02).detach()  # starts as noise
    adam = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(100):  # the upper half of the photo, randomly mirrored
        flip = [axis for axis in (2, 3) if torch.rand(()) < 0.5]
        target = coin[None, None, :19].double().flip(flip)
        logits = net(photo[:, :, :76].flip(flip))  # (1, 1, 19, 48)
        loss = nn.BCEWithLogitsLoss(1 + 7 * target)(logits, target)
        adam.zero_grad()
        loss.backward()
        adam.step()
    fired = net(photo)[0, 0] > 0  # (37, 48)
    smooth.append((w[..., 1:] * w[..., :-1]).mean() / w.square().mean())
    found.append(sum(fired[d < 4.5].any().item() for d in distance[12:]))
    alarms.append((fired & (distance > 10).all(0))[19:].sum().item())
assert min(found) >= 10 and max(alarms) <= 3 and min(smooth) > 0.4
print(f"unseen coins found: {min(found)} to {max(found)} of 12 (n=5)")
print(f"false alarms: at most {max(alarms)}")
print("correlation of neighboring filter weights: above 0.4 (noise: 0)")

rows = "P" * 24, "".join(c * 3 for c in "abcdefgh"), "1" * 8 + "2" * 8 + "3" * 8
fig, axes = plt.subplot_mosaic(";".join(rows), figsize=(6, 6), height_ratios=(9, 2, 2))
panels = {"P": photo[0, 0]} | dict(zip("abcdefgh", w[:, 0]))
for n, (end, channel, field) in enumerate(((2, 0, 5), (5, 2, 10), (8, 8, 28)), 1):
    box = torch.tensor([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]]) * field / 2
    axes["P"].plot(box[0] + 106, box[1] + 96, lw=2)  # around one coin
    panels[str(n)] = net[:end](photo)[0, channel].detach().chunk(2)[1]  # unseen
    axes[str(n)].set_title(f"depth {n}: sees {field} px", size=10)
axes["P"].axhline(75.5, c="w", ls="--")  # trained above it
for name, panel in panels.items():
    axes[name].imshow(panel.numpy(), cmap="gray", interpolation="none")
    axes[name].axis("off")
plt.show()
