"""A classifier chain gains exact matches over lone sigmoids; its mistakes spread.

Read and others, ECML PKDD 2009. Noisy digits h (N, 64), in the place of a backbone's
features; labels y (N, 4) are the digit's binary code: 10 of 16 combinations occur.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
pixels, digit = load_digits(return_X_y=True)
pixels, digit = torch.tensor(pixels / 16), torch.tensor(digit)
bits = (digit[:, None] >> torch.arange(4) & 1).double()


def fit(h, y, order):  # a logistic regression per label, with an L2 penalty
    x, L = torch.cat([y, h], 1), y.shape[1]
    w, b = torch.zeros(L, x.shape[1]).requires_grad_(), torch.zeros(L).requires_grad_()
    sees = F.pad(torch.zeros(L, L), (0, h.shape[1]), value=1)  # all features ...
    for k, label in enumerate(order):
        sees[label, order[:k]] = 1  # ... and the true earlier labels
    lbfgs = torch.optim.LBFGS([w, b], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        lbfgs.zero_grad()
        z = x @ (w * sees).T + b
        loss = F.binary_cross_entropy_with_logits(z, y, reduction="sum")
        loss = loss + w.square().sum() / 2
        loss.backward()
        return loss

    lbfgs.step(closure)
    return (w * sees).detach(), b.detach()


def answer(h, w, b, order, truth=None):  # fed with its own answers, or the truth
    q = torch.zeros(len(h), len(b))
    for k in order:
        x = torch.cat([q if truth is None else truth, h], 1)
        q[:, k] = (x @ w[k] + b[k] > 0).double()
    return q


wrong = torch.zeros(5, 5, 797, 4)  # seed, model, image, label
for seed in range(5):
    torch.manual_seed(seed)
    old, new = torch.randperm(len(digit)).split([1000, 797])
    h, g = [pixels[i] + 0.4 * torch.randn(len(i), 64) for i in (old, new)]
    answers = [answer(g, *fit(h, bits[old], []), range(4))]  # no order: no links
    chains = [(*fit(h, bits[old], o), o) for o in ([0, 1, 2, 3], [3, 2, 1, 0])]
    answers += [answer(g, *c, truth) for truth in (None, bits[new]) for c in chains]
    wrong[seed] = torch.stack(answers) != bits[new]

exact, hamming = 1 - wrong.amax(3).mean(2), wrong.mean((2, 3))  # (seed, model)
gain = exact[:, 1:3].mean(1) - exact[:, 0]
assert (gain > 0).all() and gain.mean() > 0.01
assert hamming[:, 1:3].mean() > hamming[:, 0].mean() + 0.001  # a small price
assert torch.equal(exact[:, 1:3], exact[:, 3:])  # the truth saves no exact match
assert (hamming[:, 3:] < hamming[:, 1:3] - 0.01).all()  # but stops the spread
print("mean of 5 seeds: exact matches, Hamming loss")
for k, name in enumerate(["sigmoids", "chain 0123", "chain 3210", "0123 + truth"]):
    print(f"{name:12} {exact[:, k].mean():.2f} {hamming[:, k].mean():.3f}")
