"""Self-distillation is regularization: it helps on noisy labels, then hurts.

Mobahi, Farajtabar, Bartlett, NeurIPS 2020, for ridge regression; here on the
features of a random CNN. Features phi (N, 1024), kernel K (n, n), targets (n, 10).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images, n = images.view(-1, 1, 8, 8) / 16, 300
ROUNDS, RIDGE = (1, 2, 4, 8, 16, 32, 64, 128), 0.01


def distill(w, U, target, rounds, ridge):
    """Coefficients a of round t, each fitted to the predictions K a of the last.

    K = U diag(w) U^T: every round multiplies direction i by w_i / (w_i + ridge)."""
    shrink = (w / (w + ridge)) ** (rounds - 1) / (w + ridge)
    return U @ (shrink[:, None] * (U.T @ target))


rows, single = [], []
for seed in range(5):
    torch.manual_seed(seed)
    filters, order = torch.randn(64, 1, 3, 3), torch.randperm(len(images))
    maps = F.max_pool2d(F.conv2d(images, filters, padding=1).relu(), 2)
    phi, y = F.normalize(maps.flatten(1))[order], labels[order]
    K, K_new = phi[:n] @ phi[:n].T, phi[n:] @ phi[:n].T
    w, U = torch.linalg.eigh(K)
    noisy = y[:n].clone()
    noisy[:120] = (noisy[:120] + torch.randint(1, 10, (120,))) % 10  # 40% wrong
    clean, noisy = (F.one_hot(t, 10).double() for t in (y[:n], noisy))

    def accuracy(target, rounds, ridge):
        guess = (K_new @ distill(w, U, target, rounds, ridge)).argmax(1)
        return (guess == y[n:]).double().mean()

    rows.append([[accuracy(t, r, RIDGE) for r in ROUNDS] for t in (clean, noisy)])
    single.append([accuracy(noisy, 1, ridge) for ridge in (0.03, 0.1, 0.3)])
    a = distill(w, U, noisy, 1, RIDGE)
    b = torch.linalg.solve(K + RIDGE * torch.eye(n), K @ a)  # refitted indeed
    assert torch.allclose(b, distill(w, U, noisy, 2, RIDGE))
clean, noisy = torch.tensor(rows).unbind(1)  # (seeds, rounds)
once = torch.tensor(single).amax(1)  # one fit, the best of three larger ridges
assert (noisy.amax(1) > noisy[:, 0] + 0.05).all()  # rounds help on noisy labels
assert (noisy[:, -1] < noisy.amax(1) - 0.02).all()  # until they hurt
assert (clean[:, -1] < clean[:, 0] - 0.05).all()
assert abs((once - noisy.amax(1)).mean()) < 0.02  # no more than a ridge gives
fig, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
for a, name in ((clean, "clean labels"), (noisy, "40% wrong labels")):
    ax.plot(ROUNDS, a.mean(0), "s--" if a is noisy else "o-", label=name)
    values = ", ".join(f"{m:.2f}" for m in a.mean(0)[[0, 1, 3, 7]])
    print(f"{name}, rounds 1, 2, 8, 128: {values} (mean of n=5)")
print(f"wrong labels, one fit with a larger ridge: {once.mean():.2f}", end=" ")
print(f"({once.min():.2f}-{once.max():.2f})")
ax.axhline(once.mean(), color="k", linestyle=":", label="wrong labels, larger ridge")
ax.set(xscale="log", xlabel="rounds (log scale)", ylabel="test accuracy")
ax.set_xticks(ROUNDS, ROUNDS), ax.minorticks_off(), ax.legend()
plt.show()
