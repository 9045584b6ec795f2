"""Matching the teacher's features succeeds and adds nothing to its logits here.

FitNets hints: Romero and others, ICLR 2015; attention transfer: Zagoruyko,
Komodakis, ICLR 2017. S = 5 seeds, C = 4 students of each, side by side (groups):
images x (N, S, 8, 8), maps a (B, S * C, c, 4, 4), features h (B, S * C, d, 1, 1).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S, C, T = 5, 4, 4.0
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]


class CNN(nn.Module):
    def __init__(self, M, c, d):
        super().__init__()
        self.M, self.first = M, nn.Conv2d(M, c * M, 4, 2, 1, groups=M)
        self.second = nn.Conv2d(c * M, d * M, 4, groups=M)
        self.head = nn.Conv2d(d * M, 10 * M, 1, groups=M)
        self.regressor = nn.Conv2d(d * M, 32 * M, 1, groups=M)  # widths differ

    def forward(self, x):
        a = F.leaky_relu(self.first(x), 0.1)
        h = F.leaky_relu(self.second(a), 0.1)
        views = a, h, self.head(h), self.regressor(h)
        return [v.unflatten(1, (self.M, -1)).squeeze((-2, -1)) for v in views]


def attention(a):  # where a layer is active: (..., c, 4, 4) -> (..., 16), length 1
    return F.normalize(a.square().sum(-3).flatten(-2), dim=-1)


def train(net, loss, first, last):  # loss of images i, drawn from these rows
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(120):
        i = torch.randint(first, last, (50,))
        adam.zero_grad(), loss(i).backward(), adam.step()


def labels_loss(z, i):
    return S * F.cross_entropy(z.flatten(0, 1), y[i].flatten())


def parts(i):  # logits (B, S, C, 10); errors of hint and attention (S, C)
    views = student(x[i].repeat_interleave(C, 1))
    a, _, z, hint = (v.unflatten(1, (S, C)) for v in views)
    hint = (hint - features[i][:, :, None]).square().mean((0, 3))
    at = (attention(a) - attention(maps[i])[:, :, None]).square().sum(3).mean(0)
    return z, hint, at


def student_loss(i):
    z, hint, at = parts(i)
    soft = (logits[i] / T).softmax(2)[:, :, None]
    kd = -(T**2) * (soft * (z / T).log_softmax(3)).sum(3).mean(0)  # (S, C)
    loss = labels_loss(z[:, :, 0], i) + kd[:, 1:].sum()
    return loss + hint[:, 2].sum() + 0.5 * at[:, 3].sum()


teacher, student = CNN(S, 8, 32), CNN(S * C, 4, 16)
train(teacher, lambda i: labels_loss(teacher(x[i])[2], i), 0, 600)
with torch.no_grad():
    maps, features, logits, _ = teacher(x)
    features = features / features.std((0, 2), keepdim=True)
train(student, student_loss, 600, 700)  # 100 images new to the teacher
with torch.no_grad():
    z, hint, at = parts(torch.arange(1200, len(x)))
accuracy = (z.argmax(3) == y[1200:, :, None]).double().mean(0)  # (S, C)
missed, at = (hint[:, 2] / features.var((0, 2))).mean(), at.mean(0)
labels, kd, *more = accuracy.mean(0)
assert kd > labels and max(more) < kd + 0.02
assert missed < 0.3 and at[3] < at[1]  # the imitation itself succeeds
names = "labels", "logits", "logits + hint", "logits + attention"
for a, name in zip(accuracy.T, names):
    print(f"{name}: {a.mean():.2f} ({a.min():.2f}-{a.max():.2f}, n={S})")
print(f"hint error {missed:.2f} of the features' variance")
print(f"attention error {at[1]:.2f} without, {at[3]:.2f} with")
