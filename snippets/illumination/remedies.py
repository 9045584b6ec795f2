"""Augmentation helps near the range it saw; a normalization cancels the changes that
it is invariant to; of those tried only the local one withstands a cast shadow.

Images are rounded to 8 bits. Five CNNs side by side: images (N, SEEDS, 8, 8).
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
x, y = (0.1 + 0.8 * X / 16).view(-1, 8, 8)[split], Y[split]  # linear light
test, truth = x[1200:], y[1200:]


def relight(x):  # augmentation: each image its own gain and gamma
    gain = torch.empty(*x.shape[:2], 1, 1).uniform_(0.3, 1)
    return gain * x ** torch.empty_like(gain).uniform_(-0.7, 0.7).exp()


def standardize(x):  # invariant to a * x + b with a > 0
    return (x - x.mean((2, 3), True)) / x.std((2, 3), keepdim=True)


def equalize(x):  # invariant to every increasing curve
    v = x.flatten(2)
    return standardize((v[..., None, :] <= v[..., None]).double().mean(3).view_as(x))


def center_surround(x):  # Retinex: smooth light and gain drop out, then gamma
    surround = F.avg_pool2d(F.pad(x.log(), (2, 2, 2, 2), mode="reflect"), 5, 1)
    return standardize(x.log() - surround)


def train(prepare):
    net = nn.Sequential(  # groups=S: the networks share no weight
        nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
        nn.ReLU(),
        nn.Conv2d(8 * S, 32 * S, 4, groups=S),
        nn.ReLU(),
        nn.Conv2d(32 * S, 10 * S, 1, groups=S),
        nn.Unflatten(1, (S, 10)),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for i in torch.randint(1200, (100, 64)):
        loss = F.cross_entropy(net(prepare(x[i])).flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return net.requires_grad_(False)


def accuracy(name, light):  # a camera clips, and rounds to 8 bits
    net, prepare = nets[name]
    z = (255 * light.clamp(1 / 255, 1)).round() / 255
    return (net(prepare(z)).argmax(2) == truth).double().mean(0)


nets = {
    "nothing": (train(torch.clone), torch.clone),
    "augmentation": (train(relight), torch.clone),
}
for f in standardize, equalize, center_surround:
    nets[f.__name__.replace("_", "-")] = train(f), f
nets["equalize at test only"] = nets["nothing"][0], equalize
angle = 2 * torch.pi * torch.rand(len(test), S, 1, 1)  # a shadow edge for each image
row, column = torch.meshgrid(*2 * [torch.arange(8.0) - 3.5], indexing="ij")
shade = (angle.cos() * row + angle.sin() * column > 0).double()
lights = {
    "same": test,
    "gain 0.1": 0.1 * test,
    "gamma 3": test**3,
    "shadow": test * (1 - 0.9 * shade),
}
a = {name: torch.stack([accuracy(name, z) for z in lights.values()]) for name in nets}
print(f"accuracy, mean (lowest to highest, n={S}): " + ", ".join(lights))
for name, c in a.items():  # (lights, SEEDS)
    print(f"{name:21}", *[f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in c])
none, augmented, standard, equal, local, late = a.values()
assert augmented[1].mean() > none[1].mean() + 0.1 and (standard[1] > augmented[1]).all()
assert (equal[2] > none[2]).all() and (local[3] > none[3] + 0.2).all()
assert (standard[3] < 0.6).all() and (equal[3] < 0.4).all()
assert (late[0] < equal[0]).all()  # a network must be trained on what it will get

figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
gains, depths = 2.0 ** -torch.linspace(0, 5, 7), 0.9 * torch.linspace(0, 1, 7)
for name, style in zip(list(nets)[:5], ("o:", "s--", "^-", "v-.", "D-")):
    gained = [accuracy(name, g * test).mean() for g in gains]
    shaded = [accuracy(name, test * (1 - d * shade)).mean() for d in depths]
    axes[0].semilogx(gains, gained, style, label=name)
    axes[1].plot(depths, shaded, style)
axes[0].axvspan(0.3, 1, color="0.9"), axes[0].minorticks_off()
axes[0].set(
    xlabel="gain (gray: augmented)",
    ylabel="accuracy",
    ylim=(0, 1),
    xlim=(1.1, 0.028),
    xticks=(1, 0.3, 0.1),
    xticklabels=("1", "0.3", "0.1"),
)
axes[1].set_xlabel("light taken away in the shadow"), axes[0].legend(loc="lower left")
plt.tight_layout(), plt.show()
