"""Oracles for deployment: queueing theory, brute force, scipy's statistics, closed forms.

Each check says whether a snippet's functions agree with the oracle; planted defects must make it
disagree.
"""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, entropy, ks_2samp, norm
from sklearn.metrics import confusion_matrix, precision_score
from tests.snippet_functions import load_functions
from torch.nn import functional as F


def load(technique, defect=None):
    return load_functions(f"deployment/{technique}", defect)


def queue_by_hand(arrivals, largest, wait, service):
    """The same policy, found by looking at every request's clock: slow and plain."""
    latency, waiting, free = {}, list(range(len(arrivals))), 0.0
    while waiting:
        head = waiting[:largest]
        enough = arrivals[head[-1]] if len(head) == largest else arrivals[-1]
        start = max(free, min(enough, arrivals[head[0]] + wait))
        batch = [k for k in head if arrivals[k] <= start]
        free = start + service(len(batch))
        for k in batch:
            latency[k] = free - arrivals[k]
            waiting.remove(k)
    return np.array([latency[k] for k in range(len(arrivals))])


def queue_agrees(code) -> bool:
    """Equal to brute force on many streams; the mean for batches of one is Pollaczek's."""
    for seed in range(30):
        for largest, wait in ((1, 0.0), (4, 0.0), (4, 0.02), (8, math.inf), (3, 0.005)):
            arrivals = code.poisson((20, 100, 400)[seed % 3], 40, seed)
            theirs = queue_by_hand(arrivals, largest, wait, code.service)
            if not np.allclose(code.simulate(arrivals, largest, wait), theirs):
                return False
    rate, s = 60, code.service(1)
    mean = np.mean([code.simulate(code.poisson(rate, 20_000, k), 1).mean() for k in range(4)])
    return abs(mean / (s + rate * s * s / (2 * (1 - rate * s))) - 1) < 0.03


def drift_agrees(code) -> bool:
    """KS equals scipy's; PSI is the two Kullback-Leibler divergences of the bin shares."""
    rng = np.random.default_rng(0)
    for n, m, shift in ((50, 300, 0.0), (200, 300, 0.3), (31, 77, 1.0), (400, 100, -0.2)):
        for ties in (False, True):
            a, b = rng.normal(size=m), shift + rng.normal(size=n)
            if ties:
                a, b = a.round(1), b.round(1)
            d, p = code.ks(a, b)
            theirs = ks_2samp(a, b, method="asymp")
            if abs(d - theirs.statistic) > 1e-12 or abs(p - theirs.pvalue) > 0.05:
                return False
            edges = np.quantile(a, np.arange(1, 10) / 10)
            counts = [
                np.array([((low < x) & (x <= high)).sum() for low, high in
                          zip([-np.inf, *edges], [*edges, np.inf], strict=True)])
                for x in (a, b)
            ]  # fmt: skip
            u, v = ((c + 0.5) / (c + 0.5).sum() for c in counts)
            if abs(code.psi(a, b) - entropy(u, v) - entropy(v, u)) > 1e-9:
                return False
    return True


def canary_agrees(code) -> bool:
    """Power and level by scipy's exact test; SPRT by a plain loop over requests."""
    n, critical = code.fixed_size()
    level = binomtest(critical, n, 0.05, "greater").pvalue
    if not (level <= 0.05 < binomtest(critical - 1, n, 0.05, "greater").pvalue):
        return False
    power = sum(binom.pmf(k, n, 0.07) for k in range(critical, n + 1))
    if power < 0.95:
        return False
    errors = np.random.default_rng(0).random((20, 8000)) < 0.06
    up, took = code.sprt(errors)
    for row, alarm, count in zip(errors, up, took, strict=True):
        odds = 1.0
        for k, wrong in enumerate(row, 1):
            odds *= 0.07 / 0.05 if wrong else 0.93 / 0.95
            if odds >= 19 or odds <= 1 / 19:
                break
        if k != count or (odds > 1) != alarm:
            return False
    looks = code.peeking(errors[:, :500])
    brute = [
        any(binomtest(int(row[:m].sum()), m, 0.05, "greater").pvalue < 0.05
            for m in range(50, 501, 50))
        for row in errors
    ]  # fmt: skip
    return looks.tolist() == brute


def privacy_agrees(code) -> bool:
    """Delta by integrating the density; Renyi by a grid; the sum by a loop over samples."""
    for mu in (0.3, 1.0, 2.5):
        for epsilon in (0.1, 1.0, 4.0):
            z = np.linspace(-12, 12 + mu, 200_001)  # mechanism's output with and without one
            gap = np.clip(norm.pdf(z, mu) - math.exp(epsilon) * norm.pdf(z), 0, None)
            if abs(code.exact_delta(epsilon, mu) - np.trapezoid(gap, z)) > 1e-6:
                return False
        alpha = 1 + np.logspace(-3, 4, 20_001)
        grid = (alpha * mu**2 / 2 + math.log(1e5) / (alpha - 1)).min()
        if abs(code.renyi_epsilon(mu) / grid - 1) > 1e-3 or code.exact_epsilon(mu) > grid:
            return False
        root = brentq(lambda e, mu=mu: code.exact_delta(e, mu) - 1e-5, 0, 200)
        if abs(code.exact_epsilon(mu) - root) > 1e-6:
            return False
    torch.manual_seed(0)
    x, y, w = torch.randn(12, 65).double(), torch.randint(10, (12,)), torch.randn(65, 10).double()
    for clip in (0.1, 5.0, 1e9):
        total = torch.zeros(65, 10).double()
        for k in range(12):
            leaf = w.clone().requires_grad_()
            F.cross_entropy(x[k : k + 1] @ leaf, y[k : k + 1]).backward()
            total += leaf.grad * min(1.0, clip / leaf.grad.norm().item())
        if not torch.allclose(code.private_sum(w, x, y, clip, 0), total, atol=1e-9):
            return False
    noise = code.private_sum(w, x, y, 0.5, 40.0) - code.private_sum(w, x, y, 0.5, 0)
    return abs(noise.std().item() / 20 - 1) < 0.15


