"""Backpropagation computes a gradient; what to do with it is another algorithm.

One gradient, two optimizers, two different steps. And gradient descent without
backpropagation: central differences, two forward passes a weight, take SGD's step.
AdamW: Loshchilov and Hutter, ICLR 2019.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
images, labels = (torch.tensor(v) for v in load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8)[:64] / 16  # (64, 1, 8, 8)
labels = labels[:64]
LR, DECAY = 1e-3, 0.1


def loss_of(w):  # ten 3x3 filters; each one's mean response is the score of a class
    return F.cross_entropy(F.relu(F.conv2d(images, w)).mean((2, 3)), labels)


cosines = []
for seed in range(5):
    torch.manual_seed(seed)
    start = torch.randn(10, 1, 3, 3) / 3
    w = start.clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss_of(w), w)  # backpropagation: one backward pass

    steps = {}
    for name, make in {
        "SGD": lambda p: torch.optim.SGD(p, lr=LR),
        "AdamW": lambda p: torch.optim.AdamW(p, lr=LR, weight_decay=DECAY),
    }.items():
        w = start.clone().requires_grad_()
        w.grad = grad.clone()
        make([w]).step()
        steps[name] = w.detach() - start
    assert (steps["SGD"] + LR * grad).abs().max() < 1e-15
    # AdamW's first step keeps the gradient's signs, not its sizes, and decays w.
    nearly = -LR * grad.sign() - LR * DECAY * start
    big = grad.abs() > 1e-5  # below that, Adam's epsilon shows
    assert (steps["AdamW"] - nearly)[big].abs().max() < 2e-3 * LR
    cosines.append(F.cosine_similarity(*(s.flatten() for s in steps.values()), dim=0))

    # Gradient descent without backpropagation: 180 forward passes for 90 weights.
    h = 1e-6 * torch.eye(start.numel()).view(-1, *start.shape)
    slopes = torch.stack([loss_of(start + d) - loss_of(start - d) for d in h]) / 2e-6
    assert (steps["SGD"] + LR * slopes.view_as(start)).abs().max() < 1e-6 * LR

assert max(cosines) < 0.9
print(
    "cosine of SGD's and AdamW's first step from one gradient: "
    f"{min(cosines):.2f} to {max(cosines):.2f}"
)
print(f"SGD's step from {2 * w.numel()} forward passes, no backward: difference < 1e-9")
print("n = 5 seeds")
