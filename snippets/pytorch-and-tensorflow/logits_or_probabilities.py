"""CrossEntropyLoss wants logits: after a softmax its loss cannot fall below 1.46.

Keras's default is the reverse: probabilities, unless from_logits=True.
Softmax regression on digits (N, 64), ten classes, 20 splits side by side.
"""

import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
S, STEPS = 20, 100
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = images / 16
torch.manual_seed(0)
order = torch.stack([torch.randperm(len(labels)) for _ in range(S)])
train, test = order[:, :800], order[:, 800:]


def fit(softmax_first):
    """Loss per step, mean over splits; test accuracy per split."""
    w = torch.zeros(S, 64, 10, requires_grad=True)
    optimizer, losses = torch.optim.Adam([w], lr=0.05), []
    for _ in range(STEPS):
        out = images[train] @ w  # (S, N, 10)
        out = out.softmax(-1) if softmax_first else out
        loss = F.cross_entropy(out.flatten(0, 1), labels[train].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    hits = (images[test] @ w).argmax(-1) == labels[test]
    return losses, hits.double().mean(1)


floor = math.log(1 + 9 / math.e)  # softmax of (1, 0, ..., 0), the best it can get
(right, good), (wrong, bad) = fit(False), fit(True)
assert min(wrong) > floor > 5 * right[-1]
assert abs(good.median() - bad.median()) < 0.02  # most runs seem well
assert (good > 0.9).all() and bad.min() < 0.9  # but some runs lose a class
for name, curve, hits in ("logits", right, good), ("softmax first", wrong, bad):
    print(
        f"{name:13}: loss {curve[-1]:.2f}, median accuracy {hits.median():.2f}",
        f"({hits.min():.2f}-{hits.max():.2f}, {S} splits)",
    )
print(f"floor log(1 + 9 / e) = {floor:.2f}")

plt.figure(figsize=(6, 3.2), layout="constrained")
plt.plot(right, "-", label="logits (right)")
plt.plot(wrong, "--", label="softmax applied twice")
plt.axhline(floor, color="k", ls=":", label="floor of the wrong loss")
plt.xlabel("step")
plt.ylabel("training loss")
plt.legend()
plt.show()
