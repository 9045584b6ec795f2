"""Asked for one of two shapes in a scene, most explanations put their peak on it and
not on the other; brightness alone cannot tell the two apart.

Pointing game: Zhang and others, ECCV 2016. Five networks in groups learn from tiles
(N, 5, 12, 12) with one shape or none; scenes (N, 5, 24, 24) hold two in four tiles.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
S, N = 5, 30
r = torch.arange(-4, 5).abs()
v, h = torch.meshgrid(r, r, indexing="ij")
shapes = torch.stack(
    [(v**2 + h**2 - 12).abs() < 6, v * h == 0, v == h, v.maximum(h) == 4, v < 0]
).double()
names = ["ring", "plus", "cross", "frame"]  # and nothing: shapes (5, 9, 9)


def tiles(k):  # classes (n,) to noisy images (n, S, 12, 12)
    x = F.pad(shapes[k], (1, 2, 1, 2)) + 0.2 * torch.randn(len(k), 12, 12)
    return x[:, None].repeat(1, S, 1, 1)


sizes = (1, 8, 5, 2, 2), (8, 16, 3, 1, 1), (16, 16, 3, 1, 1), (16, 4, 1)
convs = nn.ModuleList(nn.Conv2d(a * S, b * S, *rest, groups=S) for a, b, *rest in sizes)


def forward(x, relu=F.relu):  # last maps and, summed over all places, four scores
    for conv in convs[:3]:
        x = relu(conv(x))
    return x, F.softplus(convs[3](x).unflatten(1, (S, 4)) - 2).sum((3, 4)) - 4


adam = torch.optim.Adam(convs.parameters(), 1e-2)
for k in torch.randint(5, (120, 32)):
    y = F.one_hot(k, 5)[:, None, :4].expand(-1, S, -1).double()  # "nothing" is all 0
    loss = F.binary_cross_entropy_with_logits(forward(tiles(k))[1], y)
    adam.zero_grad(), loss.backward(), adam.step()


def guided_relu(x):  # passes only positive gradients back
    y = F.relu(x)
    y.register_hook(F.relu)
    return y


def explain(x, k):
    """Maps (n, S, 24, 24) of the score of class k (n,), by method."""

    def score(z, relu=F.relu):
        maps, scores = forward(z, relu)
        return maps, scores[torch.arange(N), :, k]

    def grad(z, relu=F.relu):
        z = z.clone().requires_grad_()
        return torch.autograd.grad(score(z, relu)[1].sum(), z)[0]

    maps, s = score(x)
    w = torch.autograd.grad(s.sum(), maps)[0].mean((2, 3), keepdim=True)
    cam = F.relu((w * maps).unflatten(1, (S, 16)).sum(2))
    drop = torch.zeros_like(x)
    for row, col in [(i, j) for i in range(0, 24, 4) for j in range(0, 24, 4)]:
        window, z = (..., slice(row, row + 4), slice(col, col + 4)), x.clone()
        z[window] = 0
        drop[window] = (s - score(z)[1]).detach()[..., None, None]
    steps = (torch.arange(8) + 0.5) / 8
    return {
        "brightness": x,
        "gradient": grad(x).abs(),
        "guided": grad(x, guided_relu).abs(),
        "occlusion": drop,
        "integrated": x * sum(grad(x * t) for t in steps) / 8,
        "Grad-CAM": F.interpolate(cam, (24, 24), mode="bilinear").detach(),
    }


k = torch.full((N, 4), 4)
place = torch.rand(N, 4).argsort(1)[:, :2]  # quarters of the two shapes
k.scatter_(1, place, torch.rand(N, 4).argsort(1)[:, :2])
x = tiles(k.flatten()).view(N, 2, 2, S, 12, 12).permute(0, 3, 1, 4, 2, 5)
asked = k.gather(1, place).T  # (2, N): the shape asked for, the other one
explained = [explain(x.reshape(N, S, 24, 24), c) for c in asked]
hit = {}
for name in explained[0]:
    peak = torch.stack([maps[name].flatten(2).argmax(2) for maps in explained])
    quarter = peak // 24 // 12 * 2 + peak % 24 // 12
    hit[name] = t, o = [
        (quarter == p[..., None]).double().mean((0, 1))
        for p in (place.T, place.T.flip(0))
    ]
    print(
        f"{name:10}: on the shape asked for {t.mean():.2f} ({t.min():.2f} to "
        f"{t.max():.2f}, n={S}), on the other {o.mean():.2f}"
    )
assert hit.pop("brightness")[0].max() < 0.75
assert min(t.mean() for t, _ in hit.values()) > 0.8
figure, axes = plt.subplots(2, 6, figsize=(7, 2.7))
for line, maps, k in zip(axes, explained, asked):
    line[0].set_ylabel("for the " + names[k[2]])
    for panel, (name, m), color in zip(line, maps.items(), ["gray"] + ["magma"] * 5):
        panel.imshow(m[2, 0].clamp(0).numpy(), color, interpolation="none")
        panel.set(xticks=[], yticks=[], frame_on=False)
        panel.set_title("scene" if color == "gray" else name, fontsize=9)
plt.tight_layout(), plt.show()
