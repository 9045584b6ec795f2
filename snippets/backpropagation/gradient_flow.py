"""A shortcut keeps the gradient of early layers alive where the plain net loses it;
so does He initialization, and BatchNorm makes it grow instead.

30 convolutions (8 channels, 3x3, ReLU) on 64 digits (N, 1, 8, 8), untrained: norm
of each layer's weight gradient. He and others, ICCV 2015 and CVPR 2016.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = (torch.tensor(v) for v in load_digits(return_X_y=True))
images = (images.view(-1, 1, 8, 8) - images.mean()) / images.std()
DEPTH, SEEDS = 30, 5


def layer_gradients(kind, seed):
    """Gradient norm of each convolution's weights, first to last."""
    torch.manual_seed(seed)
    stem, head = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8, 10)
    convs = [nn.Conv2d(8, 8, 3, padding=1) for _ in range(DEPTH)]
    chosen = torch.randperm(len(images))[:64]
    x = stem(images[chosen])
    for conv in convs:
        if kind == "He init":  # variance 2 / fan_in; the default is 1 / (3 fan_in)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        f = conv(x)
        if kind == "BatchNorm":
            f = F.batch_norm(f, None, None, training=True)
        x = x + F.relu(f) if kind == "shortcuts" else F.relu(f)
    F.cross_entropy(head(x.mean((2, 3))), labels[chosen]).backward()
    return torch.stack([conv.weight.grad.norm() for conv in convs])


plt.figure(figsize=(5.4, 4.2))
kinds = {"plain": ".-", "He init": "s-", "BatchNorm": "^--", "shortcuts": "o:"}
ratio = {}
for kind, style in kinds.items():
    norms = torch.stack([layer_gradients(kind, seed) for seed in range(SEEDS)])
    ratio[kind] = norms[:, 0] / norms[:, -1]
    low, high = ratio[kind].min(), ratio[kind].max()
    print(
        f"{kind:9}  first / last layer:",
        "< 1e-9" if high < 1e-9 else f"{low:.1f} to {high:.1f}",
    )
    layers = range(1, DEPTH + 1)
    plt.semilogy(layers, norms.median(0).values, style, ms=5, label=kind)
    plt.fill_between(layers, norms.amin(0), norms.amax(0), alpha=0.2)
print(f"n = {SEEDS} seeds, lowest to highest")
assert ratio["plain"].max() < 1e-9  # vanished
for kind in ("shortcuts", "He init"):  # within a factor of 30 either way
    assert 1 / 30 < ratio[kind].min() and ratio[kind].max() < 30
assert ratio["BatchNorm"].min() > 5  # grows toward the input

plt.xlabel("layer (1 is next to the image)")
plt.ylabel("norm of weight gradient")
plt.legend()
plt.show()
