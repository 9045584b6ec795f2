"""A convolution layer is one dot product per patch, and it does not flip.

Source: Goodfellow, Bengio, Courville, Deep Learning (2016), chapter 9.
Shapes: x (N, C, H, W), weight (K, C, k, k) -> maps (N, K, H', W').
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from scipy.signal import convolve2d, correlate2d
from skimage import data

torch.set_default_dtype(torch.float64)


def conv2d(x, weight, bias, stride=1, padding=0, dilation=1):
    k = weight.shape[-1]
    patches = F.unfold(x, k, dilation, padding, stride)  # (N, C*k*k, L)
    dots = weight.flatten(1) @ patches + bias[:, None]  # (N, K, L)
    reach = dilation * (k - 1) + 1  # pixels from a kernel's first to last tap
    h, w = [(n + 2 * padding - reach) // stride + 1 for n in x.shape[2:]]
    return dots.unflatten(2, (h, w))


torch.manual_seed(0)
x = torch.randn(2, 3, 17, 20)
settings = torch.randn(4, 3, 3, 3), torch.randn(4), 2, 1  # kernels ... padding
error = (conv2d(x, *settings) - F.conv2d(x, *settings)).abs().max()

# Sobel-x, a hand-made edge filter, on a photograph.
photo = torch.from_numpy(data.camera()[80:224, 158:302] / 255.0)
sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
edges = F.conv2d(photo[None, None], sobel[None, None])[0, 0]  # (142, 142)
correlated = torch.from_numpy(correlate2d(photo, sobel, "valid"))
convolved = torch.from_numpy(convolve2d(photo, sobel, "valid"))

assert error < 1e-12
assert (edges - correlated).abs().max() < 1e-12  # no flip: correlation
assert (edges + convolved).abs().max() < 1e-12  # the flip negates Sobel-x
assert (edges - convolved).abs().max() > 1
print("largest difference to F.conv2d < 1e-12")
print("Sobel-x: Conv2d = scipy's correlate2d = minus its convolve2d")

r, c = divmod(edges.argmax().item(), edges.shape[1])  # the strongest unit
patch = photo[r : r + 3, c : c + 3]
panels = {
    "photo, one patch marked": photo,
    "the patch, 3×3": patch,
    f"kernel: dot product {edges[r, c]:.2f}": sobel,
    "feature map: all patches": edges,
}
fig, axes = plt.subplots(2, 2, figsize=(6, 6.4), layout="constrained")
for ax, (title, picture) in zip(axes.flat, panels.items()):
    ax.imshow(picture.numpy(), cmap="gray", interpolation="none")
    ax.set(title=title, xticks=[], yticks=[])
    for n in range(9) if picture.numel() == 9 else ():
        ax.text(n % 3 - 0.2, n // 3, f"{picture.flatten()[n]:.2f}", backgroundcolor="w")
axes[0, 0].plot(c + 1, r + 1, "s", ms=14, mec="#ff9d00", mfc="none", mew=2)
plt.show()
