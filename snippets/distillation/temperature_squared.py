"""T^2 evens out gradients only once T exceeds the spread of the logits.

Hinton, Vinyals, Dean, 2015, section 2.1: for large T, T^2 * KL becomes the
squared distance of the centered logits. Student logits z, teacher v: (N, 10).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16


def soft_gradient(z, v, T):
    """Gradient of the mean KL(softmax(v/T), softmax(z/T)) with respect to z."""
    return ((z / T).softmax(1) - (v / T).softmax(1)) / (T * len(z))


def matching_gradient(z, v):
    """The same, times T^2, in the limit of large T: logit matching."""
    z, v = (u - u.mean(1, keepdim=True) for u in (z, v))
    return (z - v) / (z.shape[1] * len(z))


rows, TEMPERATURES = [], (1, 2, 4, 10, 20, 100)
for seed in range(5):
    torch.manual_seed(seed)
    teacher, student = (
        nn.Sequential(
            nn.Conv2d(1, c, 4, 2, 1), nn.ReLU(), nn.Conv2d(c, 10, 4), nn.Flatten()
        )
        for c in (32, 3)
    )
    adam = torch.optim.Adam(teacher.parameters(), 1e-2)
    for _ in range(60):
        loss = F.cross_entropy(teacher(images[:300]), labels[:300])
        adam.zero_grad(), loss.backward(), adam.step()
    v = teacher(images[300:600]).detach()
    z = student(images[300:600]).detach().requires_grad_()  # untrained
    row, limit = [], matching_gradient(z, v)
    for T in TEMPERATURES:
        p, logq = (v / T).softmax(1), (z / T).log_softmax(1)
        kl = F.kl_div(logq, p, reduction="batchmean")
        (g,) = torch.autograd.grad(kl, z)
        assert (g - soft_gradient(z, v, T)).abs().max() < 1e-12
        gap = (T**2 * g - limit).norm() / limit.norm()
        row.append([g.norm(), T**2 * g.norm(), gap])
    rows.append(torch.tensor(row) / torch.tensor([row[0][0], row[0][0], 1]))
rows = torch.stack(rows)  # (seeds, temperatures, 3), gradients relative to T = 1
raw, scaled, gap = rows.unbind(2)
assert (raw[:, 5] < 1e-3).all()  # without T^2 the gradient all but vanishes
assert (scaled > 0.9).all() and (scaled < 6).all()  # with it, the size stays
assert (scaled[:, 2] > 1.5).all()  # yet not constant: logits outweigh T = 4
assert (gap[:, 0] > 0.5).all() and (gap[:, 5] < 0.1).all()  # limit: logit matching
print("autograd equals the closed form: difference < 1e-12")
for T, r, s, d in zip(TEMPERATURES, raw.T, scaled.T, gap.T):
    print(f"T={T}: gradient {r.mean():.4f}, times T^2 {s.mean():.1f}", end=" ")
    print(f"({s.min():.1f}-{s.max():.1f}), from logit matching {d.mean():.2f}")
