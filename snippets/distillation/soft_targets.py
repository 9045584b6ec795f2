"""Temperature makes visible which other classes an image resembles.

Hinton, Vinyals, Dean, 2015: "dark knowledge" in the small probabilities.
S CNNs side by side (groups=S: no shared weight), one per seed and split:
images x (N, S, 8, 8), labels y (N, S), teacher logits z (N, S, 10).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = 5
split = torch.rand(len(X), S).argsort(0)  # rows 0-599: training, the rest: new
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]
net = nn.Sequential(
    nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
    nn.LeakyReLU(0.1),
    nn.Conv2d(8 * S, 32 * S, 4, groups=S),
    nn.LeakyReLU(0.1),
    nn.Conv2d(32 * S, 10 * S, 1, groups=S),
    nn.Unflatten(1, (S, 10)),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for _ in range(100):
    i = torch.randint(600, (64,))
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()
x, y, seen, own = x[600:], y[600:], x[:600].flatten(2), y[:600]
z = net(x).detach()


def second_choice(z, y):  # the likeliest class other than the true one
    return z.scatter(-1, y[..., None], -torch.inf).argmax(-1)


def rival(x, y, seen, own):  # class of the nearest image of another class
    distance = torch.cdist(x.flatten(1), seen).masked_fill(y[:, None] == own, torch.inf)
    return own[distance.argmin(1)]


rivals = [rival(x[:, s], y[:, s], seen[:, s], own[:, s]) for s in range(S)]
rivals = torch.stack(rivals, 1)
hits = (second_choice(z, y) == rivals).double().mean(0)
entropy = [-(p * p.log()).sum(2).mean(0) for p in ((z / T).softmax(2) for T in (1, 4))]
assert (hits > 0.3).all() and (entropy[1] > 3 * entropy[0]).all()
accuracy = (z.argmax(2) == y).double().mean()
print(f"teacher accuracy {accuracy:.2f} (mean of n={S} seeds)")
for T, h in zip((1, 4), entropy):
    print(f"mean entropy at T={T}: {h.mean():.2f} nats ({h.min():.2f}-{h.max():.2f})")
print(f"second choice = pixel-nearest other class: {hits.mean():.2f}", end=" ")
print(f"({hits.min():.2f}-{hits.max():.2f}; chance 0.11)")

n = (y[:, 0] == 3).nonzero()[0].item()  # the first new image of a 3
_, axes = plt.subplots(
    1, 4, figsize=(7, 2.4), layout="constrained", width_ratios=[2, 3, 3, 3]
)
axes[0].imshow(x[n, 0].numpy(), cmap="gray_r")
axes[0].set(xticks=[], yticks=[], title="image")
for ax, T in zip(axes[1:], (1, 4, 20)):
    ax.bar(range(10), (z[n, 0] / T).softmax(0).numpy(), color="tab:blue")
    ax.set(ylim=(0, 1), xticks=range(10), title=f"T = {T}", xlabel="class")
axes[1].set_ylabel("probability")
plt.show()
