"""Training gives single units that match a concept, measured as IoU with its masks;
so do the directions of a random rotation of the same layer.

Network dissection: Bau and others, CVPR 2017. Five networks in groups learn shapes from
tiles (N, 1, 12, 12); scenes (N, 1, 24, 24), units and concept masks on (12, 12).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
S, U, N = 5, 16, 60
r = torch.arange(-4, 5).abs()
big, small = torch.maximum(r[:, None], r), torch.minimum(r[:, None], r)
shapes = torch.stack(
    [  # (5, 9, 9): the four and nothing
        (r[:, None] ** 2 + r**2 - 12).abs() < 6,
        small < 1,
        (r[:, None] - r).abs() < 1,
        big == 4,
        big > 9,
    ]
).double()


def tiles(k):  # classes (n,) to noisy images (n, 1, 12, 12)
    x = F.pad(shapes[k], (1, 2, 1, 2))
    return (x + 0.2 * torch.randn(x.shape))[:, None]


def network():
    return nn.Sequential(
        nn.Conv2d(S, 8 * S, 5, 2, 2, groups=S),
        nn.ReLU(),
        nn.Conv2d(8 * S, U * S, 3, 1, 1, groups=S),
        nn.ReLU(),
        nn.Conv2d(U * S, U * S, 3, 1, 1, groups=S),
        nn.ReLU(),
    )


body, untrained, head = network(), network(), nn.Conv2d(U * S, 5 * S, 1, groups=S)
adam = torch.optim.Adam([*body.parameters(), *head.parameters()], 1e-2)
for k in torch.randint(5, (100, 32)):
    logits = head(body(tiles(k).repeat(1, S, 1, 1))).mean((2, 3)).view(-1, S, 5)
    loss = F.cross_entropy(logits.flatten(0, 1), k.repeat_interleave(S))
    adam.zero_grad(), loss.backward(), adam.step()


def unit_iou(maps, masks, share=0.05):
    """IoU (U, K) of each unit's top places, over all images, with each concept."""
    limit = maps.transpose(0, 1).flatten(1).quantile(1 - share, dim=1)
    on = (maps > limit[:, None, None]).double()
    both = torch.einsum("nuhw,nkhw->uk", on, masks)
    either = on.sum((0, 2, 3))[:, None] + masks.sum((0, 2, 3)) - both
    return both / either


k = torch.rand(N, 4).argsort(1)
k = torch.where(torch.rand(N, 4) < 0.5, 4, k)  # half of the tiles are empty
join = lambda t: t.view(N, 2, 2, 12, 12).transpose(2, 3).reshape(N, 24, 24)
scenes = join(tiles(k.flatten()))[:, None]
box = F.pad(torch.ones(9, 9), (1, 2, 1, 2))
masks = [join((k == c).double()[..., None, None] * box) for c in range(4)]
masks = torch.stack(masks, 1)[:, :, ::2, ::2]  # (N, 4, 12, 12)

iou = {"trained": [], "rotated": [], "untrained": []}
with torch.no_grad():
    maps = {
        "trained": body(scenes.repeat(1, S, 1, 1)).view(N, S, U, 12, 12),
        "untrained": untrained(scenes.repeat(1, S, 1, 1)).view(N, S, U, 12, 12),
    }
turn = torch.linalg.qr(torch.randn(S, U, U))[0]
maps["rotated"] = torch.einsum("nsuhw,suv->nsvhw", maps["trained"], turn)
for name in iou:
    for s in range(S):
        iou[name].append(unit_iou(maps[name][:, s], masks).amax(0).mean())
    a = iou[name] = torch.stack(iou[name])
    print(
        f"{name:9}: IoU of the best unit, mean of 4 concepts {a.mean():.2f} "
        f"({a.min():.2f} to {a.max():.2f}, n={S})"
    )
assert (iou["trained"] > iou["untrained"] + 0.1).all()
assert iou["rotated"].mean() > iou["untrained"].mean() + 0.1  # no special basis here

best = unit_iou(maps["trained"][:, 0], masks)  # (U, 4), first network
plt.rcParams["image.interpolation"] = "none"
figure, axes = plt.subplots(2, 5, figsize=(7, 3.7))
image = (k < 4).sum(1).argmax()  # the scene with most shapes
filters = body[0].weight[:8, 0].detach()  # (8, 5, 5), first layer
axes[0, 0].imshow(scenes[image, 0].numpy(), cmap="gray")
filters = F.pad(filters, (1, 0, 1, 0)).view(2, 4, 6, 6).permute(0, 2, 1, 3)
axes[1, 0].imshow(filters.reshape(12, 24).numpy(), cmap="RdBu", vmin=-0.6, vmax=0.6)
axes[0, 0].set_title("scene"), axes[1, 0].set_title("filters")
for c, name in enumerate(["ring", "plus", "cross", "frame"]):
    value, unit = best[:, c].max(0)
    axes[0, c + 1].imshow(masks[image, c].numpy(), cmap="gray", vmin=0, vmax=1)
    axes[0, c + 1].set_title(f"mask: {name}", fontsize=9)
    axes[1, c + 1].imshow(maps["trained"][image, 0, unit].numpy(), cmap="magma")
    axes[1, c + 1].set_title(f"unit {unit}\nIoU {value:.2f}", fontsize=9)
[panel.set(xticks=[], yticks=[], frame_on=False) for panel in axes.flat]
plt.tight_layout(), plt.show()
