"""Batching raises the capacity of a server, and near capacity the queue, not the model,
makes the latency. Waiting for full batches is slow when traffic is low.

A simulated queue: Poisson arrivals, one server, a batch of b takes 8 + b milliseconds
(assumed, not measured). Pollaczek-Khinchine gives the mean for batches of one.
"""

import bisect
import math
import matplotlib.pyplot as plt
import numpy as np


def service(b):
    return 0.008 + 0.001 * b  # seconds in the simulation: fixed cost plus cost each


def simulate(arrivals, largest, wait=0.0):
    """Latency of each request; a batch starts when full or after ``wait`` seconds."""
    times, latency = arrivals.tolist(), np.empty(len(arrivals))
    first, free = 0, 0.0
    while first < len(times):
        last = first + largest - 1
        full = times[last] if last < len(times) else times[-1]
        start = max(free, min(full, times[first] + wait))
        end = min(bisect.bisect_right(times, start), first + largest)
        free = start + service(end - first)
        latency[first:end] = free - arrivals[first:end]
        first = end
    return latency


def poisson(rate, n, seed):
    return np.random.default_rng(seed).exponential(1 / rate, n).cumsum()


policies = {
    "one at a time": (1, 0.0),
    "up to 32, no waiting": (32, 0.0),
    "full 32 only": (32, math.inf),
}
worst = {}
for rate in (20, 80, 105):  # requests per second; capacity one at a time: 111
    rho, s = rate * service(1), service(1)
    theory = s + rho * s / (2 * (1 - rho))
    print(f"{rate} requests/s, p99 in ms, min-max of 5 seeds; utilization {rho:.2f}")
    for name, policy in policies.items():
        runs = [simulate(poisson(rate, 20_000, k), *policy) for k in range(5)]
        p99 = [1000 * np.quantile(r, 0.99) for r in runs]
        worst[name, rate] = max(p99)
        print(f"  {name:21s} {min(p99):5.0f}-{max(p99):.0f}")
        if name == "one at a time" and rate < 100:
            assert abs(np.mean(runs) / theory - 1) < 0.03
assert worst["one at a time", 105] > 8 * worst["up to 32, no waiting", 105]
assert worst["full 32 only", 20] > 50 * worst["up to 32, no waiting", 20]

figure, axis = plt.subplots(figsize=(6, 3.6))
for (name, policy), style in zip(policies.items(), ("o-", "s--", "^:")):
    capacity = policy[0] / service(policy[0])
    rates = capacity * np.array([0.03, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98])
    p99 = [
        1000 * np.quantile(simulate(poisson(r, 20_000, 0), *policy), 0.99)
        for r in rates
    ]
    axis.plot(rates, p99, style, label=name)
axis.set(
    xscale="log",
    yscale="log",
    xlabel="requests per second (throughput)",
    ylabel="99th percentile of latency, ms",
)
axis.legend(), axis.grid(alpha=0.3), plt.tight_layout(), plt.show()
