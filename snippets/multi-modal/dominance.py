"""A joint network can be worse than its best modality, because it memorizes the other.

Source: Wang, Tran and Feiszli, 2020. A digit in heavy noise, and a synthetic word that
names it, right in 9 of 10 samples and any digit in the rest. Shapes: (S, N, features).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
S, N, H, train, val, test = 5, 1000, 32, slice(300), slice(300, 500), slice(500, 1000)
digits, labels = map(torch.from_numpy, load_digits(return_X_y=True))
pick = torch.stack([torch.randperm(1797)[:N] for _ in range(S)])
y, image = labels[pick], digits[pick] / 16 + 0.5 * torch.randn(S, N, 64)
says = torch.where(torch.rand(S, N) < 0.9, y, torch.randint(10, (S, N)))
word = F.one_hot(says, 10) + 0.0


def start(*shape):
    return torch.randn(S, *shape) / shape[0] ** 0.5


first = [start(64, H), start(H, 10), start(10, H), start(H, 10)]


def branches(w, image, word):
    return (image @ w[0]).relu() @ w[1], (word @ w[2]).relu() @ w[3]


def fit(w, logits, part, rate=0.01):
    w = [x.clone().requires_grad_() for x in w]
    step = torch.optim.Adam(w, rate)
    for _ in range(100):
        target = y[:, part].flatten()
        losses = [F.cross_entropy(z[:, part].flatten(0, 1), target) for z in logits(w)]
        step.zero_grad()
        (S * sum(losses)).backward()
        step.step()
    return [x.detach() for x in w]


def accuracy(z, y):  # (S, n, 10), (S, n) -> (S,)
    return (z.argmax(2) == y).double().mean(1)


def importance(predict, inputs, y, which, repeats=5):  # accuracy lost by a shuffle
    whole, lost = accuracy(predict(*inputs), y), 0
    for _ in range(repeats):
        order = torch.rand(y.shape).argsort(1)[..., None]
        mixed = list(inputs)
        mixed[which] = mixed[which].gather(1, order.expand_as(mixed[which]))
        lost = lost + whole - accuracy(predict(*mixed), y)
    return lost / repeats


truth, held = y[:, test], (image[:, test], word[:, test])
w = fit(first, lambda w: branches(w, image, word), train)  # each its own loss
a, b = (z.log_softmax(2) for z in branches(w, image, word))
alone = [accuracy(z[:, test], truth) for z in (a, b)]
scale = fit([torch.ones(2, S, 1, 1)], lambda w: [w[0][0] * a + w[0][1] * b], val)[0]
late = accuracy((scale[0] * a + scale[1] * b)[:, test], truth)
w = fit(first, lambda w: [sum(branches(w, image, word))], train)
joint = accuracy(sum(branches(w, *held)), truth)
drops = [importance(lambda *x: sum(branches(w, *x)), held, truth, i) for i in (0, 1)]
assert (joint < alone[1] - 0.05).all() and (late > joint + 0.05).all()
assert (late - alone[1]).mean().abs() < 0.03 and (drops[0] > drops[1] + 0.1).all()
memorized = accuracy(a[:, train], y[:, train])
assert memorized.min() > 0.98
names = (
    "image alone, training set",
    "image alone",
    "word alone",
    "joint training",
    "late, learned weights",
    "joint, lost by shuffling the image",
    "joint, lost by shuffling the word",
)
for name, r in zip(names, (memorized, *alone, joint, late, *drops)):
    print(f"{name}: {r.mean():.2f} ({r.min():.2f}-{r.max():.2f}, n=5)")