def pruning_agrees(code) -> bool:
    """Masks keep the largest; the cut network equals one whose removed channels are zero."""
    for seed in range(5):
        torch.manual_seed(seed)
        net = code.network(6, 10)
        masks = code.magnitude_masks(net, 0.7)
        for w, mask in zip(net.parameters(), masks, strict=True):
            if w.dim() == 1:
                continue
            kept, gone = w[mask].abs(), w[~mask].abs()
            if kept.min() < gone.max() or abs(len(gone) / w.numel() - 0.7) > 0.03:
                return False
        small = code.remove_channels(net, 3, 4)
        with torch.no_grad():
            first = net[0].weight.abs().sum((1, 2, 3)).argsort()[:3]
            second = net[2].weight.abs().sum((1, 2, 3)).argsort()[:6]
            for layer, gone in ((net[0], first), (net[2], second)):
                layer.weight[gone] = 0
                layer.bias[gone] = 0
            x = torch.rand(5, 1, 8, 8)
            if not torch.allclose(small(x), net(x), atol=1e-6):
                return False
    return True


def audit_agrees(code) -> bool:
    """Rates equal scikit-learn's; the calibration gap is a loop over the bins."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p = rng.random(300).round(2)  # scores at the edges of bins and at 1
        y = rng.random(300) < p**2
        threshold = rng.choice([0.2, 0.5, 0.83])
        tn, fp, fn, tp = confusion_matrix(y, p >= threshold).ravel()
        share = [
            abs(sum(p[k] - y[k] for k in range(300) if min(int(p[k] * 10), 9) == b)) / 300 for b in range(10)
        ]
        precision = precision_score(y, p >= threshold)
        theirs = y.mean(), sum(share), fp / (fp + tn), fn / (fn + tp), precision
        if not np.allclose(code.audit(p, y, threshold), theirs):
            return False
    return True


CHECKS = {
    "dynamic_batching": queue_agrees,
    "drift_detection": drift_agrees,
    "canary": canary_agrees,
    "dp_sgd": privacy_agrees,
    "fairness_audit": audit_agrees,
    "pruning": pruning_agrees,
}
DEFECTS = [
    ("dynamic_batching", ("first + largest)", "first + largest + 1)")),
    ("dynamic_batching", ("max(free, min", "(min")),
    ("dynamic_batching", ("min(full, times", "max(full, times")),
    ("drift_detection", ("np.sort(b), both, \"right\"", "np.sort(b), both, \"left\"")),
    ("drift_detection", ("np.log(q / p)", "np.log(p / q)")),
    ("drift_detection", ("(q - p) * np", "q * np")),
    ("drift_detection", ("/ (len(a) + len(b))", "/ len(a)")),
    ("canary", ("n, GOOD)) + 1", "n, GOOD))")),
    ("canary", ("(1 - BAD) / (1 - GOOD)", "BAD / GOOD")),
    ("canary", ("[:, n - 1] - 1, n", "[:, n - 1], n")),
    ("dp_sgd", ("-mu / 2 - epsilon / mu", "-mu / 2 + epsilon / mu")),
    ("dp_sgd", ("mu**2 / 2 + mu", "mu**2 + mu")),
    ("dp_sgd", (".square().sum(1).sqrt()", ".abs().sum(1)")),
    ("dp_sgd", ("sigma * clip * torch", "sigma * torch")),
    ("fairness_audit", ("p >= threshold", "p > threshold")),
    ("fairness_audit", ("alarm[~y].mean()", "1 - y[alarm].mean()")),
    ("fairness_audit", ("p - y, minlength", "np.abs(p - y), minlength")),
    ("pruning", ("w.abs() > w.abs()", "w > w.abs()")),
    ("pruning", (".view(10, -1, 16)[:, b]", ".view(10, 16, -1)[:, :, b]")),
    ("pruning", ("[b][:, a]", "[b][:, :keep1]")),
]  # fmt: skip


@pytest.mark.parametrize("technique", CHECKS)
def test_agrees_with_the_oracle(technique):
    assert CHECKS[technique](load(technique))


@pytest.mark.parametrize(("technique", "defect"), DEFECTS, ids=str)
def test_a_planted_defect_is_noticed(technique, defect):
    assert not CHECKS[technique](load(technique, defect))
