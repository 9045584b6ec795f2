"""NT-Xent is cross-entropy with the other view as the right class.

Source: Chen and others, arXiv 2002.05709 (SimCLR). Embeddings of two views of
the same N images: a (N, d) and b (N, d), rows in the same order.
"""

import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def nt_xent(a, b, tau):
    z = F.normalize(torch.cat([a, b]), dim=1)  # (2N, d), on the unit sphere
    s = z @ z.T / tau  # (2N, 2N), cosines over the temperature
    s = s.masked_fill(torch.eye(len(s), dtype=torch.bool), -torch.inf)  # not itself
    partner = torch.arange(len(s)).roll(len(a))  # N, N+1, ..., 0, 1, ...
    return F.cross_entropy(s, partner)


def by_the_formula(a, b, tau):  # -log exp(s_ij) / sum of exp(s_ik) over k != i
    z, n, total = torch.cat([a, b]), len(a), 0.0
    for i in range(2 * n):
        s = [F.cosine_similarity(z[i], other, dim=0).item() / tau for other in z]
        below = sum(math.exp(s[k]) for k in range(2 * n) if k != i)
        total -= math.log(math.exp(s[(i + n) % (2 * n)]) / below)
    return total / (2 * n)


SEEDS, TAUS = range(5), (0.05, 0.2, 1.0)
gap, share = torch.zeros(2, len(SEEDS), len(TAUS))
for i, seed in enumerate(SEEDS):
    torch.manual_seed(seed)
    a = torch.randn(16, 8)
    b = a + torch.randn(16, 8)  # 16 positive pairs
    cosines = torch.rand(200, 31) * 2 - 1  # 200 anchors: a positive, 30 negatives
    for j, tau in enumerate(TAUS):
        gap[i, j] = (nt_xent(a, b, tau) - by_the_formula(a, b, tau)).abs()
        c = cosines.clone().requires_grad_()
        F.cross_entropy(c / tau, torch.zeros(200, dtype=torch.long)).backward()
        push = c.grad[:, 1:]  # on the negatives, (200, 30)
        share[i, j] = (push.max(1).values / push.sum(1)).mean()
alike = torch.ones(16, 8)  # collapsed: one embedding for all images
guess = nt_xent(alike, alike, 0.5).item()
assert gap.max() < 1e-9 and abs(guess - math.log(2 * 16 - 1)) < 1e-9
assert (share[:, :-1] > share[:, 1:] + 0.1).all()  # low tau: nearest negative rules
print(f"matrix form against the double loop: < 1e-9 (n={len(SEEDS)})")
print("collapsed embeddings: loss = log(2N - 1), a guess among 31")
for tau, column in zip(TAUS, share.T):
    print(f"tau {tau:.2f}: nearest of 30 negatives has {column.mean():.2f} of the push")
