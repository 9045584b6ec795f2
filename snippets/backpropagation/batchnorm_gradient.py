"""BatchNorm's backward pass couples the images of a batch: each channel's input
gradient sums to zero, and one image's loss moves all the others.

x, g = dL/dy: (N, C, H, W), training mode. Ioffe and Szegedy, ICML 2015.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
EPS = 1e-5


def batchnorm_backward(x, gamma, g):
    """dL/dx, dL/dgamma, dL/dbeta; mean and variance are functions of x as well."""
    dims, shape = (0, 2, 3), (1, -1, 1, 1)
    sigma = (x.var(dims, correction=0, keepdim=True) + EPS).sqrt()
    x_hat = (x - x.mean(dims, keepdim=True)) / sigma
    centered = g - g.mean(dims, keepdim=True)  # the path through the mean
    scaled = x_hat * (g * x_hat).mean(dims, keepdim=True)  # through the variance
    dx = gamma.view(shape) / sigma * (centered - scaled)
    return dx, (g * x_hat).sum(dims), g.sum(dims)


for seed in range(5):
    torch.manual_seed(seed)
    x = (3 * torch.randn(4, 2, 5, 5) + 1).requires_grad_()
    gamma, beta = (torch.randn(2, requires_grad=True) for _ in range(2))

    def normalize(training, mean=None, var=None):
        return F.batch_norm(x, mean, var, gamma, beta, training, eps=EPS)

    y = normalize(training=True)
    g = torch.randn_like(y)
    exact = torch.autograd.grad(y, (x, gamma, beta), g, retain_graph=True)
    mine = batchnorm_backward(x.detach(), gamma.detach(), g)
    assert all((a - b).abs().max() < 1e-10 for a, b in zip(mine, exact))
    assert exact[0].sum((0, 2, 3)).abs().max() < 1e-10  # shifting x changes nothing

    # A loss on image 0 alone: batch statistics pass it on to images 1-3.
    g_one = torch.zeros_like(g)
    g_one[0] = g[0]
    (coupled,) = torch.autograd.grad(y, x, g_one)
    fixed = normalize(training=False, mean=torch.zeros(2), var=torch.ones(2))
    (alone,) = torch.autograd.grad(fixed, x, g_one)
    assert coupled[1:].abs().max() > 1e-3 and (alone[1:] == 0).all()

print("5 seeds: hand-written gradients equal autograd's, difference < 1e-10")
print("loss on image 0 alone: images 1-3 get a gradient in train mode,")
print("none in eval mode")
