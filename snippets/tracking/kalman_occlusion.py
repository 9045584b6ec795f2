"""A motion model carries identities through a gap, as long as the motion goes on.

Two objects cross while both are hidden. Tracks are matched to the new detections by
last position (staying put) or by the Kalman filter's prediction. Shapes: (seed, 2).
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)
F = torch.tensor([[1.0, 1], [0, 1]])
Q, R = torch.diag(torch.tensor([0.0, 0.01])), 1.0
SEEN, GAP, T = 15, 10, 40


def scene(n, bounce):
    """Positions (n, 2 objects, T) and noisy measurements; both hidden in the gap."""
    t = torch.arange(T) - (SEEN + GAP / 2)
    speed = 1 + torch.rand(n, 1, 1)
    toward = -t.abs() if bounce else t
    true = torch.tensor([1.0, -1])[:, None] * speed * toward  # meet near 0
    true = true + torch.tensor([-2.0, 2])[:, None] * bounce
    return true, true + R**0.5 * torch.randn(n, 2, T)


def track(z):
    """Filter while seen, predict through the gap: places (n, 2, t), variances (t,)."""
    x = torch.stack([z[..., 0], 0 * z[..., 0]], -1)  # (n, 2, state)
    P = torch.diag(torch.tensor([R, 9.0]))
    places, variances = [x[..., 0]], [P[0, 0]]
    for t in range(1, SEEN + GAP + 1):
        x, P = x @ F.T, F @ P @ F.T + Q
        if t < SEEN:
            K = P[:, 0] / (P[0, 0] + R)
            x, P = x + K * (z[..., t, None] - x[..., :1]), P - K[:, None] * P[0]
        places.append(x[..., 0]), variances.append(P[0, 0])
    return torch.stack(places, -1), torch.stack(variances)


def switched(place, detections):  # which of the two pairings is cheaper?
    cost = (place[:, :, None] - detections[:, None]).square()  # (n, track, detection)
    keep, swap = cost[:, 0, 0] + cost[:, 1, 1], cost[:, 0, 1] + cost[:, 1, 0]
    return (swap < keep).double().mean()


torch.manual_seed(0)
first, swaps = SEEN + GAP, []  # the frame in which both are seen again
fig, axes = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True)
for ax, name in zip(axes, ("cross", "turn back")):
    true, z = scene(200, name == "turn back")
    places, variances = track(z)
    guesses = z[..., SEEN - 1], places[..., -1]
    swaps.append([switched(guess, z[..., first]) for guess in guesses])
    print(f"they {name}: swapped {swaps[-1][0]:.2f} by last place, ", end="")
    print(f"{swaps[-1][1]:.2f} by Kalman prediction (200 scenes)")
    t, seen = torch.arange(T), torch.cat([torch.arange(SEEN), torch.arange(first, T)])
    for k, (color, marker) in enumerate((("#0b4f6c", "o"), ("#b85c00", "^"))):
        ax.plot(seen, z[0, k, seen], marker, ms=4, color=color)
        ax.plot(t, true[0, k], color=color, lw=0.8)
        gap = slice(SEEN - 1, first + 1)
        ax.plot(t[gap], places[0, k, gap], "--", color=color, lw=2)
        band = 2 * variances[gap].sqrt()
        low, high = places[0, k, gap] - band, places[0, k, gap] + band
        ax.fill_between(t[gap], low, high, color=color, alpha=0.2, lw=0)
    ax.axvspan(SEEN - 0.5, first - 0.5, color="gray", alpha=0.15, lw=0)
    ax.set_title(f"they {name} while hidden", fontsize=11)
    ax.set_xlabel("frame")
axes[0].set_ylabel("position (pixels)")
swaps = torch.tensor(swaps)
assert swaps[0, 0] > 0.9 and swaps[0, 1] < 0.1  # crossing: the motion model is right
assert swaps[1, 0] < 0.1 and swaps[1, 1] > 0.9  # turning back: it is wrong
fig.tight_layout()
plt.show()
