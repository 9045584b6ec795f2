"""Deployment: queueing theory, brute force, SciPy's statistics, closed forms."""

import itertools
import math
from operator import mul

import numpy as np
import torch
from scipy.stats import binom, binomtest, entropy, ks_2samp, norm
from sklearn.metrics import confusion_matrix, precision_score
from torch.nn import functional as F

from tests.oracles.oracle import Defect, Oracle, agree


def queue(arrivals, largest, wait, service):
    """The same policy, found by looking at every request's clock: slow and plain."""
    latency, waiting, free = np.empty(len(arrivals)), list(range(len(arrivals))), 0.0
    while waiting:
        head = waiting[:largest]
        enough = arrivals[head[-1]] if len(head) == largest else arrivals[-1]
        start = max(free, min(enough, arrivals[head[0]] + wait))
        batch = [k for k in head if arrivals[k] <= start]
        free = start + service(len(batch))
        for k in batch:
            latency[k] = free - arrivals[k]
            waiting.remove(k)
    return latency


def simulate(code):
    """By brute force on many streams; the mean for batches of one is Pollaczek's."""
    policies = (1, 0.0), (4, 0.0), (4, 0.02), (8, math.inf), (3, 0.005)
    for seed, (largest, wait) in itertools.product(range(30), policies):
        arrivals = code.poisson((20, 100, 400)[seed % 3], 40 if seed else 1, seed)
        agree(code.simulate(arrivals, largest, wait), queue(arrivals, largest, wait, code.service))
    rate, s = 60, code.service(1)
    mean = np.mean([code.simulate(code.poisson(rate, 20_000, k), 1).mean() for k in range(4)])
    assert abs(mean / (s + rate * s * s / (2 * (1 - rate * s))) - 1) < 0.03


def drift(code):
    """KS: SciPy's distance, Kolmogorov's series; PSI: both Kullback-Leibler divergences of the bin shares."""
    rng, k = np.random.default_rng(0), np.arange(1, 101)
    sizes = (50, 300, 0.0), (200, 300, 0.3), (31, 77, 1.0), (400, 100, -0.2), (1, 20, 9.0)
    for (n, m, shift), ties in itertools.product(sizes, (False, True)):
        a, b = rng.normal(size=m), shift + rng.normal(size=n)
        if ties:
            a, b = a.round(1), b.round(1)
        distance = ks_2samp(a, b).statistic
        x = distance * math.sqrt(n * m / (n + m))
        agree(code.ks(a, b), (distance, 2 * ((-1.0) ** (k - 1) * np.exp(-2 * (k * x) ** 2)).sum()))
        edges = [-np.inf, *np.quantile(a, np.arange(1, 10) / 10), np.inf]
        pairs = list(itertools.pairwise(edges))
        u, v = ([((low < z) & (z <= high)).sum() + 0.5 for low, high in pairs] for z in (a, b))
        agree(code.psi(a, b), entropy(u, v) + entropy(v, u))


# --- canary ----------------------------------------------------------------------------


def fixed_size():
    """SciPy's exact test, enlarged until its power is enough."""
    n, critical, power = 90, 0, 0.0
    while power < 0.95:
        n += 10
        while binomtest(critical, n, 0.05, "greater").pvalue > 0.05:
            critical += 1
        power = binom.pmf(range(critical, n + 1), n, 0.07).sum()
    return n, critical


def errors():
    for rate in (0.0, 0.06, 1.0):
        yield (np.random.default_rng(0).random((20, 8000)) < rate,)


def sprt(errors):
    """Request by request."""
    ends = []
    for row in errors:
        odds = itertools.accumulate((0.07 / 0.05 if wrong else 0.93 / 0.95 for wrong in row), mul)
        ends.append(next((o > 1, k) for k, o in enumerate(odds, 1) if not 1 / 19 < o < 19))
    return list(zip(*ends, strict=True))


def peeking(errors):
    looks = range(50, errors.shape[1] + 1, 50)
    return [any(binomtest(row[:m].sum(), m, 0.05, "greater").pvalue < 0.05 for m in looks) for row in errors]


def budgets():
    return itertools.product((0.1, 1.0, 4.0), (0.3, 1.0, 2.5))


def exact_delta(epsilon, mu):
    """By integrating the densities of the mechanism's output with and without one sample."""
    z = np.linspace(-12, 12 + mu, 200_001)
    return np.trapezoid(np.clip(norm.pdf(z, mu) - math.exp(epsilon) * norm.pdf(z), 0, None), z)


def epsilons(code):
    """Renyi's is the least over a grid, above the exact one, at which delta is the given one."""
    alpha = 1 + np.logspace(-3, 4, 20_001)
    for mu, delta in itertools.product((0.3, 1.0, 2.5), (1e-5, 1e-2)):
        grid = (alpha * mu**2 / 2 + math.log(1 / delta) / (alpha - 1)).min()
        agree(code.renyi_epsilon(mu, delta), grid, 1e-6)
        assert code.exact_epsilon(mu, delta) <= grid
        agree(exact_delta(code.exact_epsilon(mu, delta), mu) / delta, 1, 1e-7)


