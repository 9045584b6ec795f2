"""Matrix completion recovers scattered entries; a lost row stays unknown.

Source: soft-impute, Mazumder, Hastie and Tibshirani, JMLR 2010.
Shapes: photo (64, 64), read as a matrix of nearly low rank.
"""

import torch
import torch.nn.functional as F
from skimage import data

torch.set_default_dtype(torch.float64)


def soft_impute(x, seen, threshold=1.0, steps=60):
    """Fill the holes from a copy with shrunken singular values; repeat."""
    low_rank = torch.zeros_like(x)
    for _ in range(steps):
        filled = torch.where(seen, x, low_rank)
        u, s, v = torch.linalg.svd(filled, full_matrices=False)
        low_rank = u * (s - threshold).clamp(min=0) @ v
    return torch.where(seen, x, low_rank)


photo = torch.from_numpy(data.camera() / 255.0)
photo = F.adaptive_avg_pool2d(photo[None, None], 64)[0, 0]
photo = photo - photo.mean()  # so that filling with 0 is filling with the mean
errors = []  # relative to the mean fill's error
for seed in range(5):
    torch.manual_seed(seed)
    scattered = torch.rand(64, 64) >= 0.4
    rows = (torch.rand(64, 1) >= 0.4).expand(64, 64)
    for seen in (scattered, rows):
        wrong = (soft_impute(photo, seen) - photo)[~seen]
        errors.append(wrong.square().mean() / photo[~seen].square().mean())
scattered, rows = torch.stack(errors).sqrt().view(5, 2).T
assert scattered.max() < 0.6 and (rows - 1).abs().max() < 1e-6
low, high = scattered.aminmax()
print("error relative to filling with the mean, 40% lost, n=5 masks")
print(f"scattered pixels {scattered.mean():.2f} ({low:.2f}-{high:.2f})")
print(f"whole rows {rows.mean():.2f}: nothing was recovered")
