"""F.kl_div takes (log student, teacher) and needs reduction="batchmean".

Shapes: student logits z and teacher logits v (N, K), labels y (N,).
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def distillation_loss(z, v, y, T=4.0, alpha=0.5):
    """alpha T^2 KL(teacher || student) + (1 - alpha) cross-entropy."""
    log_q, p = (z / T).log_softmax(1), (v.detach() / T).softmax(1)
    soft = F.kl_div(log_q, p, reduction="batchmean")
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(z, y)


def kl(p, q):  # KL(p || q), mean over the images
    return (p * (p / q).log()).sum(1).mean()


ratios = []
for seed in range(5):
    torch.manual_seed(seed)
    z, v, y = torch.randn(32, 10), 3 * torch.randn(32, 10), torch.randint(10, (32,))
    z.requires_grad_(), v.requires_grad_()
    q, p, T = z.softmax(1), v.softmax(1), 4.0
    right = F.kl_div(q.log(), p, reduction="batchmean")
    assert torch.isclose(right, kl(p, q)) and torch.isclose(
        right, F.kl_div(q.log(), p.log(), reduction="batchmean", log_target=True)
    )
    swapped = F.kl_div(p.log(), q, reduction="batchmean")  # KL(student || teacher)
    assert torch.isclose(swapped, kl(q, p)) and abs(swapped / right - 1) > 0.1
    mean = F.kl_div(q.log(), p, reduction="mean")  # divides by N and by K
    assert torch.isclose(mean * 10, right)
    assert F.kl_div(q, p, reduction="batchmean") < 0  # the log forgotten: below zero
    # KL and soft cross-entropy differ by the teacher's entropy: same gradient.
    soft = F.cross_entropy(z, p.detach())
    (g,) = torch.autograd.grad(right, z, retain_graph=True)
    (h,) = torch.autograd.grad(soft, z, retain_graph=True)
    assert (g - h).abs().max() < 1e-12
    assert torch.isclose(soft - right, -(p * p.log()).sum(1).mean())
    ratios.append((swapped / right).item())
    loss = distillation_loss(z, v, y)
    loss.backward()
    assert v.grad is None and z.grad.abs().max() > 0  # nothing reaches the teacher
    assert torch.isclose(distillation_loss(z, v, y, alpha=0), F.cross_entropy(z, y))
    assert distillation_loss(v, v, y, alpha=1).abs() < 1e-12  # a perfect copy
print('kl_div(log q, p, reduction="batchmean") = KL(p || q): difference < 1e-7')
print(f"arguments swapped: {min(ratios):.1f} to {max(ratios):.1f} times that (5 seeds)")
print('reduction="mean": one tenth of it; the log forgotten: a negative "distance"')
print("soft cross-entropy: the same gradient, difference < 1e-12")
