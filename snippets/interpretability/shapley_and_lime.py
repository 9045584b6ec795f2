"""Kernel SHAP over all coalitions is the Shapley value; LIME on a small sample
of them orders the patches differently when it is run again.

LIME: Ribeiro, Singh and Guestrin, KDD 2016; SHAP: Lundberg and Lee, NeurIPS 2017.
Nine patches an image, masks (512, 9), values (512, N) = logit with the others black.
"""

from math import comb

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S, P = 5, 9
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]
net = nn.Sequential(  # groups=S: the networks share no weight
    nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
    nn.ReLU(),
    nn.Conv2d(8 * S, 32 * S, 4, groups=S),
    nn.ReLU(),
    nn.Conv2d(32 * S, 10 * S, 1, groups=S),
    nn.Unflatten(1, (S, 10)),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(1200, (80, 100)):
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()


def shapley(masks, values):
    """The definition: each patch's gain, averaged over all orders of arrival."""
    p, size, phi = masks.shape[1], masks.sum(1), []
    for j in range(p):
        weight = torch.tensor(
            [1 / (p * comb(p - 1, int(s))) if s < p else 0.0 for s in size]
        )
        without = masks[:, j] == 0  # rows in binary order: adding j adds 2^j
        rows = without.nonzero()[:, 0]
        phi.append((weight[rows, None] * (values[rows + 2**j] - values[rows])).sum(0))
    return torch.stack(phi)


def regress(masks, values, weight, ridge=0.0):
    """Weighted least squares on an intercept and the patches: slopes (p, N)."""
    A = torch.cat([torch.ones(len(masks), 1), masks], 1)
    penalty = ridge * torch.eye(A.shape[1])
    penalty[0, 0] = 0
    return torch.linalg.solve(
        A.T @ (weight[:, None] * A) + penalty, A.T @ (weight[:, None] * values)
    )[1:]


def kernel_shap(masks, values):
    p = masks.shape[1]
    weight = [
        (p - 1) / (comb(p, s) * s * (p - s)) if 0 < s < p else 1e7
        for s in masks.sum(1).int().tolist()
    ]
    return regress(masks, values, torch.tensor(weight))


def lime(masks, values, width=0.25):
    distance = 1 - masks.mean(1).sqrt()  # cosine distance to "all patches there"
    return regress(masks, values, torch.exp(-((distance / width) ** 2)), ridge=0.01)


masks = (torch.arange(2**P)[:, None] >> torch.arange(P) & 1).double()
block = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
patch = 3 * block[:, None] + block  # (8, 8): which patch a pixel belongs to
N = 20
images = x[-N:, None] * masks[:, None][:, :, patch]  # (N, 512, S, 8, 8)
truth = y[-N:, None, :, None].expand(-1, 2**P, -1, -1).flatten(0, 1)
values = net(images.flatten(0, 1)).gather(2, truth).view(N, 2**P, S).detach()
values = values.permute(1, 2, 0).flatten(1)  # (512, S * N)
exact = shapley(masks, values)
assert (kernel_shap(masks, values) - exact).abs().max() < 1e-4
assert torch.allclose(exact.sum(0), values[-1] - values[0])
print("Kernel SHAP on all 512 coalitions - Shapley values: < 1e-4")


def agree(a, b, top):  # same leading patches in the same order, per network
    a, b = (z.argsort(0, descending=True)[:top] for z in (a, b))
    return (a == b).all(0).view(S, N).double().mean(1)


same = {}
print(f"two LIME runs agree on the top patch / on the top three in order (n={S})")
for n in 20, 100, 500:
    runs = [
        lime(masks[i], values[i]) for i in (torch.randint(2**P, (n,)) for _ in range(2))
    ]
    one, three = agree(*runs, 1), agree(*runs, 3)
    same[n] = three
    print(
        f"  {n:3} samples: {one.mean():.2f} / {three.mean():.2f} "
        f"({three.min():.2f} to {three.max():.2f})"
    )
assert same[20].max() < 0.85 and same[500].mean() > same[20].mean() + 0.25
