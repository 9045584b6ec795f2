"""A modality that is learned faster can stop the other's encoder from learning.

Source: modality competition: Huang and others, 2022; Pezeshki and others, 2021.
Shapes: 5 seeds S at once; image patches (S, N, 9, 16), word one-hot (S, N, 10).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
S, N, D, train, test = 5, 700, 8, slice(400), slice(400, 700)
digits, labels = map(torch.from_numpy, load_digits(return_X_y=True))
pick = torch.stack([torch.randperm(1797)[:N] for _ in range(S)])
y, image = labels[pick], digits[pick] / 16 + 0.3 * torch.randn(S, N, 64)
patches = F.unfold(image.view(-1, 1, 8, 8), 4, stride=2).mT.unflatten(0, (S, N))
word = F.one_hot(y, 10) + 0.0  # always right, in training and in the test
start = [torch.randn(S, 16, D) / 3, torch.randn(S, 9 * D, 10) / 30]
start.append(torch.zeros(S, 10, 10))  # of the word


def encode(w, part=slice(None)):  # a 4x4 convolution, stride 2
    return (patches[:, part].flatten(1, 2) @ w[0]).relu().view(S, -1, 9 * D)


def accuracy(z):
    return (z[:, test].argmax(2) == y[:, test]).double().mean(1)


def probe(features, ridge=1.0):  # a fresh linear classifier, solved in closed form
    h = F.pad(features, (0, 1), value=1.0)
    x, target = h[:, train], F.one_hot(y[:, train], 10) - 0.1
    gram = x.mT @ x + ridge * torch.eye(h.shape[2])
    return accuracy(h @ torch.linalg.solve(gram, x.mT @ target))


def cross_entropy(z):  # mean over samples, sum over seeds
    return S * F.cross_entropy(z.flatten(0, 1), y[:, train].flatten())


def fit(how, size, optimizer="SGD"):
    w = [x.clone().requires_grad_() for x in start]
    options = {"SGD": {"lr": 0.2, "momentum": 0.9}, "Adam": {"lr": 0.01}}[optimizer]
    step = getattr(torch.optim, optimizer)(w, **options)
    for _ in range(60):
        image_logits = encode(w, train) @ w[1]
        both = image_logits + size * word[:, train] @ w[2]
        loss = cross_entropy(image_logits if how == "alone" else both)
        if how == "own loss":  # the image branch must also do it by itself
            loss = loss + cross_entropy(image_logits)
        step.zero_grad()
        loss.backward()
        step.step()
    with torch.no_grad():
        return torch.stack([accuracy(encode(w) @ w[1]), probe(encode(w))])


sizes = [1, 3, 8]  # of the word's numbers: the larger, the faster it is learned
alone, untrained = fit("alone", 0), probe(encode(start))
runs = {
    "joint, SGD": ("joint", "SGD"),
    "joint, Adam": ("joint", "Adam"),
    "joint + own loss, SGD": ("own loss", "SGD"),
}
plt.figure(figsize=(5, 3.4), layout="constrained")
print(f"image alone: {alone[0].mean():.2f}, probe {alone[1].mean():.2f} (n=5)")
for (name, (how, rule)), style in zip(runs.items(), ("o-", "s--", "^-.")):
    r = torch.stack([fit(how, size, rule) for size in sizes])  # (size, 2, S)
    plt.plot(sizes, r[:, 0].mean(1), style, label=name)
    print(
        f"{name}: {r[0, 0].mean():.2f}, word x 8 {r[-1, 0].mean():.2f}, "
        f"probe {r[-1, 1].mean():.2f}"
    )
    lost, probe_lost = alone - r[-1]
    if name == "joint, SGD":
        assert lost.min() > 0.15 and probe_lost.mean() > 0.03
        assert (r[-1, 1] - untrained).mean().abs() < 0.04
    else:
        assert lost.mean() < 0.05 and probe_lost.mean() < 0.03
print(f"encoder never trained: probe {untrained.mean():.2f}")
plt.gca().set(xlabel="size of the word's input", ylabel="accuracy of the image branch")
plt.xscale("log", base=2)
plt.xticks(sizes, sizes)
plt.ylim(0, 1)
plt.legend(loc="lower left")
plt.show()
