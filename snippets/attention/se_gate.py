"""An SE gate turns to the informative channel, image by image; fixed weights cannot.

Squeeze-and-excitation (Hu and others, 2018). Shapes: x (N, 4, 8, 8): four digits, one
of them 0.5 brighter. Its class is the answer; the other three mislead.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images = images.view(-1, 8, 8) / 16 - 0.3  # about centered: the mean tells the lit one


class SE(nn.Module):
    def __init__(self, c, hidden):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(c, hidden), nn.ReLU(), nn.Linear(hidden, c))

    def gate(self, x):  # (N, C, H, W) -> (N, C), each between 0 and 1
        return torch.sigmoid(self.mlp(x.mean((2, 3))))

    def forward(self, x):
        return x * self.gate(x)[:, :, None, None]


def scenes(pool, n, moves):
    i = pool[torch.randint(len(pool), (n, 4))]
    lit = torch.randint(4, (n,)) if moves else torch.zeros(n).long()
    x = images[i] + 0.5 * F.one_hot(lit, 4)[:, :, None, None]
    return x, labels[i].gather(1, lit[:, None])[:, 0], lit


def network(kind):
    if kind == "3x3 convolution":
        layers = nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Flatten()
        return nn.Sequential(*layers, nn.Linear(512, 10))
    first = SE(4, 16) if kind == "SE gate" else nn.Identity()
    return nn.Sequential(first, nn.Conv2d(4, 1, 1), nn.Flatten(), nn.Linear(64, 10))


def run(kind, moves, seed, steps=150):  # accuracy, gate of the lit one, of others
    torch.manual_seed(seed)
    fit, new = torch.randperm(len(images)).split([1200, 597])
    (x, y, _), (X, Y, lit) = scenes(fit, 2000, moves), scenes(new, 1000, moves)
    net = network(kind)
    rate = 0.01 if kind == "3x3 convolution" else 0.02  # the better of the two
    adam = torch.optim.Adam(net.parameters(), rate)
    for _ in range(steps):
        i = torch.randint(2000, (100,))
        loss = F.cross_entropy(net(x[i]), y[i])
        adam.zero_grad(), loss.backward(), adam.step()
    with torch.no_grad():
        g = net[0].gate(X) if kind == "SE gate" else torch.ones(1000, 4)
        on, total = g.gather(1, lit[:, None]).mean(), g.sum(1).mean()
        return [(net(X).argmax(1) == Y).double().mean(), on, (total - on) / 3, g.min()]


result = {}
for kind in ("fixed weights", "3x3 convolution", "SE gate"):
    for moves in (False, True):
        if kind == "3x3 convolution" and not moves:
            continue
        result[kind, moves] = r = torch.tensor([run(kind, moves, s) for s in range(5)])
        weights = sum(p.numel() for p in network(kind).parameters())
        print(
            f"{'any' if moves else 'first'} channel lit, {kind} ({weights}): "
            f"{r[:, 0].min():.2f} to {r[:, 0].max():.2f}"
        )
still, moving = result["SE gate", False], result["SE gate", True]
assert (still - result["fixed weights", False])[:, 0].mean().abs() < 0.03  # no gain
assert (moving - result["fixed weights", True])[:, 0].min() > 0.3
assert (moving - result["3x3 convolution", True])[:, 0].mean() > 0.04
assert (moving[:, 1] - moving[:, 2]).min() > 0.4 and (moving[:, 3] > 0).all()
print(
    f"gate when any is lit: {moving[:, 1].mean():.1f} for the lit channel, "
    f"{moving[:, 2].mean():.1f} for the others (5 seeds)"
)
