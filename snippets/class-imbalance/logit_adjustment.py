"""Subtracting the log prior turns the best classifier into the best balanced one.

Three normal clouds in the plane with known posterior p(y | x), priors 0.90, 0.09,
0.01. Adjusted logits (Menon and others 2021): log p(y | x) - tau log prior, tau = 1.
"""

import matplotlib.pyplot as plt
import torch

torch.set_default_dtype(torch.float64)
prior, uniform = torch.tensor([0.90, 0.09, 0.01]), torch.full((3,), 1 / 3)
centers = torch.tensor([[0.0, 0.0], [2.0, 0.5], [0.8, 2.0]])


def log_posterior(x, prior):
    """log p(y | x) by Bayes' rule; x (N, 2) -> (N, 3)."""
    return (prior.log() - torch.cdist(x, centers).square() / 2).log_softmax(1)


def adjust(z, log_prior, tau=1.0):
    return z - tau * log_prior


def class_recall(z, y):
    return torch.stack([(z[y == c].argmax(1) == c).double().mean() for c in range(3)])


taus, error, curves = torch.linspace(0, 2, 21), 0.0, []
for seed in range(5):
    torch.manual_seed(seed)
    y = torch.multinomial(prior, 100_000, replacement=True)  # the natural mix
    x = centers[y] + torch.randn(len(y), 2)
    z = log_posterior(x, prior)
    equal = log_posterior(x, uniform)  # the posterior if all classes were as frequent
    difference = adjust(z, prior.log()).log_softmax(1) - equal
    error = max(error, difference.abs().max().item())
    curves.append([class_recall(adjust(z, prior.log(), t), y).mean() for t in taus])
curves = torch.tensor(curves)  # balanced accuracy (seeds, taus)
best = curves.max(1).values
assert error < 1e-12 and (best - curves[:, 10] < 0.005).all()  # taus[10] = 1
assert (curves[:, 10] > curves[:, 0] + 0.15).all()
print("adjusted posterior = posterior under equal priors, within 1e-12")
for k in (0, 10, 20):
    c = curves[:, k]
    print(
        f"tau {taus[k]:.0f}: balanced accuracy {c.mean():.2f} "
        f"({c.min():.2f}-{c.max():.2f}, 5 seeds)"
    )

axis = torch.linspace(-3, 5, 80)
grid = torch.cartesian_prod(axis, axis)  # (80 * 80, 2)
fig, axes = plt.subplots(1, 2, figsize=(7, 3.8))
for ax, tau in zip(axes, (0.0, 1.0)):
    region = adjust(log_posterior(grid, prior), prior.log(), tau).argmax(1)
    ax.contourf(
        axis,
        axis,
        region.view(80, 80).T,
        [-0.5, 0.5, 1.5, 2.5],
        colors=["#d9d9d9", "#9ecae1", "#fdae6b"],
    )
    for name, p in zip(("90 %", "9 %", "1 %"), centers):
        ax.text(*p, name, ha="center", va="center", size=12)
    ax.set(title="log prior subtracted" if tau else "plain", aspect="equal")
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
plt.tight_layout()
plt.show()
