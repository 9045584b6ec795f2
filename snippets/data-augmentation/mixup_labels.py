"""Mixing labels equals mixing losses for cross-entropy, but not for focal loss.

Zhang and others, ICLR 2018 (mixup). Logits z (N, K) of mixed images; labels a, b
(N,) of the two sources; lam: the share of a. Squared error differs by a constant.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def cross_entropy(z, target):  # target (N, K): probabilities
    return -(target * z.log_softmax(1)).sum(1).mean()


def squared_error(z, target):
    return (z.softmax(1) - target).square().sum(1).mean()


def focal(z, target, gamma=2):  # the usual extension to soft targets
    p = z.softmax(1)
    return ((target - p).abs().pow(gamma) * -target * p.log()).sum(1).mean()


worst = {}  # largest difference of values, of gradients
for seed in range(20):
    torch.manual_seed(seed)
    z = torch.randn(64, 10, requires_grad=True)
    a, b = F.one_hot(torch.randint(10, (2, 64)), 10).double()
    lam = torch.distributions.Beta(0.4, 0.4).sample((64, 1))
    for loss in (cross_entropy, squared_error, focal):
        mixed_labels = loss(z, lam * a + (1 - lam) * b)
        each = [
            lam[n] * loss(z[n : n + 1], a[n : n + 1])
            + (1 - lam[n]) * loss(z[n : n + 1], b[n : n + 1])
            for n in range(64)
        ]
        mixed_losses = torch.cat(each).mean()
        value = (mixed_labels - mixed_losses).abs().item()
        pair = [
            torch.autograd.grad(v, z, retain_graph=True)[0]
            for v in (mixed_labels, mixed_losses)
        ]
        gradient = ((pair[0] - pair[1]).norm() / pair[1].norm()).item()
        worst.setdefault(loss.__name__, []).append((value, gradient))
    torch_loss = F.cross_entropy(z, lam * a + (1 - lam) * b)
    assert abs(torch_loss - cross_entropy(z, lam * a + (1 - lam) * b)) < 1e-12

ce, mse, fl = (torch.tensor(v).T for v in worst.values())  # (2, seeds)
assert ce.max() < 1e-12
assert mse[0].min() > 0.01 and mse[1].max() < 1e-12
assert fl[0].min() > 0.01 and fl[1].min() > 0.1
print("cross-entropy: values and gradients agree (difference < 1e-12)")
print(f"squared error: values differ by {mse[0].min():.2f} or more, gradients agree")
print(f"focal loss:    gradients differ by {100 * fl[1].min():.0f} % or more; 20 seeds")
