"""Max-pooling sends each window's gradient to one pixel, even in a tie; average
pooling sends an equal share to all.

Photograph: every 5th pixel of a part of skimage's "camera", 40 x 40 gray levels.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data

torch.set_default_dtype(torch.float64)


def max_pool_gradient(x, g, k, stride):
    """dL/dx (H, W) from g = dL/dy: the first maximum in reading order takes all."""
    dx = torch.zeros_like(x)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            window = x[i * stride : i * stride + k, j * stride : j * stride + k]
            first = window.flatten().tolist().index(window.max())
            row, column = divmod(first, k)  # += below, as windows may overlap
            dx[i * stride + row, j * stride + column] += g[i, j]
    return dx


x = torch.tensor(data.camera()[60:260:5, 150:350:5], dtype=torch.float64)
x.requires_grad_()
y = F.max_pool2d(x[None, None], 4)[0, 0]  # (10, 10)
(to_max,) = torch.autograd.grad(y.sum(), x)
(to_all,) = torch.autograd.grad(F.avg_pool2d(x[None, None], 4).sum(), x)
assert torch.equal(to_max, max_pool_gradient(x.detach(), torch.ones(10, 10), 4, 4))
assert (to_max != 0).sum() == y.numel()  # one winner a window
assert (to_all == 1 / 16).all()

# Ties: max-pooling picks one pixel, torch.amax shares the gradient among all.
windows = F.unfold(x[None, None], 4, stride=4)[0]  # (16, 100)
ties = ((windows == windows.amax(0)).sum(0) > 1).sum().item()
(shared,) = torch.autograd.grad(windows.amax(0).sum(), x)
assert ties > 0 and (shared != 0).sum() > (to_max != 0).sum()
print(f"pixels with gradient: max-pooling {(to_max != 0).sum()} of 1600, average all")
print(f"windows with a tie: {ties} of 100; amax reaches {(shared != 0).sum()} pixels")

# Overlapping windows (3 x 3, stride 2): one pixel can win several of them.
(overlap,) = torch.autograd.grad(F.max_pool2d(x[None, None], 3, 2).sum(), x)
assert overlap.max() > 1 and overlap.sum() == 19 * 19
print(f"3 x 3 stride 2: one pixel collects from up to {overlap.max():.0f} windows")

fig, axes = plt.subplots(1, 2, figsize=(7, 3.8))
for ax, grad, title in [
    (axes[0], to_max, "4 x 4 windows, stride 4"),
    (axes[1], overlap, "3 x 3 windows, stride 2"),
]:
    ax.imshow(x.detach().numpy(), cmap="gray")
    for n in grad.unique()[1:].tolist():  # larger dot: more windows won
        r, c = (grad == n).nonzero().T
        ax.plot(c, r, "o", ms=4 * n**0.8, color="#ffb000", mec="k", mew=0.5)
    ax.set_title(title, size=12)
    ax.axis("off")
plt.tight_layout()
plt.show()
