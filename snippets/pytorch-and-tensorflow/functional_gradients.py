"""Three ways to one gradient: backward(), torch.func.grad, and a formula by hand.

Logistic regression on (N, D), loss mean(softplus(-t * (x @ w))), labels t = +1 or -1.
"""

import torch
import torch.nn.functional as F
from torch.func import grad, vmap

torch.set_default_dtype(torch.float64)


def loss(w, x, t):
    return F.softplus(-t * (x @ w)).mean()


def by_hand(w, x, t):
    """d/dw softplus(-t x.w) = -t sigmoid(-t x.w) x, averaged."""
    return -(t * torch.sigmoid(-t * (x @ w))) @ x / len(x)


for seed in range(5):
    torch.manual_seed(seed)
    x, t, w = torch.randn(32, 6), torch.randn(32).sign(), torch.randn(6)

    # object style: a tensor remembers, backward() writes into .grad
    leaf = w.clone().requires_grad_()
    loss(leaf, x, t).backward()
    first = leaf.grad.clone()

    # functional style, as in JAX: a function in, its gradient function out
    pure = grad(loss)(w, x, t)
    assert torch.allclose(first, pure) and torch.allclose(pure, by_hand(w, x, t))

    # backward() ADDS to .grad; asking a function (or a tape) again does not
    loss(leaf, x, t).backward()
    assert torch.allclose(leaf.grad, 2 * pure)
    assert torch.equal(grad(loss)(w, x, t), pure)

    # functions compose: per-sample gradients, and a Hessian-vector product
    each = vmap(grad(loss), (None, 0, 0))(w, x[:, None], t[:, None])  # (N, D)
    assert each.shape == (32, 6) and torch.allclose(each.mean(0), pure)
    v = torch.randn(6)
    product = grad(lambda u: grad(loss)(u, x, t) @ v)(w)
    s = torch.sigmoid(t * (x @ w))
    assert torch.allclose(product, x.T @ (s * (1 - s) * (x @ v)) / len(x))

print("backward(), torch.func.grad and the formula agree (5 seeds)")
print("a second backward() doubles .grad; a second grad() does not")
print("vmap(grad): 32 gradients at once, their mean is the batch gradient")
