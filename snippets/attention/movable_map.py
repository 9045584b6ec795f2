"""A network can be taught to attend to blank corners and classify as well as before.

After Pruthi and others, Learning to Deceive with Attention-Based Explanations, 2020.
Shapes: x (N, 1, 8, 8), features (N, 16, 16) at 4x4 places, weights a (N, 16).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images, CORNERS = images.view(-1, 1, 8, 8) / 16, [0, 3, 12, 15]


class Net(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.body = nn.Sequential(  # 15x15: a corner of the map sees the whole digit
            nn.Conv2d(1, c, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=2, dilation=2),
            nn.ReLU(),
        )
        self.score, self.head = nn.Linear(c, 1), nn.Linear(c, 10)

    def forward(self, x):
        h = self.body(x).flatten(2).mT
        a = self.score(h).softmax(1)  # (N, 16, 1)
        return self.head((a * h).sum(1)), a[:, :, 0]


rows, maps, digits = [], [], []
for seed in range(5):
    torch.manual_seed(seed)
    fit, new = torch.randperm(len(images)).split([1200, 597])
    x, y, net = images[new], labels[new], Net()
    no_corners, no_middle = x.clone(), x.clone()
    for r, c in (0, 0), (0, 6), (6, 0), (6, 6):
        no_corners[:, :, r : r + 2, c : c + 2] = 0.0
    no_middle[:, :, 2:6, 2:6] = 0.0
    adam = torch.optim.Adam(net.parameters(), 0.01)
    for step in range(170):
        i = fit[torch.randint(1200, (48,))]
        logits, a = net(images[i])
        loss = F.cross_entropy(logits, labels[i])
        if step > 120:  # from now on: put the weight where nothing is
            loss = loss - a[:, CORNERS].sum(1).log().mean()
        adam.zero_grad(), loss.backward(), adam.step()
        if step in (120, 169):
            with torch.no_grad():
                digits.append(x[1, 0]), maps.append(net(x)[1])
                hits = [net(z)[0].argmax(1) == y for z in (x, no_corners, no_middle)]
            rows.append([h.double().mean() for h in hits])
            rows[-1].append(maps[-1][:, CORNERS].sum(1).mean())
result = torch.tensor(rows).view(5, 2, 4)  # seed, before or after, quantity
before, after = result.unbind(1)
axes = plt.subplots(1, 3, figsize=(7, 2.5))[1]
k = 2 * before[:, 3].argmin()  # the network that looked least at the corners
axes[0].imshow(digits[k].numpy(), cmap="gray_r")
for ax, weights in zip(axes[1:], maps[k : k + 2]):
    ax.imshow(weights[1].view(4, 4).numpy(), cmap="Reds", vmin=0, vmax=0.6)
for ax, title in zip(axes, ("digit", "attention before", "attention after")):
    ax.set_title(title, fontsize=12), ax.set_xticks([]), ax.set_yticks([])
plt.tight_layout(), plt.show()
assert after[:, 3].min() > 0.85 and (after[:, 3] - before[:, 3]).mean() > 0.25
assert (after - before)[:, 0].mean() > -0.02  # as accurate as before
assert (after[:, 0] - after[:, 1]).mean() < 0.06  # although the corners say nothing
assert (after[:, 0] - after[:, 2]).min() > 0.4  # and the middle everything
names = "accuracy", "corners erased", "middle erased", "weight on corners"
for name, b, a in zip(names, before.T, after.T):
    print(
        f"{name}: before {b.min():.2f} to {b.max():.2f}, "
        f"after {a.min():.2f} to {a.max():.2f}"
    )
