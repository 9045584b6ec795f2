"""F.kl_div wants log(student), teacher and reduction="batchmean"; nothing else raises.

Shapes: student logits z, teacher logits v (N, K).
"""

import warnings

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def kl(p, q):
    """KL(p || q) by its definition, mean over the images."""
    return (p * (p / q).log()).sum(1).mean()


torch.manual_seed(0)
z = torch.randn(32, 10, requires_grad=True)
v = 3 * torch.randn(32, 10)
q, p = z.softmax(1), v.softmax(1)
right = F.kl_div(q.log(), p, reduction="batchmean")
logs = F.kl_div(q.log(), p.log(), reduction="batchmean", log_target=True)
torch.testing.assert_close(right, kl(p, q))
torch.testing.assert_close(logs, kl(p, q))
print(f"F.kl_div(log q, p, 'batchmean'): {right:.2f} = KL(p || q)")

swapped = F.kl_div(p.log(), q, reduction="batchmean")
torch.testing.assert_close(swapped, kl(q, p))
print(f"swapped: {swapped:.2f} = KL(q || p), the reverse")

forgotten = F.kl_div(q, p, reduction="batchmean")
assert forgotten < 0
print(f"probabilities without the log: {forgotten:.2f}, a negative distance")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch warns of it and announces a change
    mean = F.kl_div(q.log(), p, reduction="mean")
torch.testing.assert_close(mean * 10, right)
print("reduction 'mean': divided by the 10 classes as well")

cross_entropy = F.cross_entropy(z, p)
entropy = -(p * p.log()).sum(1).mean()
torch.testing.assert_close(cross_entropy - right, entropy)
(one,) = torch.autograd.grad(right, z, retain_graph=True)
(other,) = torch.autograd.grad(cross_entropy, z)
torch.testing.assert_close(one, other)
print("soft cross-entropy: larger by the teacher's entropy, same gradient")
