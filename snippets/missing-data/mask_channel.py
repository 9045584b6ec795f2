"""A mask channel pays when missingness is informative, and then it is a risk.

Source: Rubin, Inference and missing data, Biometrika 1976, for the mechanisms.
Shapes: digits x (N, 1, 8, 8); the mask is a second channel: (N, 2, 8, 8).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
x, y = map(torch.from_numpy, load_digits(return_X_y=True))
x, SEEDS = (x / 16).view(-1, 1, 8, 8), 5


def seen(mechanism):
    by_label = torch.where(y < 5, 0.2, 0.6).view(-1, 1, 1, 1)
    share = {"random": 0.4, "label": by_label, "value": x > 0.5}[mechanism]
    return (torch.rand_like(x) >= share).double()  # share: chance to be lost


def accuracies(seed, mechanism, use_mask):
    torch.manual_seed(seed)
    train, test = torch.randperm(len(x))[:1000].split(500)
    here, elsewhere = seen(mechanism), seen("random")
    # The mean of what is seen: all that one has in practice.
    mean = (x * here)[train].sum(0) / here[train].sum(0).clamp(min=1)

    def inputs(m):
        filled = x * m + mean * (1 - m)
        return torch.cat([filled, m], 1) if use_mask else filled

    net = nn.Sequential(
        nn.Conv2d(1 + use_mask, 8, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    x_train, y_train = inputs(here)[train], y[train]
    for batch in (b for _ in range(12) for b in torch.randperm(500).split(125)):
        loss = F.cross_entropy(net(x_train[batch]), y_train[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tests = [net(inputs(m)[test]).argmax(1) for m in (here, elsewhere)]
    return [(guess == y[test]).double().mean().item() for guess in tests]


gain, masks = {}, (False, True)
print("accuracy without and with mask; same mechanism, then random holes")
for mechanism in ("random", "value", "label"):
    runs = [[accuracies(s, mechanism, m) for m in masks] for s in range(SEEDS)]
    result = torch.tensor(runs)  # (seed, mask, here or elsewhere)
    gain[mechanism] = result[:, 1] - result[:, 0]
    (a, b), (c, d) = result.mean(0).T
    print(f"{mechanism}: {a:.2f} and {b:.2f}, then {c:.2f} and {d:.2f} (n={SEEDS})")
assert (gain["value"][:, 0] > 0.08).all()  # informative: the mask pays
assert gain["random"].mean() < 0.01 and gain["label"][:, 0].mean() < 0.05
assert gain["value"][:, 1].mean() < -0.03  # elsewhere it misleads
assert (gain["label"][:, 1] < -0.08).all()
