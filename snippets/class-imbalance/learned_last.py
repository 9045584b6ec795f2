"""Rare classes are learned last: at first the gradient is almost all majority.

Digits with 90 down to 4 training images; the seed decides which digits are rare.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16
sizes = torch.tensor([90, 64, 45, 32, 23, 16, 11, 8, 6, 4])  # a long tail
looks, seeds = range(10, 161, 10), range(5)
curves, shares = torch.zeros(2, len(looks), len(seeds)), []

for k, seed in enumerate(seeds):
    torch.manual_seed(seed)
    by_size = torch.randperm(10)  # digits, the most frequent first
    rows = [torch.where(labels == c)[0] for c in by_size]
    rows = [r[torch.randperm(len(r))] for r in rows]
    test = [torch.cat([r[90:] for r in g]) for g in (rows[:3], rows[-3:])]
    train = torch.cat([r[:n] for r, n in zip(rows, sizes)])
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    # gradient of the loss in the logits: softmax - one-hot; the rarest come last
    pull = (net(images[train]).softmax(1) - F.one_hot(labels[train])).norm(dim=1)
    shares.append((pull[-sizes[-3:].sum() :].sum() / pull.sum()).item())
    sgd = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    for step in range(1, looks[-1] + 1):
        i = train[torch.randint(len(train), (64,))]
        loss = F.cross_entropy(net(images[i]), labels[i])
        sgd.zero_grad(), loss.backward(), sgd.step()
        if step in looks:
            for group, t in enumerate(test):
                hit = (net(images[t]).argmax(1) == labels[t]).double()
                curves[group, looks.index(step), k] = hit.mean()

share, true_share = sum(shares) / len(shares), (sizes[-3:].sum() / sizes.sum()).item()
assert max(abs(s - true_share) for s in shares) < 0.01
first = (curves > 0.5).double().argmax(1)  # (2, seeds): first look above 0.5
assert (first[1] > first[0]).all() and (curves[0, -1] > curves[1, -1]).all()
at = torch.tensor(looks)[first]
print(
    f"the 3 rarest classes: {share:.1%} of the first gradient, "
    f"{true_share:.1%} of the images"
)
print(
    f"recall passes 0.5 at step {at[0].min()}-{at[0].max()} (3 largest classes), "
    f"{at[1].min()}-{at[1].max()} (3 rarest)"
)
print(
    f"at step {looks[-1]}: {curves[0, -1].mean():.2f} against "
    f"{curves[1, -1].mean():.2f}; {len(seeds)} seeds"
)

plt.figure(figsize=(6, 3.6))
for c, style, name in zip(curves, ("k", "C1--"), ("3 largest", "3 rarest")):
    plt.plot(looks, c.mean(1), style, lw=2, label=name)
    plt.fill_between(looks, c.amin(1), c.amax(1), color=style[:2], alpha=0.2)
plt.gca().set(xlabel="training step", ylabel="recall")
plt.legend()
plt.show()
