"""After a long absence only appearance can tell who is who, and training helps.

Eight objects leave and come back elsewhere, seen anew. A small CNN learns embeddings
with a contrastive loss (InfoNCE) on three photographs and is tested on three others.
Shapes: glimpse (n, 1, 24, 24), embedding (n, 32) of length 1.
"""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from skimage import data
from torch import nn

torch.set_default_dtype(torch.float64)
photos = [
    torch.tensor(getattr(data, name)() / 255)
    for name in (
        "astronaut",
        "coffee",
        "camera",
        "chelsea",
        "coins",
        "immunohistochemistry",
    )
]
photos = [p.view(1, 1, *p.shape[:2], -1).mean(-1) for p in photos]  # gray
photos = torch.cat([F.interpolate(p, (160, 160), mode="area") for p in photos])


def glimpse(pictures, places):
    """The objects at complex places x + iy (n, 1, 1): shifted, turned, lit anew."""
    n, g = len(places), torch.arange(24) - 11.5
    jitter, (turn, zoom, light, shade) = torch.randn(2, n, 1, 1), torch.rand(4, n, 1, 1)
    u = (g + 1j * g[:, None]) * torch.exp(1j * (turn - 0.5)) * (0.85 + 0.3 * zoom)
    where = places + 2 * (jitter[0] + 1j * jitter[1]) + u
    grid = torch.view_as_real(where) / 79.5 - 1
    seen = F.grid_sample(pictures, grid, align_corners=True, padding_mode="reflection")
    ramp = (0.5 + light) + 0.04 * (g * torch.exp(6.28j * shade)).real
    return seen * ramp[:, None] + 0.03 * torch.randn_like(seen)


def objects(pool, n):
    x, y = 20 + 120 * torch.rand(2, n, 1, 1)
    return pool[torch.randint(len(pool), (n,))], x + 1j * y


def pixels(seen):  # the baseline: template matching by correlation coefficient
    flat = seen.flatten(1)
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=1)


def correct(before, after):  # Hungarian on similarity, in groups of eight
    right = 0
    for a, b in zip(before.split(8), after.split(8)):
        right += (linear_sum_assignment(-(a @ b.T).numpy())[1] == range(8)).sum()
    return right / len(before)


rows = []
for seed in range(3):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.InstanceNorm2d(1),
        nn.Conv2d(1, 16, 5, 2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 32),
    )

    def embed(seen):
        return F.normalize(net(seen), dim=1)

    shown, places = objects(photos[3:], 400)
    before, after = glimpse(shown, places), glimpse(shown, places)
    last, now = torch.rand(2, 400, 2)  # where they left, where they came back

    def score():
        with torch.no_grad():
            return correct(embed(before), embed(after))

    untrained = score()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for step in range(80):
        batch = objects(photos[:3], 64)
        a, b = embed(glimpse(*batch)), embed(glimpse(*batch))
        loss = F.cross_entropy(a @ b.T / 0.1, torch.arange(64))  # who is who?
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    flat = correct(pixels(before), pixels(after))
    stay = correct(F.normalize(last - 0.5, dim=1), F.normalize(now - 0.5, dim=1))
    rows.append([stay, flat, untrained, score()])
rows = torch.tensor(rows)
assert (rows[:, 3] > rows[:, :3].amax(1) + 0.15).all()
assert (rows[:, 0] < 0.25).all()  # chance is 1 in 8
print("identities right among eight (3 seeds, 400 objects each)")
for k, name in enumerate(("last place", "pixels", "untrained CNN", "trained CNN")):
    v = rows[:, k]
    print(f"{name:14} {v.mean():.2f} ({v.min():.2f}-{v.max():.2f})")
