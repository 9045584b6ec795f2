"""A convolution's weight gradient is a patch correlation; its input gradient, a
transposed convolution: with any stride and padding, they equal autograd's.

x (N, C, H, W), w (K, C, k, k), g = dL/dy (N, K, H', W'). Dumoulin and Visin, 2016.
"""

import itertools

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def weight_gradient(x, g, k, stride, padding):
    """dL/dW = sum over images and positions of g(position) times the patch there."""
    patches = F.unfold(x, k, padding=padding, stride=stride)  # (N, C*k*k, H'*W')
    dw = torch.einsum("nkl,npl->kp", g.flatten(2), patches)
    return dw.view(g.shape[1], x.shape[1], k, k)


def input_gradient(size, w, g, stride, padding):
    """dL/dX: each output stamps its kernel, times its gradient, where it had looked."""
    k = w.shape[-1]
    padded = [n + 2 * padding for n in size]
    dx = g.new_zeros(len(g), w.shape[1], *padded)
    for i, j in itertools.product(range(g.shape[2]), range(g.shape[3])):
        window = dx[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
        window += torch.einsum("nk,kcij->ncij", g[:, :, i, j], w)
    return dx[:, :, padding : padding + size[0], padding : padding + size[1]]


worst, cases = 0.0, 0
grid = itertools.product(range(5), (1, 3, 5), (1, 2, 3), (0, 1, 2))
for seed, k, stride, padding in grid:
    torch.manual_seed(seed)
    x = torch.randn(2, 3, 9, 8, requires_grad=True)
    w = torch.randn(4, 3, k, k, requires_grad=True)
    y = F.conv2d(x, w, stride=stride, padding=padding)
    g = torch.randn_like(y)  # whatever the layers above send down
    dw, dx = torch.autograd.grad(y, (w, x), g)
    # Stride drops up to stride - 1 border pixels; output_padding puts them back.
    rest = [(n + 2 * padding - k) % stride for n in x.shape[2:]]
    transposed = F.conv_transpose2d(
        g, w, stride=stride, padding=padding, output_padding=rest
    )
    for mine, exact in [
        (weight_gradient(x, g, k, stride, padding), dw),
        (input_gradient(x.shape[2:], w, g, stride, padding), dx),
        (transposed, dx),
    ]:
        worst, cases = max(worst, (mine - exact).abs().max().item()), cases + 1

assert worst < 1e-10
print(f"{cases} comparisons: 5 seeds, kernels 1-5, strides 1-3, paddings 0-2")
print("largest difference to autograd < 1e-10")
