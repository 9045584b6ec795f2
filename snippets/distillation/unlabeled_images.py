"""Soft targets help most when the student's images are few.

Teacher: 600 labels. Student: n other images, labeled by hand or by the teacher.
S = 5 seeds, C = 10 settings, all trained side by side as groups of one network:
images x (N, S, 8, 8), soft or hard targets (N, S, 10), students (N, C * S, 10).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S, T, SIZES = 5, 4.0, torch.tensor([25, 50, 100, 200, 600])
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]


def cnn(M, c):  # M separate CNNs: (B, M, 8, 8) -> (B, M, 10)
    return nn.Sequential(
        nn.Conv2d(M, c * M, 4, 2, 1, groups=M),
        nn.LeakyReLU(0.1),
        nn.Conv2d(c * M, 10 * M, 4, groups=M),
        nn.Unflatten(1, (M, 10)),
        nn.Flatten(2),
    )


def fit(net, draw, T, steps):  # T: one temperature per network, (M, 1)
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(steps):
        images, target = draw()
        logp = (net(images) / T).log_softmax(2)
        loss = -(T**2 * target * logp).sum(2).mean(0).sum()  # KL + constant
        adam.zero_grad(), loss.backward(), adam.step()
    return net


def batch_teacher():
    i = torch.randint(600, (64,))
    return x[i], hard[i]


def batch_student():  # rows 600 to 599 + n: images new to the teacher
    i = (600 + torch.rand(64, 1) * SIZES).long()  # (64, 5)
    return (torch.cat([t[i], u[i]], 1).flatten(1, 2) for t, u in ((x, x), (hard, soft)))


hard = F.one_hot(y, 10).double()
teacher = fit(cnn(S, 32), batch_teacher, torch.ones(S, 1), 150)
logits = teacher(x).detach()
soft, C = (logits / T).softmax(2), 2 * len(SIZES)
heat = torch.tensor([1.0, T]).repeat_interleave(25)[:, None]
student = fit(cnn(C * S, 3), batch_student, heat, 150)
new = slice(1200, None)  # for the test
copies = x[new].repeat(1, C, 1, 1)
guess = student(copies).argmax(2).unflatten(1, (C, S))
accuracy = (guess == y[new, None]).double().mean(0).view(2, -1, S)
top = (logits[new].argmax(2) == y[new]).double().mean()
gain = (accuracy[1] - accuracy[0]).mean(1)  # by number of images
assert gain[0] > 0.03 and gain[0] > gain[4] + 0.03 and gain[4].abs() < 0.03
assert (accuracy[1, 4] > accuracy[0, 0] + 0.08).all()
print(f"teacher {top:.2f} (mean of n={S} seeds)")
_, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for a, name, style in zip(accuracy, ("label", "soft target"), ("o--", "s-")):
    mean, low, high = a.mean(1), a.amin(1), a.amax(1)
    ax.errorbar(SIZES, mean, [mean - low, high - mean], fmt=style, label=name)
    for n, m, lo, hi in zip(SIZES, mean, low, high):
        print(f"{n} images, one {name} each: {m:.2f} ({lo:.2f}-{hi:.2f})")
ax.axhline(top, color="k", linestyle=":", label="teacher")
ax.set(xscale="log", xlabel="student's images (log scale)", ylabel="test accuracy")
ax.set_xticks(SIZES, SIZES.tolist()), ax.minorticks_off(), ax.legend()
plt.show()
