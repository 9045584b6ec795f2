"""KS and PSI notice changed inputs without labels, but PSI's rule "alarm above 0.2"
raises false alarms on small windows: without drift PSI is about (B - 1)(1/n + 1/m).

Monitored: the top logit of a classifier of digits. Reference m = 1500, window of n.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import kolmogorov
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


def ks(a, b):
    """Largest gap between the two empirical distribution functions, and its p-value."""
    both = np.concatenate([a, b])
    fa = np.searchsorted(np.sort(a), both, "right") / len(a)
    fb = np.searchsorted(np.sort(b), both, "right") / len(b)
    d = np.abs(fa - fb).max()
    return d, kolmogorov(d * np.sqrt(len(a) * len(b) / (len(a) + len(b))))


def psi(reference, window, bins=10):
    """Sum of (q - p) ln(q / p) over bins with equal shares of the reference."""
    edges = np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1])
    p = np.bincount(np.searchsorted(edges, reference), minlength=bins) + 0.5
    q = np.bincount(np.searchsorted(edges, window), minlength=bins) + 0.5
    p, q = p / p.sum(), q / q.sum()  # the half avoids log 0
    return ((q - p) * np.log(q / p)).sum()


x, y = load_digits(return_X_y=True)
model = LogisticRegression(C=0.01, solver="newton-cholesky", tol=1e-8)
model.fit(x[:800], y[:800])
stream = x[800:]  # never seen by the model


def score(pictures):
    return model.decision_function(pictures).max(1)


def alarms(n, change, runs=200):
    """Shares of windows with an alarm by PSI > 0.2 and by KS at 1 %, and mean PSI."""
    rng, found = np.random.default_rng(n), []
    clean, changed = score(stream), score(change(stream))
    for _ in range(runs):
        reference, window = rng.choice(clean, 1500), rng.choice(changed, n)
        value = psi(reference, window)
        found.append((value > 0.2, ks(reference, window)[1] < 0.01, value))
    return np.mean(found, 0)


print("share of 200 windows with an alarm    PSI > 0.2   KS at 1 %")
changes = {
    "no drift": lambda x: x,
    "5 % dimmer": lambda x: 0.95 * x,
    "20 % dimmer": lambda x: 0.8 * x,
}
result = {}
for name, change in changes.items():
    for n in (50, 200, 1000):
        result[name, n] = a, b, mean = alarms(n, change)
        print(f"{name:12s} window {n:4d}                {a:.2f}        {b:.2f}")
        if name == "no drift":
            assert abs(mean / (9 * (1 / n + 1 / 1500)) - 1) < 0.15
assert (
    result["no drift", 50][0]
    > 0.2
    > 0.05
    > max(result["no drift", n][1] for n in (50, 200, 1000))
)
assert min(result["20 % dimmer", 200][:2]) > 0.95

rng = np.random.default_rng(0)
reference, weeks = rng.choice(score(stream), 1500), np.arange(40)
factors = np.clip(1 - 0.015 * (weeks - 19), None, 1)  # the lamp ages from week 20 on
windows = [rng.choice(score(f * stream), 200) for f in factors]
figure, axes = plt.subplots(2, 1, figsize=(6, 4.2), sharex=True)
axes[0].plot(weeks, [psi(reference, w) for w in windows], "o-")
axes[0].axhline(0.2, color="k", ls="--"), axes[0].set_ylabel("PSI")
axes[1].semilogy(weeks, [ks(reference, w)[1] for w in windows], "s-", color="tab:red")
axes[1].axhline(0.01, color="k", ls="--"), axes[1].set_ylabel("p-value of KS")
axes[1].set_xlabel("week (drift begins in week 20)")
for axis in axes:
    axis.axvline(19.5, color="0.6", ls=":")
plt.tight_layout(), plt.show()
