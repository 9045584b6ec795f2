"""Half-hidden objects in training raise a detector's recall where little is visible.

Images x (N, 1, 24, 24): a ring to find, a disk to ignore, a gray post over part of the
ring. The output scores cells of 2 x 2 pixels; the best cell is the detection. Ten CNNs
side by side (groups): five trained on whole rings, five with up to 80% hidden.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
S, G, N, g = 5, 10, 24, torch.arange(24) + 0.5


def scene(hidden):  # images (n, 24, 24) and the rings' centers (n, 2) as row, column
    n = len(hidden)
    radius, center = 4 + 2 * torch.rand(n, 2, 1, 1), 5 + 14 * torch.rand(2, n, 2, 1, 1)
    d = torch.hypot(g[:, None] - center[0], g - center[1])  # to ring, to disk
    ring, hole = d[:, 0] < radius[:, 0], d[:, 0] < radius[:, 0] / 2
    x = torch.where(ring, 1.0 - hole.double(), 1.0 * (d[:, 1] < radius[:, 1]))
    turn, r = 2 * torch.pi * torch.rand(n, 1, 1), radius[:, 0]
    along = (g[:, None] - center[0, :, 0]) * turn.sin()
    along = along + (g - center[1, :, 0]) * turn.cos()
    post = (along > r - 2 * r * hidden.view(n, 1, 1)) & (along < r + 2)
    x = torch.where(post, 0.5, x) + 0.2 * torch.randn(n, N, N)
    return x, center[:, :, 0, 0, 0].T


net = nn.Sequential(
    nn.Conv2d(G, 8 * G, 4, 2, 1, groups=G),
    nn.ReLU(),
    nn.Conv2d(8 * G, 8 * G, 3, padding=2, dilation=2, groups=G),
    nn.ReLU(),
    nn.Conv2d(8 * G, G, 3, padding=2, dilation=2, groups=G),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for _ in range(120):
    hidden = 0.8 * torch.rand(10, G) * (torch.arange(G) >= S)
    x, center = scene(hidden.flatten())
    cell = (center // 2).long() @ torch.tensor([12, 1])
    loss = G * F.cross_entropy(net(x.view(10, G, N, N)).flatten(0, 1), cell)
    adam.zero_grad(), loss.backward(), adam.step()

recall = {}
print("recall, 5 seeds   trained on whole   on hidden too")
for hidden in (0.0, 0.5, 0.7):
    x, center = scene(torch.full((250,), hidden))
    with torch.no_grad():
        best = net(x[:, None].expand(-1, G, -1, -1)).argmax(2)
    place = 2 * torch.stack([best // 12, best % 12], 2) + 1
    hit = (place - center[:, None]).square().sum(2) < 9  # within 3 pixels
    r = recall[hidden] = hit.double().mean(0).view(2, S)
    print(f"{hidden:3.0%} hidden       ", end="")
    print("  ".join(f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in r))
gain = {h: (r[1] - r[0]).mean() for h, r in recall.items()}
assert abs(gain[0.0]) < 0.03 and gain[0.7] > 0.12 and recall[0.7][0].mean() < 0.5
