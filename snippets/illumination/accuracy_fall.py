"""A CNN trained in one light loses accuracy in another: to a strong gain, offset, fog
or shadow heavily, to gamma little, to a color cast hardly, as color is no cue here.

Brightness and contrast as in ImageNet-C (Hendrycks and Dietterich, ICLR 2019). Five
CNNs side by side: images (N, SEEDS, 3, 8, 8) with values from 0 to 1.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
S = 5
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
split = torch.rand(len(X), S).argsort(0)
x, y = (0.1 + 0.8 * X / 16).view(-1, 1, 8, 8).expand(-1, 3, 8, 8)[split], Y[split]

net = nn.Sequential(  # groups=S: the networks share no weight
    nn.Flatten(1, 2),
    nn.Conv2d(3 * S, 8 * S, 4, 2, 1, groups=S),
    nn.ReLU(),
    nn.Conv2d(8 * S, 32 * S, 4, groups=S),
    nn.ReLU(),
    nn.Conv2d(32 * S, 10 * S, 1, groups=S),
    nn.Unflatten(1, (S, 10)),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(1200, (100, 100)):
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()

test, truth = x[1200:], y[1200:]
mean = test.mean((2, 3, 4), keepdim=True)
angle = 2 * torch.pi * torch.rand(len(test), S, 1, 1, 1)  # one shadow edge an image
row, column = torch.meshgrid(*2 * [torch.arange(8.0) - 3.5], indexing="ij")
shade = (angle.cos() * row + angle.sin() * column > 0).double()
warm = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1)  # least blue

changes = {  # t from 0 (no change) to 1
    "gamma": lambda t: test ** (1 + 3 * t),
    "gain": lambda t: test * (1 - 0.9 * t),
    "brightness": lambda t: test + 0.6 * t,
    "contrast": lambda t: mean + (1 - 0.9 * t) * (test - mean),
    "shadow": lambda t: test * (1 - 0.9 * t * shade),
    "color cast": lambda t: test * (1 - 0.9 * t * warm),
}
strengths, curve = torch.linspace(0, 1, 7), {}
for name, change in changes.items():
    with torch.no_grad():  # a camera clips at white
        right = [net(change(t).clamp(0, 1)).argmax(2) == truth for t in strengths]
    curve[name] = torch.stack(right).double().mean(1)  # (7, SEEDS)
    half, full = curve[name][3], curve[name][6]
    print(
        f"{name:10} half {half.mean():.2f}, full {full.mean():.2f} "
        f"({full.min():.2f} to {full.max():.2f}, n={S})"
    )
clean = curve["gamma"][0]
print(f"no change  {clean.mean():.2f} ({clean.min():.2f} to {clean.max():.2f})")
fall = {name: clean - c[6] for name, c in curve.items()}
assert all(
    fall[name].mean() > 0.1 for name in ("gain", "brightness", "contrast", "shadow")
)
assert 0.01 < fall["gamma"].mean() < 0.15 and fall["color cast"].mean() < 0.05

plt.figure(figsize=(6, 3.4))
for (name, c), style in zip(curve.items(), ("o-", "s-", "^-", "v--", "D--", "x:")):
    plt.plot(strengths, c.mean(1), style, label=name)
plt.xlabel("strength of the change"), plt.ylabel("accuracy"), plt.ylim(0, 1)
plt.legend(ncols=2), plt.tight_layout(), plt.show()
