"""Central differences confirm a gradient to better than 1e-8 and expose a wrong one.

Leaky ReLU with a hand-written backward pass, once right, once with a real mistake:
the mask taken from the gradient and not from the input. Image (4, 1, 8, 8).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)  # float32 leaves too few digits for this


class Leaky(torch.autograd.Function):
    wrong = False

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x > 0, x, 0.1 * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return torch.where(g > 0 if Leaky.wrong else x > 0, g, 0.1 * g)


def central_difference(f, w, h):
    """(f(w + h) - f(w - h)) / 2h for one weight after the other."""
    steps = h * torch.eye(w.numel()).view(-1, *w.shape)
    return torch.stack([(f(w + d) - f(w - d)) / (2 * h) for d in steps]).view_as(w)


sizes = [10.0**-e for e in range(1, 13)]
for seed in range(5):
    torch.manual_seed(seed)
    x, target = torch.randn(4, 1, 8, 8), torch.randint(3, (4,))
    w = (torch.randn(3, 1, 3, 3) / 3).requires_grad_()

    def loss(w):  # conv -> leaky ReLU -> global average -> cross-entropy
        return F.cross_entropy(Leaky.apply(F.conv2d(x, w)).mean((2, 3)), target)

    Leaky.wrong = False
    (grad,) = torch.autograd.grad(loss(w), w)
    numeric = [central_difference(loss, w.detach(), h) for h in sizes]
    errors = [(grad - slopes).abs().max() for slopes in numeric]
    assert errors[5] < 1e-8 and torch.autograd.gradcheck(loss, (w,))  # h = 1e-6
    Leaky.wrong = True
    (bad,) = torch.autograd.grad(loss(w), w)
    assert (bad - numeric[5]).abs().max() > 1e-3
    assert not torch.autograd.gradcheck(loss, (w,), raise_exception=False)
    plt.loglog(sizes, errors, "k.-", alpha=0.6)
print("5 seeds, h = 1e-6: right gradient within 1e-8, wrong one off by > 1e-3;")
print("torch.autograd.gradcheck accepts the first and refuses the second")

plt.xlabel("step h")
plt.ylabel("largest error")
plt.text(2e-12, 1e-8, "rounding,\nabout 1e-16 / h", size=11)
plt.text(2e-3, 2e-11, "kinks,\ncurvature", size=11)
plt.show()
