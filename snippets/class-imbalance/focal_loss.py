"""Focal loss moves the gradient from many easy examples to the few hard ones.

Lin and others, ICCV 2017: FL = -(1 - p_t)^gamma log p_t, here on logits z (N,) and
targets y (N,) of 0 and 1. With gamma = 0 it is binary cross-entropy.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def focal_loss(z, y, gamma=2.0, alpha=None):
    """One loss an example; alpha weights class 1, and 1 - alpha class 0."""
    bce = F.binary_cross_entropy_with_logits(z, y, reduction="none")  # -log p_t
    miss = -torch.expm1(-bce)  # 1 - p_t, without the NaN of a rounded p
    loss = miss**gamma * bce
    if alpha is None:
        return loss
    return (alpha * y + (1 - alpha) * (1 - y)) * loss


# 1000 easy negatives with p = 0.05, one hard positive with p = 0.27
y = torch.cat([torch.zeros(1000), torch.ones(1)])
z = torch.cat([torch.full((1000,), -3.0), torch.tensor([-1.0])])
shares = []
for gamma in (0, 1, 2, 5):
    logits = z.clone().requires_grad_()
    focal_loss(logits, y, gamma).sum().backward()
    pull = logits.grad.abs()
    share = (pull[:1000].sum() / pull.sum()).item()
    shares.append(share)
    print(f"gamma {gamma}: the easy negatives hold {share:.3f} of the gradient")
assert shares[0] > 0.95
assert shares[2] < 0.5

# Figure
p_t = torch.linspace(0.01, 0.99, 99)
plt.figure(figsize=(6, 3.6))
for gamma, style in zip((0, 1, 2, 5), ("k-", "C0--", "C1-.", "C2:")):
    loss = focal_loss(p_t.logit(), torch.ones(99), gamma)
    plt.plot(p_t, loss, style, lw=2, label=f"γ = {gamma}")
plt.xlabel("probability given to the true class, $p_t$")
plt.ylabel("loss of one example")
plt.ylim(0, 3)
plt.legend()
plt.show()
