"""Averaged late fusion cannot learn an interaction of two modalities, such as XOR.

Source: f(a) + g(b) has no mixed difference; FiLM: Perez and others, 2018.
Shapes: 5 seeds S at once; a, b (S, N, 1), a number each; label: the signs differ.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
S, N, H = 5, 300, 12


def mlp(w, x):
    return (x @ w[0] + w[1]).tanh() @ w[2]


def late(w, a, b):  # logits of two separate networks, averaged
    return (mlp(w[:3], a) + mlp(w[3:], b)).mean(2) / 2


def concat(w, a, b):  # joined before the hidden layer
    return mlp(w, torch.cat([a, b], 2)).mean(2)


def bilinear(w, a, b):  # product of two embeddings
    return (mlp(w[:3], a) * mlp(w[3:], b)).sum(2)


def film(w, a, b):  # b sets the scale and the shift of a's features
    scale, shift = mlp(w[3:], b).chunk(2, 2)
    return (scale * mlp(w[:3], a) + shift).sum(2)


def weights(inputs, outputs):
    shapes = (inputs, H), (1, H), (H, outputs)
    return [torch.randn(S, *s).requires_grad_() for s in shapes]


two, line = [*weights(1, 4), *weights(1, 4)], torch.linspace(-1, 1, 41)[:, None]
across = line.repeat(41, 1), line.repeat_interleave(41, 0)
start = {
    late: two,
    concat: weights(2, 4),
    bilinear: two,
    film: [*weights(1, 4), *weights(1, 8)],
}
a, b, a_test, b_test = 2 * torch.rand(4, S, N, 1) - 1
y, y_test = ((a * b < 0)[:, :, 0] + 0.0, (a_test * b_test < 0)[:, :, 0])
_, panels = plt.subplots(1, 4, figsize=(7, 2.4), sharey=True, layout="constrained")
accuracy = {}
for panel, (f, w) in zip(panels, start.items()):
    w = [x.detach().clone().requires_grad_() for x in w]
    optimizer = torch.optim.Adam(w, 0.03)
    for _ in range(200):
        optimizer.zero_grad()
        (S * F.binary_cross_entropy_with_logits(f(w, a, b), y)).backward()
        optimizer.step()
    accuracy[f] = ((f(w, a_test, b_test) > 0) == y_test).double().mean(1)
    p = f(w, *(z.expand(S, -1, 1) for z in across))[0].sigmoid().detach()
    p, box = p.view(41, 41).numpy(), (-1, 1, -1, 1)
    panel.imshow(p, cmap="gray", origin="lower", extent=box, clim=(0, 1))
    panel.set(title=f"{f.__name__}: {accuracy[f].mean():.2f}", xlabel="modality a")
panels[0].set_ylabel("modality b")
plt.show()
best = torch.stack(list(accuracy.values()))
assert (best[0] - 0.5).abs().max() < 0.2 and best[1:].min() > 0.9
for f, r in accuracy.items():
    print(f"{f.__name__}: {r.mean():.2f} ({r.min():.2f}-{r.max():.2f}, n=5)")
