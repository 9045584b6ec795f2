"""The product of experts is the exact posterior if they are independent given class.

Source: Bayes' rule; products of experts: Hinton, 2002.
Shapes: M Gaussian sensors x (N, M, d), C class means (M, C, d); posteriors (N, M, C).
"""

import torch
import torch.nn.functional as F
from torch.distributions import MultivariateNormal

torch.set_default_dtype(torch.float64)
N, FIT, M, C, d = 4000, 1000, 3, 4, 2


def expert_posteriors(x, means, prior):  # each sensor alone, unit covariance
    likelihood = -(x[:, :, None] - means).square().sum(3) / 2
    return (likelihood + prior.log()).log_softmax(2)  # (N, M, C)


def product(log_p, prior):  # the prior must count once, not M times
    return (log_p.sum(1) - (log_p.shape[1] - 1) * prior.log()).log_softmax(1)


def vote(log_p):  # shares of votes; ties go to the first class
    return F.one_hot(log_p.argmax(2), log_p.shape[2]).double().mean(1)


def calibration_error(p, y, bins=10):  # mean gap of confidence and accuracy
    confidence, guess = p.max(1)
    place = (confidence * bins).long().clamp(max=bins - 1)
    gap = torch.zeros(bins).index_add(0, place, confidence - (guess == y).double())
    return gap.abs().sum() / len(y)


def learned(log_p, prior, y, steps=100):  # a weight for each expert and the prior
    terms = torch.cat([log_p, prior.log().expand(len(y), 1, -1)], 1)
    w = torch.ones(terms.shape[1], 1, requires_grad=True)
    optimizer = torch.optim.Adam([w], 0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy((w * terms)[:FIT].sum(1), y[:FIT]).backward()
        optimizer.step()
    return (w * terms).sum(1).softmax(1).detach()


names, rows = ("best alone", "vote", "average", "product", "learned"), []
prior, test = torch.tensor([0.4, 0.3, 0.2, 0.1]), slice(FIT, None)
for seed, copies in [(s, c) for s in range(5) for c in (False, True)]:
    torch.manual_seed(seed)
    y, means = torch.multinomial(prior, N, True), 1.2 * torch.randn(M, C, d)
    means = means[:1].expand(M, C, d) if copies else means
    cov = torch.full((M, M), 0.9 * copies).fill_diagonal_(1)  # noise of the sensors
    x = means[:, y].transpose(0, 1) + torch.linalg.cholesky(cov) @ torch.randn(N, M, d)
    log_p = expert_posteriors(x, means, prior)
    centers = means.permute(1, 2, 0).flatten(1)  # all sensors as one Gaussian
    joint = MultivariateNormal(centers, torch.block_diag(cov, cov))
    exact = (joint.log_prob(x.mT.reshape(N, 1, M * d)) + prior.log()).softmax(1)
    fused = product(log_p, prior).exp()
    assert copies or (fused - exact).abs().max() < 1e-9
    first = (log_p.argmax(2) == y[:, None])[:FIT].double().mean(0).argmax()
    methods = (
        log_p[:, first].exp(),
        vote(log_p),
        log_p.exp().mean(1),
        fused,
        learned(log_p, prior, y),
    )
    for p in (m[test] for m in methods):
        hit = (p.argmax(1) == y[test]).double().mean()
        rows.append([hit, calibration_error(p, y[test])])
hits, errors = torch.tensor(rows).view(5, 2, 5, 2).unbind(3)  # (seed, copies, method)
assert (hits[:, 0, 3] > hits[:, 0, 0] + 0.03).all() and errors[:, 0, 3].max() < 0.03
assert (errors[:, 0, 2] > 0.15).all() and (hits[:, 0, 3] > hits[:, 0, 2]).all()
assert (errors[:, 1, 3] > errors[:, 1, 2] + 0.03).all() and errors[..., 4].max() < 0.05
print("product and exact posterior, independent sensors: < 1e-9 (n=5)")
for i, case in enumerate(["independent", "near copies"]):
    for name, hit, error in zip(names, hits[:, i].T, errors[:, i].T):
        spread = f"{error.mean():.2f} ({error.min():.2f}-{error.max():.2f})"
        print(f"{case}, {name}: {hit.mean():.2f}, calibration error {spread}")
