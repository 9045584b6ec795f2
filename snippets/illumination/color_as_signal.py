"""Gray-world makes accuracy independent of a color cast, and where color is the
signal it costs accuracy in plain light.

Task: from which of six photographs is an 8x8 patch? Test patches come from other
parts. Five CNNs side by side, linear light: patches (N, SEEDS, 3, 8, 8).
"""

import torch
import torch.nn.functional as F
from skimage import data
from sklearn.datasets import load_sample_image
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
S = 5
photos = [
    data.astronaut(),
    data.coffee(),
    data.chelsea(),
    data.rocket(),
    load_sample_image("china.jpg"),
    load_sample_image("flower.jpg"),
]
parts = []
for label, photo in enumerate(photos):
    linear = (torch.tensor(photo) / 255).double().permute(2, 0, 1) ** 2.2 + 0.01
    p = F.avg_pool2d(linear, 4)
    row = torch.arange((p.shape[1] - 4) // 4)  # patch r covers the rows 4r to 4r + 7
    z = p.unfold(1, 8, 4).unfold(2, 8, 4)[:, row % 3 < 2]  # bands that do not touch
    test = (row[row % 3 < 2] // 3 % 2 == 1)[:, None].expand(z.shape[1:3])
    n = test.numel()
    parts.append(
        (
            z.reshape(3, n, 8, 8).transpose(0, 1),
            torch.full((n,), label),
            p.mean((1, 2), keepdim=True).expand(n, 3, 1, 1),
            test.flatten(),
        )
    )
x, y, mean, is_test = map(torch.cat, zip(*parts))
weight = 1 / torch.bincount(y)[y].double()  # all photographs equally often


def draw(n, test):
    return torch.multinomial(weight * (is_test == test), n * S, True).view(n, S)


def light(n, strength):
    return torch.empty(n, S, 3, 1, 1).uniform_(-strength, strength).exp()


def train(prepare, strength):
    net = nn.Sequential(  # groups=S: the networks share no weight
        nn.Flatten(1, 2),
        nn.Conv2d(3 * S, 16 * S, 4, 4, groups=S),
        nn.ReLU(),
        nn.Conv2d(16 * S, 16 * S, 2, groups=S),
        nn.ReLU(),
        nn.Conv2d(16 * S, 6 * S, 1, groups=S),
        nn.Unflatten(1, (S, 6)),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(100):
        i, cast = draw(100, False), light(100, strength)
        f = net(prepare(cast * x[i], cast * mean[i]) ** 0.45)
        loss = F.cross_entropy(f.flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return net


methods = {
    "none": (lambda x, mean: x, 0),
    "augmentation": (lambda x, mean: x, 0.6),
    "gray-world, whole photo": (lambda x, mean: x / mean, 0),
    "gray-world, patch": (lambda x, mean: x / x.mean((3, 4), keepdim=True), 0),
}
i, a = draw(400, True), {}
casts = [light(400, strength) for strength in (0, 0.6, 2)]
print(f"mean accuracy, chance 0.17: {'no cast':>16} mild strong (n={S})")
for name, (prepare, strength) in methods.items():
    net = train(prepare, strength)
    with torch.no_grad():
        guess = [net(prepare(c * x[i], c * mean[i]) ** 0.45).argmax(2) for c in casts]
    a[name] = torch.stack([(g == y[i]).double().mean(0) for g in guess])
    print(f"{name:36}", *[f"{value:.2f}  " for value in a[name].mean(1)])
plain, augmented, whole, patch = a.values()  # each (casts, SEEDS)
for fixed in whole, patch:
    assert (fixed - fixed[0]).abs().max() < 0.005  # the cast is gone
assert whole[0].mean() < plain[0].mean() - 0.03
assert whole[2].mean() > plain[2].mean() + 0.03
assert patch[0].mean() < whole[0].mean() - 0.1
