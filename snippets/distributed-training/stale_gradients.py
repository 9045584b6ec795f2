"""Gradients tau steps old divide the stable learning rate by about (4 tau + 2) / pi.

An asynchronous parameter server applies gradients of old weights. On a curvature h
the step is w(t+1) = w(t) - lr * h * w(t - tau), stable for lr * h up to
2 sin(pi / (4 tau + 2)).
"""

import math

import torch

torch.set_default_dtype(torch.float64)


def descend(rate, tau, steps=4000, seed=0):
    """Largest weight over the last tenth of the steps; rate = lr * h."""
    torch.manual_seed(seed)
    old = (1 + torch.rand(tau + 1)).tolist()  # w(t - tau), ..., w(t)
    trace = []
    for _ in range(steps):
        old = old[1:] + [old[-1] - rate * old[0]]
        trace.append(abs(old[-1]))
    return max(trace[-steps // 10 :])


seeds = 5
print(f"staleness, largest stable lr x curvature ({seeds} starts)")
for tau in (0, 1, 2, 4, 8):
    limit = 2 * math.sin(math.pi / (4 * tau + 2))
    for seed in range(seeds):
        assert descend(0.97 * limit, tau, seed=seed) < 0.1  # dies out
        assert descend(1.03 * limit, tau, seed=seed) > 100  # explodes
    print(f"tau = {tau}: {limit:.2f}")
