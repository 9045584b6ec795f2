"""A model of parts reads half-hidden digits if badly explained parts may abstain.

The idea of compositional networks (Kortylewski and others, CVPR 2020), on pixels: each
is explained by the class or by an occluder, whichever is likelier. Nothing else differs
from the plain model. Shapes: digits x (N, 64), log-likelihoods (N, 10, 64).
"""

import torch
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
X, SIDES, SEEDS = X / 16, (0, 2, 3, 4, 5), range(5)
PRIOR = 0.2  # expected share of hidden pixels; their gray value is uniform in [0, 1]


def log_likelihood(x, mean, std):  # of each pixel under each class, Gaussian
    z = (x[:, None] - mean) / std
    return -z.square() / 2 - (std * (2 * torch.pi) ** 0.5).log()


def explain(pixels, prior):
    """Class scores when a pixel may be hidden, and which pixels are then taken so."""
    seen, hidden = pixels + torch.tensor(1 - prior).log(), torch.tensor(prior).log()
    return torch.maximum(seen, hidden).sum(2), hidden > seen


def hide(x, side):  # a random square of random gray values
    corner = torch.randint(9 - side, (2, len(x), 1, 1))
    d = torch.arange(8).view(8, 1) - corner[0], torch.arange(8) - corner[1]
    hole = (d[0] >= 0) & (d[0] < side) & (d[1] >= 0) & (d[1] < side)
    return torch.where(hole.flatten(1), torch.rand_like(x), x), hole.flatten(1)


accuracy = torch.zeros(2, len(SIDES), len(SEEDS))
found = torch.zeros(2, len(SEEDS))  # hits and false alarms of the occluder map
for s, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    fit, test = torch.randperm(len(X)).split([1000, 797])
    classes = [X[fit][Y[fit] == k] for k in range(10)]
    mean = torch.stack([c.mean(0) for c in classes])
    std = torch.stack([c.std(0) for c in classes]).clamp(min=0.1)
    for j, side in enumerate(SIDES):
        x, hole = hide(X[test], side)
        pixels = log_likelihood(x, mean, std)
        score, taken = explain(pixels, PRIOR)
        for m, total in enumerate((pixels.sum(2), score)):
            accuracy[m, j, s] = (total.argmax(1) == Y[test]).double().mean()
        best = taken[torch.arange(len(test)), score.argmax(1)]  # (N, 64)
        if side == 4:
            found[:, s] = torch.tensor([best[h].double().mean() for h in (hole, ~hole)])
gain = accuracy[1] - accuracy[0]
assert gain[3:].min() > 0.1 and gain[0].max() < 0  # a price in the clear
assert (found[0] > 5 * found[1]).all()
for j, side in enumerate(SIDES):
    print(f"{side**2 / 64:4.0%} hidden: ", end="")
    for name, a in zip(("plain", "may abstain"), accuracy[:, j]):
        print(f" {name} {a.mean():.2f} ({a.min():.2f}-{a.max():.2f})", end="")
    print()
print(
    f"taken as hidden, at 25%: {found[0].mean():.2f} of the hidden pixels, "
    f"{found[1].mean():.2f} of the others ({len(SEEDS)} seeds)"
)
