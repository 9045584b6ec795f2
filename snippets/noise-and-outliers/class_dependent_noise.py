"""Uniform label noise leaves the right class ahead even at 60 %; the same rate of
class-dependent noise does not, and an ensemble repeats its errors.

600 digits (N, 1, 8, 8). Uniform: any other class. Dependent: always the next class.
Remedy: forward correction by the transition matrix, Patrini and others, CVPR 2017.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)


def forward_correction(logits, labels, T):
    """Cross-entropy of the predicted label noise: T[i, j] = P(given j | true i)."""
    return F.nll_loss((logits.softmax(1) @ T).log(), labels)


RATE, SEEDS, MEMBERS = 0.6, 5, 3
X, Y = (torch.tensor(v) for v in load_digits(return_X_y=True))
X, I = X.view(-1, 1, 8, 8) / 16, torch.eye(10)
matrices = {
    "uniform": (1 - RATE) * I + RATE * (1 - I) / 9,
    "next class": (1 - RATE) * I + RATE * I.roll(1, 1),
}


def train(x, y, T):
    net = nn.Sequential(
        nn.Conv2d(1, 12, 4, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(108, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(100):  # 10 epochs: before memorization
        batch = torch.randint(len(x), (60,))
        loss = forward_correction(net(x[batch]), y[batch], T)
        adam.zero_grad(), loss.backward(), adam.step()
    return lambda x: net(x).softmax(1).detach()


kinds, result = ["one network", "mean of 3", "corrected"], {}
for seed in range(SEEDS):
    for name, T in matrices.items():
        torch.manual_seed(seed)
        fit, test = torch.randperm(len(X)).split([600, 1197])
        y = T[Y].multinomial(1)[:, 0]  # labels as given
        nets = [train(X[fit], y[fit], I) for _ in range(MEMBERS)]  # I: uncorrected
        p = torch.stack([net(X[test]) for net in nets])  # (member, N, 10)
        corrected = train(X[fit], y[fit], T)(X[test])
        for kind, q in zip(kinds, [p[0], p.mean(0), corrected]):
            right = (q.argmax(1) == Y[test]).double().mean()
            result.setdefault((name, kind), torch.zeros(SEEDS))[seed] = right

for (name, kind), a in result.items():
    print(f"{name:10} {kind:11} {a.mean():.2f} ({a.min():.2f} to {a.max():.2f})")
print(f"clean test accuracy, {SEEDS} seeds, label noise {RATE:.0%}")
one, mean, fixed = (result["next class", kind] for kind in kinds)
uniform = result["uniform", "one network"]
assert (uniform - one).min() > 0.1 and (fixed - one).min() > 0.3
assert (result["uniform", "mean of 3"] - uniform).mean() > 0.03  # variance
assert (mean - one).mean() < 0.03  # bias stays
