"""Several frames beat one if the occluder moves over the object and frames are aligned.

Each pixel of a digit x (N, 8, 8) gives evidence for the classes unless it is explained
badly, as a hidden one is (then it abstains). Evidence is summed over six frames.
"""

import torch
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
X, T, SEEDS = X.view(-1, 8, 8) / 16, 6, range(5)


def evidence(x, mean, std):  # log-likelihoods of the classes (N, 10)
    z = (x[:, None] - mean) / std
    pixels = -z.square() / 2 - (std * (2 * torch.pi) ** 0.5).log()
    return pixels.clamp(min=-1.4).sum((2, 3))


def cover(x, texture, corner, side=5):
    d = torch.arange(8).view(8, 1) - corner[0], torch.arange(8) - corner[1]
    hole = (d[0] >= 0) & (d[0] < side) & (d[1] >= 0) & (d[1] < side)
    return torch.where(hole, texture, x)


rows = []
for seed in SEEDS:
    torch.manual_seed(seed)
    fit, test = torch.randperm(len(X)).split([1000, 797])
    classes = [X[fit][Y[fit] == k] for k in range(10)]
    mean = torch.stack([c.mean(0) for c in classes])
    std = torch.stack([c.std(0) for c in classes]).clamp(min=0.1)
    n, texture = len(test), torch.rand(len(test), 8, 8)
    corners = torch.randint(4, (T, 2, n, 1, 1))  # of the occluder, in each frame

    def frame(t, moves, drifts):  # the object may drift by a pixel per frame
        x = X[test].roll(drifts * (t - T // 2), 2) + 0.1 * torch.randn(n, 8, 8)
        return evidence(cover(x, texture, corners[t * moves]), mean, std)

    totals = [frame(0, 0, 0)] + [
        sum(frame(t, moves, drifts) for t in range(T))
        for moves, drifts in ((0, 0), (1, 0), (1, 1))
    ]
    rows.append([(z.argmax(1) == Y[test]).double().mean() for z in totals])
one, stays, moves, drifts = accuracy = torch.tensor(rows).T
names = (
    "one frame",
    "six, occluder stays",
    "six, occluder moves",
    "six, it moves, object drifts, not aligned",
)
for name, a in zip(names, accuracy):
    print(f"{name:42} {a.mean():.2f} ({a.min():.2f}-{a.max():.2f})")
print(f"{len(SEEDS)} seeds; 39% of each picture hidden")
assert (moves > one + 0.06).all() and (moves > stays + 0.04).all()
assert stays.mean() < one.mean() + 0.06  # the noise only
assert (drifts < one - 0.1).all()
