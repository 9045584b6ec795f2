"""Soft gradients shrink as 1 / T^2, and in the limit distillation matches logits.

Hinton, Vinyals, Dean, 2015, section 2.1. Shapes: student logits z, teacher logits
v (N, K); gradients are those of the mean over N images.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def soft_gradient(z, v, T):
    """Of KL(teacher || student) at temperature T, in closed form."""
    return ((z / T).softmax(1) - (v / T).softmax(1)) / (T * len(z))


def matching_gradient(z, v):
    """Of half the squared distance of centered logits over K: the limit."""
    gap = (z - z.mean(1, keepdim=True)) - (v - v.mean(1, keepdim=True))
    return gap / (z.shape[1] * len(z))


torch.manual_seed(0)
z = torch.randn(500, 10, requires_grad=True)  # a student that knows little
v = 4 * torch.randn(500, 10)  # a sure teacher
at_one = soft_gradient(z, v, 1.0).norm()
limit = matching_gradient(z, v)
for T in (1.0, 4.0, 20.0, 100.0):
    log_q = (z / T).log_softmax(1)
    loss = F.kl_div(log_q, (v / T).softmax(1), reduction="batchmean")
    (gradient,) = torch.autograd.grad(loss, z)
    torch.testing.assert_close(gradient, soft_gradient(z, v, T))
    raw = gradient.norm() / at_one
    gap = (T**2 * gradient - limit).norm() / limit.norm()
    print(f"T = {T:3.0f}: gradient {raw:.4f}, times T^2 {T**2 * raw:.1f},", end=" ")
    print(f"from logit matching {gap:.2f}")
assert raw < 1e-3 and gap < 0.05  # at T = 100
print("autograd agrees with the closed form")
