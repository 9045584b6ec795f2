"""Without a nonlinearity, two 3x3 convolutions are one 5x5 convolution.

Source: the algebra of convolution; two 3x3 for one 5x5 with ReLU between
is from Simonyan and Zisserman, arXiv 1409.1556 (ICLR 2015).
Shapes: x (N, 4, 12, 12) -> (N, 6, 10, 10) -> (N, 5, 8, 8).
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def merge(first, second):
    """Kernel (O, I, 5, 5) that does the work of first, then second."""
    # Push the second kernel through the flipped first one, channel by channel.
    return F.conv2d(second, first.transpose(0, 1).flip(2, 3), padding=2)


for seed in range(5):
    torch.manual_seed(seed)
    x, z = torch.randn(2, 8, 4, 12, 12)
    first = torch.randn(6, 4, 3, 3) / 6
    second = torch.randn(5, 6, 3, 3) / 7
    two = F.conv2d(F.conv2d(x, first), second)  # no padding
    assert torch.allclose(F.conv2d(x, merge(first, second)), two)

    # With zero padding in each layer the two agree only away from the border.
    padded = F.conv2d(F.conv2d(x, first, padding=1), second, padding=1)
    merged = F.conv2d(x, merge(first, second), padding=2)
    gap = (merged - padded).abs().amax((0, 1))  # (12, 12)
    assert gap[1:-1, 1:-1].max() < 1e-12 < 1e-2 < gap.max()

    # A ReLU between them: no single kernel can do this, for it is not linear.
    def network(t):
        return F.conv2d(F.conv2d(t, first).relu(), second)

    assert (network(x + z) - network(x) - network(z)).abs().max() > 0.5

C = 64
print("two linear 3x3 layers = one 5x5 layer, largest difference < 1e-12")
print("with a ReLU between, f(x + z) differs from f(x) + f(z) (5 seeds)")
print(f"weights at {C} channels: two 3x3 {18 * C * C}, one 5x5 {25 * C * C}")
