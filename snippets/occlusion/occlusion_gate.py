"""Behind an occluder the gate must grow with the variance, or it misses the return.

Constant velocity with random acceleration, each axis alone. x (N, 2 axes, 2) holds
position and velocity, P (2, 2) their covariance, the same for both axes.
"""

import matplotlib.pyplot as plt
import torch
from scipy.stats import chi2
from skimage import data

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
Q, R, SEEN, N, SHOWN = 0.02, 1.0, 20, 4000, 4  # SHOWN: the track drawn
LIMIT = chi2.ppf(0.99, 2)
F, noise = torch.tensor([[1.0, 1], [0, 1]]), torch.tensor([0.5, 1])


def unseen(P, k):
    """Variance of the position after k frames without a detection: a cubic in k."""
    free = P[0, 0] + 2 * k * P[0, 1] + k**2 * P[1, 1]
    return free + Q * k * (4 * k**2 - 1) / 12


def move(state):
    return state @ F.T + Q**0.5 * torch.randn(N, 2, 1) * noise


def predict(x, P):
    return x @ F.T, F @ P @ F.T + Q * noise[:, None] * noise


def update(x, P, z):
    K = P[:, 0] / (P[0, 0] + R)
    return x + K * (z - x[..., 0])[..., None], P - K[:, None] * P[0]


state = torch.tensor([[30.0, 3.2], [70, 0.0]]).expand(N, 2, 2)
P = torch.diag(torch.tensor([1.0, 4]))
x = state + torch.randn(N, 2, 2) * P.diagonal().sqrt()  # what P claims
path, seen, ellipses = [state[SHOWN, :, 0]], [], []
for t in range(SEEN):
    state, (x, P) = move(state), predict(x, P)
    z = state[..., 0] + R**0.5 * torch.randn(N, 2)
    x, P = update(x, P, z)
    path.append(state[SHOWN, :, 0]), seen.append(z[SHOWN])
start, fixed = P, LIMIT * (P[0, 0] + R)  # the gate, while seen
print(f"{N} tracks           still in the gate         area of the")
print("frames unseen   fixed (theory)    growing   growing gate")
for k in range(1, 21):
    state, (x, P) = move(state), predict(x, P)
    assert abs(unseen(start, k) - P[0, 0]) < 1e-9
    z, S = state[..., 0] + R**0.5 * torch.randn(N, 2), P[0, 0] + R
    d = (z - x[..., 0]).square().sum(1)
    kept, open_ = ((d < gate).double().mean() for gate in (fixed, LIMIT * S))
    theory = chi2.cdf(fixed / S, 2)
    assert abs(kept - theory) < 0.04 and abs(open_ - 0.99) < 0.01
    path.append(state[SHOWN, :, 0])
    ellipses.append((x[SHOWN, :, 0], (LIMIT * S).sqrt()))
    if k in (1, 5, 10, 20):
        print(
            f"{k:13}   {kept:.2f} ({theory:.2f})       {open_:.2f}      "
            f"{torch.pi * LIMIT * S:.0f} pixels"
        )
assert kept < 0.1

ground = torch.tensor(data.gravel()[:280, :460] / 400)
last, first = seen[-1][0] + 4, path[-1][0] - 5  # the wall hides all frames between
wall = torch.tensor(data.brick()[:280, :460] / 255)
column = torch.arange(460) / 2
picture = torch.where((column > last) & (column < first), wall, ground)[::3, ::3]
plt.figure(figsize=(7, 4.4)), plt.gca().set(xlim=(0, 230), ylim=(140, 0))
plt.imshow(
    picture.numpy(),
    cmap="gray",
    vmin=0,
    vmax=1,
    extent=(0, 230, 140, 0),
    interpolation="none",
)
plt.plot(*torch.stack(path).T, color="white", lw=1.5, label="true path")
plt.plot(*torch.stack(seen).T, "o", color="#7bdcff", ms=4, label="detections")
turn = torch.linspace(0, 2 * torch.pi, 60)
for k, (place, radius) in enumerate(ellipses):
    if k % 4 == 3:
        ring = place[:, None] + radius * torch.stack([turn.cos(), turn.sin()])
        plt.plot(*ring, color="#ffb347", lw=2, label="growing gate" if k == 3 else None)
ring = ellipses[-1][0][:, None] + fixed.sqrt() * torch.stack([turn.cos(), turn.sin()])
plt.plot(*ring, "--", color="#ff5c8a", lw=2, label="fixed gate")
plt.plot(*z[SHOWN], "*", color="#7bff7b", ms=14, label="seen again")
plt.axis("off"), plt.legend(ncols=3, loc="upper center", fontsize=10)
plt.tight_layout(), plt.show()
