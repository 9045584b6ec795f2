"""Triplet loss is zero exactly when the margin holds, so easy triplets teach nothing.

Schroff and others (FaceNet), arXiv 1503.03832. Anchors, positives, negatives (N, d).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)


def triplet_loss(anchor, positive, negative, margin, squared):
    near = (anchor - positive).square().sum(-1)  # (N,)
    far = (anchor - negative).square().sum(-1)
    if not squared:
        near, far = near.sqrt(), far.sqrt()
    return (near - far + margin).clamp(min=0)


torch.manual_seed(0)
a, p, n = torch.randn(3, 1000, 16).requires_grad_()
loss = triplet_loss(a, p, n, 1.0, squared=False)
torch_loss = F.triplet_margin_loss(a, p, n, margin=1.0, reduction="none")
assert (loss - torch_loss).abs().max() < 1e-5  # PyTorch: not squared, eps 1e-6
facenet = triplet_loss(a, p, n, 1.0, squared=True)  # the paper: squared
assert (loss - facenet).abs().max() > 1
holds = (a - n).norm(dim=1) >= (a - p).norm(dim=1) + 1
(gradient,) = torch.autograd.grad(loss.sum(), a)
assert ((loss == 0) == holds).all()
assert ((gradient.norm(dim=1) == 0) == holds).all()

images, digit = load_digits(return_X_y=True)
z = F.normalize(torch.tensor(images))  # (1797, 64), pixels as the embedding
y, active = torch.tensor(digit), torch.zeros(5, 2)  # random, hardest negative
for seed in range(5):
    torch.manual_seed(seed)
    batch = torch.randperm(len(z))[:100]
    d = torch.cdist(z[batch], z[batch]).square()
    same = y[batch][:, None] == y[batch]
    i, j = (same & ~torch.eye(100, dtype=bool)).nonzero().T  # anchor, positive
    k = torch.multinomial((~same[i]).double(), 1)[:, 0]  # a random negative
    hardest = (d[i] + 9 * same[i]).argmin(1)
    for column, negative in enumerate([k, hardest]):
        loss = triplet_loss(z[batch][i], z[batch][j], z[batch][negative], 0.2, True)
        active[seed, column] = (loss > 0).double().mean()
assert (active[:, 1] - active[:, 0]).min() > 0.3
print("loss 0 and gradient 0 where the margin holds:", holds.sum().item(), "of 1000")
for name, share in zip(("random", "hardest"), active.T):
    print(
        f"{name:8} negative: {share.mean():.2f} of the triplets teach"
        f" ({share.min():.2f} to {share.max():.2f})"
    )
