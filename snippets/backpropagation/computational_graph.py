"""Backpropagation: the chain rule run backward over values the forward pass saved.

A CNN in miniature: conv 2x2 -> ReLU -> max-pool 2x2 -> squared error. Every
gradient by hand, compared with autograd. Rumelhart and others, Nature 1986.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from torch.autograd.graph import saved_tensors_hooks

x = torch.tensor(
    [
        [
            [
                [1.0, 3, 1, 3, 3],
                [1, 0, 1, 1, 0],
                [1, 0, 3, 2, 3],
                [2, 2, 1, 3, 3],
                [3, 3, 0, 0, 0],
            ]
        ]
    ],
    requires_grad=True,
)
w = torch.tensor([[[[1.0, 1], [-2, -1]]]], requires_grad=True)  # (1, 1, 2, 2)
t = torch.tensor([[[[2.0, 5], [1, 4]]]])  # target, one number a window

saved = []  # addresses of the tensors that autograd keeps for the backward pass
with saved_tensors_hooks(lambda s: saved.append(s.data_ptr()) or s, lambda s: s):
    z = F.conv2d(x, w)  # (1, 1, 4, 4)
    a = F.relu(z)
    p, winner = F.max_pool2d(a, 2, return_indices=True)  # both (1, 1, 2, 2)
    loss = F.mse_loss(p, t, reduction="sum")
steps = {"x": x, "w": w, "z": z, "a": a, "p": p, "L": loss}
kept = {name for name, v in steps.items() if v.data_ptr() in saved}
by_autograd = torch.autograd.grad(loss, list(steps.values()))

with torch.no_grad():  # the same, by hand, from the loss back
    g = {"L": torch.ones(()), "p": 2 * (p - t), "a": torch.zeros_like(a)}
    g["a"].view(-1)[winner.flatten()] = g["p"].flatten()  # to the winners only
    g["z"] = g["a"] * (z > 0)  # ReLU: pass or block
    g["w"] = F.conv2d(x, g["z"])  # sum over positions of gradient times patch
    g["x"] = F.conv_transpose2d(g["z"], w)  # stamp the kernel onto the input
assert all(torch.equal(g[n], v) for n, v in zip(steps, by_autograd))
assert kept == {"x", "w", "a", "p"}  # not z: ReLU needs its own output only
print("kept for the backward pass:", *sorted(kept), "and the winners' positions")
print("dL/dw =", g["w"].int().flatten().tolist(), "equal to autograd's")

fig, ax = plt.subplots(figsize=(5, 8.2))
labels = ["input x", "kernel w", "z = conv", "a = ReLU", "p = pool", "loss"]
top = 0
for (name, value), label in zip(steps.items(), labels):
    for left, m, color in [(0, value, "black"), (6, g[name], "#c00000")]:
        m = m.detach().reshape(m.shape[-2:] or (1, 1))
        rows, columns = m.shape
        for r, c in torch.cartesian_prod(*map(torch.arange, m.shape)).tolist():
            ax.add_patch(Rectangle((left + c, top - r - 1), 1, 1, fc="w", ec="0.75"))
            ax.text(
                left + c + 0.5,
                top - r - 0.5,
                f"{m[r, c] + 0:g}",
                color=color,
                ha="center",
                va="center",
                size=14,
            )
        if left == 0 and name in kept:
            ax.add_patch(Rectangle((0, top - rows), columns, rows, fill=False, lw=3.5))
    ax.text(-0.3, top - rows / 2, label, ha="right", va="center", size=14)
    top -= rows + 0.5
ax.text(0, 0.3, "forward ↓", size=14)
ax.text(6, 0.3, "backward ↑", size=14, color="#c00000")
ax.set(xlim=(-3.5, 11.1), ylim=(top + 0.3, 1.2), aspect="equal")
ax.axis("off")
plt.show()
