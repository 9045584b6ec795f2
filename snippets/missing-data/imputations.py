"""Imputation mends scattered holes; large ones it blurs or makes up.

Source: the definitions; kNN and regression as in scikit-learn's imputers.
Shapes: photo (1, 168, 168), crop (1, 56, 56), 8x8 patches (n, 64), float64.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage import data


def knn_impute(x, seen, library, k=5):  # x, seen: (n, d); library: (N, d)
    gaps = (x[:, None] - library).square() * seen[:, None]
    nearest = gaps.sum(2).topk(k, largest=False).indices  # (n, k)
    return torch.where(seen, x, library[nearest].mean(1))


def regression_impute(x, seen, library, ridge=1e-4):  # E[lost | seen], Gaussian
    mean, d = library.mean(0), library.shape[1]
    cov = torch.cov(library.T) + ridge * torch.eye(d)
    for row, s in zip(out := x.clone(), seen):
        weights = torch.linalg.solve(cov[s][:, s], cov[s][:, ~s])
        row[~s] = mean[~s] + (row[s] - mean[s]) @ weights
    return out


def neighbor_fill(x, seen):  # mean of the seen in 3x3, until no hole is left
    while not seen.all():
        total, share = (F.avg_pool2d(z, 3, 1, 1) for z in (x * seen, seen + 0.0))
        x, seen = torch.where(seen, x, total / share.clamp(min=0.1)), share > 0
    return x


names, errors = ["mean", "neighbors", "kNN", "regression"], []
for seed, name in enumerate(["coins", "camera", "chelsea", "coffee", "astronaut"]):
    torch.manual_seed(seed)
    gray = torch.from_numpy(getattr(data, name)() / 255.0)
    gray = F.adaptive_avg_pool2d(gray.view(*gray.shape[:2], -1).mean(2)[None], 168)
    crop, rest = gray[:, 6:62, 50:106], gray[:, 62:]  # rest: no holes
    scattered, squares, panels = torch.rand_like(crop) >= 0.6, crop >= 0, []
    squares[:, 22:38, 16:32] = squares[:, 4:20, 36:52] = False
    for seen in (scattered, squares):
        x, s, lib = (F.unfold(z, 8, stride=8).T for z in (crop, seen + 0.0, rest))
        patches = knn_impute(x, s > 0, lib), regression_impute(x, s > 0, lib)
        fills = [torch.where(seen, crop, crop[seen].mean()), neighbor_fill(crop, seen)]
        fills += [F.fold(p.T, 56, 8, stride=8) for p in patches]
        errors.append([(f - crop)[~seen].square().mean().sqrt() for f in fills])
        panels += [crop * seen, *fills, crop]
errors = torch.tensor(errors).view(5, 2, 4)  # photo, kind of hole, method
assert (errors[:, 0, [0, 2, 3]].diff() < -0.01).all()  # scattered: ever better
assert (errors[:, 1] > 1.2 * errors[:, :1, 1]).all()  # squares: none does well
for name, (a, b) in zip(names, errors.mean(0).T):
    print(f"{name}: error {a:.2f} in scattered holes, {b:.2f} in squares (n=5)")
_, axes = plt.subplots(4, 3, figsize=(5, 7.2), layout="constrained")
for ax, title, x in zip(axes.flat, ["holes", *names, "original"] * 2, panels):
    grays = (32 * x[0]).round().numpy()  # only 33 levels: a smaller file
    ax.imshow(grays, "gray", vmin=0, vmax=32, interpolation="none")
    ax.set(xticks=[], yticks=[], title=title)
plt.show()
