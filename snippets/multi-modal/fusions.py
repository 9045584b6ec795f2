"""Fusion beats the better modality; if one goes missing, joint nets fall below it.

Source: names after Baltrusaitis and others, 2019; touch tones: ITU-T Q.23.
Shapes: 5 seeds S at once; image, sound (S, N, 8, 8) -> patches (S, N, 9, 25).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
S, N, D = 5, 1000, 12
train, val, test = slice(400), slice(400, 600), slice(600, 1000)
digits, labels = map(torch.from_numpy, load_digits(return_X_y=True))
pick = torch.stack([torch.randperm(1797)[:N] for _ in range(S)])
y, image = labels[pick], digits[pick] / 16 + 0.3 * torch.randn(S, N, 64)
key = (y - 1) % 10 + (y == 0)  # a telephone key sounds its row's and column's tone
tone = F.one_hot(key // 3, 8) + F.one_hot(4 + key % 3, 8)
noise = 0.9 * torch.randn(S, N, 8, 8, dtype=torch.complex128)
sound = (tone[..., None] + noise).abs() - noise.abs().mean()  # 8 tones, 8 times
maps = (F.unfold(x.reshape(-1, 1, 8, 8), 4, stride=2).mT for x in (image, sound))
place = torch.eye(9).expand(S * N, 9, 9)  # a convolution is a product with patches
A, B = (torch.cat([x, place], 2).view(S, N, 9, 25) for x in maps)


def net(name, w, a, b):
    if name in ("image", "sound", "early"):  # early: two channels of one picture
        x = {"image": a, "sound": b, "early": torch.cat([a, b], 3)}[name]
        return (x.flatten(1, 2) @ w[0]).relu().view(S, -1, 9 * D) @ w[1]
    u, v = ((x.flatten(1, 2) @ m).relu() for x, m in zip((a, b), w[1:]))
    if name == "attention":  # image tokens ask, sound tokens answer
        q, k, c = ((x @ m).view(S, -1, 9, D) for x, m in zip((u, v, v), w[3:]))
        u = u + F.scaled_dot_product_attention(q, k, c).view_as(u)
    return torch.cat([x.view(S, -1, 9 * D) for x in (u, v)], 2) @ w[0]


one, pair = [(25, D), (9 * D, 10)], [(18 * D, 10), (25, D), (25, D)]
sizes = {
    "image": one,
    "sound": one,
    "early": [(50, D), (9 * D, 10)],
    "concat": pair,
    "attention": pair + [(D, D)] * 3,
}
scores, inputs = {}, [(A, B), (A, 0 * B), (0 * A, B)]  # both, image, sound
for name, shapes in sizes.items():
    w = [(torch.randn(S, *s) / s[0] ** 0.5).requires_grad_() for s in shapes]
    optimizer = torch.optim.Adam(w, 0.01)
    for _ in range(50):
        z = net(name, w, A[:, train], B[:, train]).flatten(0, 1)
        optimizer.zero_grad()
        (S * F.cross_entropy(z, y[:, train].flatten())).backward()
        optimizer.step()
    scores[name] = torch.stack([net(name, w, *x) for x in inputs]).detach()
a, b = (scores[n][0].log_softmax(2) for n in ("image", "sound"))
mixes = torch.stack([c * a + (1 - c) * b for c in torch.linspace(0, 1, 21)])
best = (mixes.argmax(3) == y)[:, :, val].double().mean(2).argmax(0)  # one a seed
late = {
    "vote": torch.maximum(a, b),
    "average": a.exp() + b.exp(),
    "learned": mixes[best, torch.arange(S)],
}
for name, z in late.items():  # two votes that differ: the surer one wins
    scores[name] = torch.stack([z, a, b])  # if one is missing, use the other
hits = {n: (z.argmax(3) == y)[..., test].double().mean(2) for n, z in scores.items()}
table = torch.stack(list(hits.values()))  # (8 methods, 3 inputs, S)
solo, fused, joint = table[-1, 1:], table[2:, 0], table[2:5]
assert (fused > solo.amax(0)).all() and (fused - solo[0]).mean(1).min() > 0.03
assert (solo - joint[:, 1:]).mean(2).min() > 0.03
assert fused[-1].mean() > fused[-2].mean() > fused[-3].mean()  # learned, average, vote
plt.figure(figsize=(6, 3.8), layout="constrained")
marks = {"both there": "ko", "image only": "C0s", "sound only": "C1^"}
for i, (label, mark) in enumerate(marks.items()):
    mean = table[:, i].mean(1)
    plt.plot(mean, range(8), mark, ms=11 - 2 * i, mfc="none", label=label)
plt.yticks(range(8), list(hits))
plt.gca().set(xlabel="test accuracy", ylim=(7.5, -0.5), xlim=(0, 1))
plt.grid(axis="y", alpha=0.4)
plt.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=3)
plt.show()
for n, (r, a, b) in hits.items():
    spread = f"{r.mean():.2f} ({r.min():.2f}-{r.max():.2f}, n=5)"
    print(f"{n}: {spread}; image only {a.mean():.2f}, sound only {b.mean():.2f}")
