"""Context finds a hidden object in its usual company, and invents it where none is.

Pictures x (N, 1, 8, 16): a neighbor (digit 0, 1 or 2) on the left, its usual partner
(3, 5 or nothing) on the right, partly behind a gray panel. Ten CNNs side by side
(groups): five were trained on these pairs, five on all combinations alike.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
images, digit = map(torch.from_numpy, load_digits(return_X_y=True))
images, S, G, NOTHING = images.view(-1, 8, 8) / 16, 5, 10, 2
TRAIN, TEST = slice(0, 100), slice(100, None)


def draw(kind, digits, part):  # a random image of digits[kind]; None: empty
    x = torch.zeros(len(kind), 8, 8)
    for k, d in enumerate(digits):
        if d is not None:
            pool, here = images[digit == d][part], kind == k
            x[here] = pool[torch.randint(len(pool), (int(here.sum()),))]
    return x


def scene(partner, neighbor, hidden, part):  # hidden: a share, from above
    left, right = draw(neighbor, (0, 1, 2), part), draw(partner, (3, 5, None), part)
    panel = torch.arange(8).view(8, 1) < 8 * hidden.view(-1, 1, 1)
    return torch.cat([left, torch.where(panel, 0.5, right)], 2)[:, None]


net = nn.Sequential(
    nn.Conv2d(G, 8 * G, 3, groups=G),
    nn.ReLU(),
    nn.Conv2d(8 * G, 8 * G, 3, 2, groups=G),
    nn.ReLU(),
    nn.Conv2d(8 * G, 3 * G, (2, 6), groups=G),
    nn.Flatten(),
    nn.Unflatten(1, (G, 3)),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for _ in range(100):
    y, other = torch.randint(3, (2, 32, G))
    usual = (torch.rand(32, G) < 0.9) & (torch.arange(G) < S)
    neighbor, y = torch.where(usual, y, other).flatten(), y.flatten()
    x = scene(y, neighbor, torch.rand(32 * G), TRAIN).view(32, G, 8, 16)
    loss = F.cross_entropy(net(x).flatten(0, 1), y, reduction="sum") / 32
    adam.zero_grad(), loss.backward(), adam.step()

y, nothing, right = torch.randint(2, (500,)), torch.full((500,), NOTHING), {}
print("right answers, 5 seeds               trained on pairs   on all combinations")
for name, partner, neighbor, hidden in (
    ("visible, usual neighbor", y, y, 0.0),
    ("80% hidden, usual neighbor", y, y, 0.8),
    ("80% hidden, unusual neighbor", y, 1 - y, 0.8),
    ("visible, unusual neighbor", y, 1 - y, 0.0),
    ("nothing there, neighbor 0 or 1, panel", nothing, y, 0.8),
):
    x = scene(partner, neighbor, torch.full((500,), hidden), TEST)
    answer = net(x.expand(-1, G, -1, -1)).argmax(2)
    a = (answer == partner[:, None]).double().mean(0).view(2, S)
    right[name] = a
    print(f"{name:37}", *(f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})  " for v in a))
seen, helped, misled, doubted, empty = right.values()
assert helped[0].min() > 0.8 and helped[0].mean() > helped[1].mean() + 0.3
assert misled[0].max() < 0.2 and misled[1].mean() > misled[0].mean() + 0.2
assert doubted[0].mean() < doubted[1].mean() - 0.2 and empty[0].max() < 0.2
