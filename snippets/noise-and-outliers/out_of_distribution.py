"""The largest softmax probability ranks foreign inputs lower on average, yet many
unseen digits get more than 0.9; the energy score ranks only slightly better.

CNN trained on the digits 0 to 7 (N, 1, 8, 8). Foreign: the digits 8 and 9, familiar
digits with shuffled pixels, uniform noise. Hendrycks and Gimpel, ICLR 2017.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)


def auroc(inside, outside):
    # chance that a foreign input scores lower than a familiar one; a tie is half
    pairs = inside[:, None] - outside[None]
    return (pairs > 0).double().mean() + (pairs == 0).double().mean() / 2


def largest_softmax(logits):
    return logits.softmax(1).amax(1)


def negative_energy(logits):
    return logits.logsumexp(1)  # high for familiar inputs


X, Y = (torch.tensor(v) for v in load_digits(return_X_y=True))
X, SEEDS = X.view(-1, 1, 8, 8) / 16, 5
result, sure = torch.zeros(3, 2, SEEDS), torch.zeros(2, SEEDS)
for seed in range(SEEDS):
    torch.manual_seed(seed)
    known, unseen = (Y < 8).nonzero()[:, 0], X[Y >= 8]
    fit, test = known[torch.randperm(len(known))].tensor_split([700])
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(96, 8),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(300):
        i = fit[torch.randint(len(fit), (50,))]
        loss = F.cross_entropy(net(X[i]), Y[i])
        adam.zero_grad(), loss.backward(), adam.step()
    order = torch.rand(len(test), 64).argsort(1)
    shuffled = X[test].flatten(1).gather(1, order).view(-1, 1, 8, 8)
    foreign = unseen, shuffled, torch.rand_like(unseen)
    with torch.no_grad():
        for j, score in enumerate((largest_softmax, negative_energy)):
            for i, x in enumerate(foreign):
                result[i, j, seed] = auroc(score(net(X[test])), score(net(x)))
        for i, x in enumerate((unseen, X[test])):
            sure[i, seed] = (largest_softmax(net(x)) > 0.9).double().mean()

for name, (a, b) in zip(["digits 8, 9", "shuffled", "noise"], result):
    print(
        f"{name:11} AUROC: softmax {a.mean():.2f} ({a.min():.2f} to {a.max():.2f}), "
        f"energy {b.mean():.2f} ({b.min():.2f} to {b.max():.2f})"
    )
print(
    f"given more than 0.9: {sure[0].mean():.2f} ({sure[0].min():.2f} to "
    f"{sure[0].max():.2f}) of digits 8, 9; {sure[1].mean():.2f} of 0 to 7; "
    f"{SEEDS} seeds"
)
assert 0.8 < result[:, 0].min() and result.mean(2)[:, 0].max() < 0.97
assert sure[0].min() > 0.3 and (result[:, 1] - result[:, 0]).mean() > 0
