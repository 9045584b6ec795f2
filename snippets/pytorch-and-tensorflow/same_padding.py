"""'same' padding at stride 2 starts at another pixel than PyTorch's padding=1.

TensorFlow's rule: ceil(n / s) outputs; an odd total of zeros puts one more at the end.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def same_padding(n, k, s):
    """Zeros before and after n pixels, for a window of k at stride s."""
    total = max((-(-n // s) - 1) * s + k - n, 0)  # -(-n // s) is ceil(n / s)
    return total // 2, total - total // 2


def conv_same(x, w, s):
    """TensorFlow's 'same' convolution, on (N, C, H, W)."""
    top, bottom = same_padding(x.shape[2], w.shape[2], s)
    left, right = same_padding(x.shape[3], w.shape[3], s)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), w, stride=s)


cases = {(224, 7, 2): 3, (32, 3, 2): 1, (33, 3, 2): 1, (32, 3, 1): 1}  # usual padding
for (n, k, s), usual in cases.items():
    differences = []
    for seed in range(5):
        torch.manual_seed(seed)
        x, w = torch.randn(1, 2, n, n), torch.randn(4, 2, k, k)
        a, b = conv_same(x, w, s), F.conv2d(x, w, stride=s, padding=usual)
        assert a.shape == b.shape  # no error tells you
        differences.append((a - b).abs().max().item())
    pads = same_padding(n, k, s)
    agrees = pads == (usual, usual)
    assert max(differences) < 1e-12 if agrees else min(differences) > 1
    verdict = "equal" if agrees else "DIFFERENT"
    print(f"n={n:3} k={k} stride={s}: same {pads}, padding={usual}: {verdict}")

fig, axes = plt.subplots(2, 1, figsize=(6, 3.2), sharex=True, layout="constrained")
names = "Keras 'same': no zero before, one after", "PyTorch padding=1"
for ax, start, name in zip(axes, (0, -1), names):
    for p in range(start, 9):  # -1 and 8 are padding
        ax.add_patch(plt.Rectangle((p - 0.5, -0.5), 1, 1, fc="w", ec="k", lw=1))
        ax.text(p, 0, p if 0 <= p < 8 else "pad", ha="center", va="center", fontsize=11)
    for i in range(4):  # windows, in two heights so that overlaps show
        first, y = start + 2 * i, 0.8 + 0.35 * (i % 2)
        ax.plot([first - 0.4, first + 2.4], [y, y], lw=5, solid_capstyle="butt")
    ax.set(xlim=(-1.7, 8.7), ylim=(-0.7, 1.6), yticks=[], xticks=[])
    ax.set_title(name, fontsize=11)
plt.show()
