"""Each augmentation pays on the variation it imitates, and little elsewhere.

Digits x (N, 1, 8, 8), labels y (N,), 200 training images; one network each.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, y, SEEDS = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(y), range(5)


def u(x, low, high):  # one number per image
    return torch.empty(len(x), 1, 1, 1).uniform_(low, high)


def warp(x, degrees=0.0, pixels=0.0, zoom=1.0):  # the ranges to draw from
    a, s = u(x, -degrees, degrees).deg2rad(), zoom ** u(x, -1, 1)
    dx, dy = (u(x, -pixels, pixels) * 2 / x.shape[-1] for _ in range(2))
    rows = [s * a.cos(), -s * a.sin(), dx, s * a.sin(), s * a.cos(), dy]
    theta = torch.cat(rows, 3).view(-1, 2, 3)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


vary = {
    "none": lambda x: x,
    "shift": lambda x: warp(x, pixels=1.0),
    "rotate": lambda x: warp(x, degrees=30.0),
    "scale": lambda x: warp(x, zoom=1.4),
    "light": lambda x: x * u(x, 0.3, 1.0) + u(x, 0, 0.6),
    "noise": lambda x: x + 0.4 * torch.randn_like(x),
}
accuracy = torch.zeros(len(SEEDS), 6, 6)  # seed, training, test
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    fit, test, _ = torch.randperm(len(x)).split([200, 800, 797])
    for k, augment in enumerate(vary.values()):
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, 10),
        )
        adam = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(200):
            i = fit[torch.randint(len(fit), (32,))]
            loss = F.cross_entropy(net(augment(x[i])), y[i])
            adam.zero_grad(), loss.backward(), adam.step()
        for j, change in enumerate(vary.values()):
            guess = net(change(x[test])).argmax(1)
            accuracy[s, k, j] = (guess == y[test]).double().mean()
mean, plt.rcParams["font.size"] = accuracy.mean(0).numpy(), 14
plt.imshow(mean, cmap="Blues", vmax=1.6, aspect="auto")
for k, j in torch.cartesian_prod(torch.arange(6), torch.arange(6)).tolist():
    plt.text(j, k, f"{100 * mean[k, j]:.0f}", ha="center", va="center")
plt.xticks(range(6), vary), plt.xlabel("varied in the test")
plt.yticks(range(6), vary), plt.ylabel("trained on"), plt.show()
gain = (accuracy - accuracy[:, :1])[:, 1:, 1:]  # against no augmentation
own, other = gain.diagonal(dim1=1, dim2=2), gain[:, ~torch.eye(5, dtype=bool)]
assert own.mean(0).min() > 0.02 and own.mean() > other.mean() + 0.05
for name, g in zip(list(vary)[1:], own.T):
    print(f"{name:6} on its own test {g.mean():+.2f}, {g.min():+.2f} to {g.max():+.2f}")
print(f"other variations, mean change {other.mean():+.2f}; {len(SEEDS)} seeds")