def private_sum(code):
    """A loop over samples; the noise's deviation."""
    x, y, w = torch.randn(12, 65), torch.randint(10, (12,)), torch.randn(65, 10)
    for clip in (0.1, 5.0, 1e9):
        total = torch.zeros(65, 10)
        for k in range(12):
            leaf = w.clone().requires_grad_()
            F.cross_entropy(x[k : k + 1] @ leaf, y[k : k + 1]).backward()
            total += leaf.grad * min(1.0, clip / leaf.grad.norm().item())
        agree(code.private_sum(w, x, y, clip, 0), total)
    noise = code.private_sum(w, x, y, 0.5, 40.0) - code.private_sum(w, x, y, 0.5, 0)
    assert abs(noise.std() / 20 - 1) < 0.15


# --- audit and pruning -----------------------------------------------------------------


def scores():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p = rng.random(300).round(2)  # at the edges of bins ...
        p[:2] = 1, 0  # ... and at both ends
        yield p, rng.random(300) < p**2, rng.choice([0.2, 0.5, 0.83])


def audit(p, y, threshold):
    tn, fp, fn, tp = confusion_matrix(y, p >= threshold).ravel()
    bins = [[k for k in range(len(p)) if min(int(p[k] * 10), 9) == b] for b in range(10)]
    gap = sum(abs(sum(p[k] - y[k] for k in inside)) for inside in bins) / len(p)
    return y.mean(), gap, fp / (fp + tn), fn / (fn + tp), precision_score(y, p >= threshold)


def magnitude_masks(code):
    """The largest weights are kept, and every bias."""
    for sparsity in (0.3, 0.7, 0.95) * 5:
        net = code.network(6, 10)
        for w, mask in zip(net.parameters(), code.magnitude_masks(net, sparsity), strict=True):
            if w.dim() == 1:
                agree(mask, torch.ones_like(w))
                continue
            kept, gone = w[mask].abs(), w[~mask].abs()
            assert kept.min() >= gone.max() and abs(len(gone) / w.numel() - sparsity) <= 0.03


def remove_channels(code):
    """Equal to a network whose removed channels are zero."""
    for keep1, keep2 in [(3, 4), (1, 1), (6, 10)] * 5:
        net, x = code.network(6, 10), torch.rand(5, 1, 8, 8)
        small = code.remove_channels(net, keep1, keep2)
        with torch.no_grad():
            for layer, keep in ((net[0], keep1), (net[2], keep2)):
                norms = layer.weight.abs().sum((1, 2, 3))
                gone = norms.argsort()[: len(norms) - keep]
                layer.weight[gone] = layer.bias[gone] = 0
            agree(small(x), net(x))


ORACLES = [
    Oracle(
        "dynamic_batching",
        simulate,
        defects=[
            Defect("first + largest)", "first + largest + 1)"),
            Defect("max(free, min", "(min"),
            Defect("min(full, times", "max(full, times"),
        ],
    ),
    Oracle(
        "drift_detection",
        drift,
        defects=[
            Defect('np.sort(b), both, "right"', 'np.sort(b), both, "left"'),
            Defect("/ (len(a) + len(b))", "/ len(a)"),
            Defect("np.log(q / p)", "np.log(p / q)"),
            Defect("(q - p) * np", "q * np"),
        ],
    ),
    Oracle(
        "canary",
        function="fixed_size",
        reference=fixed_size,
        cases=lambda: [()],
        defects=[Defect("n, GOOD)) + 1", "n, GOOD))")],
    ),
    Oracle(
        "canary",
        function="sprt",
        reference=sprt,
        cases=errors,
        defects=[Defect("(1 - BAD) / (1 - GOOD)", "BAD / GOOD")],
    ),
    Oracle(
        "canary",
        function="peeking",
        reference=peeking,
        cases=lambda: [(rows[:, :500],) for (rows,) in errors()],
        defects=[Defect("[:, n - 1] - 1, n", "[:, n - 1], n")],
    ),
    Oracle(
        "dp_sgd",
        function="exact_delta",
        reference=exact_delta,
        cases=budgets,
        defects=[Defect("-mu / 2 - epsilon / mu", "-mu / 2 + epsilon / mu")],
    ),
    Oracle(
        "dp_sgd",
        epsilons,
        defects=[Defect("mu**2 / 2 + mu", "mu**2 + mu"), Defect("- delta, 0, 200", "- delta / 2, 0, 200")],
    ),
    Oracle(
        "dp_sgd",
        private_sum,
        defects=[
            Defect(".square().sum(1).sqrt()", ".abs().sum(1)"),
            Defect("sigma * clip * torch", "sigma * torch"),
        ],
    ),
    Oracle(
        "fairness_audit",
        function="audit",
        reference=audit,
        cases=scores,
        defects=[
            Defect("p >= threshold", "p > threshold"),
            Defect("alarm[~y].mean()", "1 - y[alarm].mean()"),
            Defect("p - y, minlength", "np.abs(p - y), minlength"),
        ],
    ),
    Oracle("pruning", magnitude_masks, defects=[Defect("w.abs() > w.abs()", "w > w.abs()")]),
    Oracle(
        "pruning",
        remove_channels,
        defects=[
            Defect(".view(10, -1, 16)[:, b]", ".view(10, 16, -1)[:, :, b]"),
            Defect("[b][:, a]", "[b][:, :keep1]"),
        ],
    ),
]
