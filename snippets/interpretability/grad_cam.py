"""Behind global average pooling Grad-CAM is CAM divided by the map's size Z; behind a
flattened head its averaged gradient can point at places that the score does not use.

Selvaraju and others, ICCV 2017; HiResCAM: Draelos and Carin, 2020. Random networks,
one a seed: maps (N, C, h, w) = (6, 8, 8, 8), K = 5 classes, explanations (N, h, w).
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
SEEDS, C, K = 10, 8, 5


def cam_terms(maps, scores, k, mean=True):
    """Sum over channels of gradient times map; Grad-CAM averages the gradient first."""
    (grad,) = torch.autograd.grad(scores[:, k].sum(), maps, retain_graph=True)
    weight = grad.mean((2, 3), keepdim=True) if mean else grad
    return (weight * maps).sum(1)


def grad_cam(maps, scores, k):
    return F.relu(cam_terms(maps, scores, k))


gaps, complete, unused = [], [], []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(1, C, 3, 2, 1), nn.ReLU())
    maps = body(torch.rand(6, 1, 16, 16))  # (N, C, 8, 8), Z = 64
    pooled = nn.Linear(C, K)
    heat = grad_cam(maps, pooled(maps.mean((2, 3))), k=1)
    cam = F.relu(torch.einsum("nchw,c->nhw", maps, pooled.weight[1]))
    gaps.append((64 * heat - cam).abs().max().item())

    flat = nn.Linear(C * 64, K, bias=False)
    with torch.no_grad():  # this class reads the left half of the maps only
        flat.weight.view(K, C, 8, 8)[1, :, :, 4:] = 0
    scores = flat(maps.flatten(1))
    hires = cam_terms(maps, scores, k=1, mean=False)
    complete.append((hires.sum((1, 2)) - scores[:, 1]).abs().max().item())
    assert (hires[:, :, 4:] == 0).all()
    heat = cam_terms(maps, scores, k=1).abs()
    unused.append((heat[:, :, 4:].sum() / heat.sum()).item())

print(f"pooled head: |64 x Grad-CAM - CAM| < 1e-12 ({SEEDS} networks)")
print("flattened head: HiResCAM sums to the score within 1e-12,")
print(
    f"  and {min(unused):.2f} to {max(unused):.2f} of the Grad-CAM map "
    "(before its ReLU) lies where the weights are 0"
)
assert max(gaps) < 1e-12 and max(complete) < 1e-12 and min(unused) > 0.3
