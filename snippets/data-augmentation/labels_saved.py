"""A quarter of the labels with the right augmentation beat all labels without it.

Digits x (N, 1, 8, 8), labels y (N,). Trained on centered images, with or without
random shifts of up to a pixel; tested on centered and on shifted images.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, y = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(y)
SEEDS, LABELS = range(5), [50, 200, 800]


def shift(x, pixels=1.0):  # each image by its own amount, also parts of a pixel
    theta = torch.eye(2, 3).repeat(len(x), 1, 1)
    theta[:, :, 2] = (torch.rand(len(x), 2) * 2 - 1) * pixels * 2 / x.shape[-1]
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


accuracy = torch.zeros(len(SEEDS), 2, 2, len(LABELS))  # augmented?, shifted test?
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    test, pool = torch.randperm(len(x)).split([800, len(x) - 800])
    for n, labels in enumerate(LABELS):
        for k, augment in enumerate([lambda x: x, shift]):
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
            for _ in range(250):
                i = pool[torch.randint(labels, (32,))]  # of the first ones
                loss = F.cross_entropy(net(augment(x[i])), y[i])
                adam.zero_grad(), loss.backward(), adam.step()
            for j, view in enumerate([x[test], shift(x[test])]):
                right = net(view).argmax(1) == y[test]
                accuracy[s, k, j, n] = right.double().mean()
fig, axes = plt.subplots(1, 2, figsize=(7, 3.5), sharey=True)
for j, ax in enumerate(axes):
    for k, style in enumerate(["s--", "o-"]):
        ax.plot(LABELS, accuracy.mean(0)[k, j], style, label=["plain", "augmented"][k])
    ax.set_title(["centered test", "shifted test"][j], fontsize=14)
    ax.set_xscale("log"), ax.set_xticks(LABELS, LABELS), ax.minorticks_off()
    ax.set_xlabel("labels", fontsize=13)
axes[0].set_ylabel("accuracy", fontsize=13), axes[1].legend(fontsize=12)
plt.tight_layout(), plt.show()
plain, augmented = accuracy.transpose(0, 1)  # (seed, test, labels)
lead = augmented[:, 1, 1] - plain[:, 1, 2]  # 200 labels against 800
centered, shifted = (augmented - plain).transpose(0, 1)
assert lead.min() > 0.03 and shifted.mean(0).min() > 0.08
assert centered.mean(0).max() < 0.05 and centered.mean(0)[-1] < 0
for name, a in [("plain    ", plain), ("augmented", augmented)]:
    print("shifted test,", name, *[f"{value:.2f}" for value in a.mean(0)[1]])
print("centered test, gain   ", *[f"{g:+.2f}" for g in centered.mean(0)])
print(f"lead {lead.min():.2f} to {lead.max():.2f}, {len(SEEDS)} seeds")
