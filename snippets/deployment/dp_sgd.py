"""DP-SGD clips each sample's gradient and adds noise. For full-batch steps the privacy
loss is exact; privacy costs accuracy and takes the edge off membership inference.

Abadi and others, CCS 2016. Digits, about 600 members, a tenth mislabeled; x (n, 65).
"""

import math
import torch
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch.func import grad, vmap
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def exact_delta(epsilon, mu):
    """Gaussian mechanism, sensitivity / noise = mu (Balle and Wang, 2018)."""
    a, b = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
    return norm.cdf(a) - math.exp(epsilon + norm.logcdf(b))


def exact_epsilon(mu, delta=1e-5):
    return brentq(lambda e: exact_delta(e, mu) - delta, 0, 200)


def renyi_epsilon(mu, delta=1e-5):
    """min over alpha of alpha mu^2 / 2 + ln(1 / delta) / (alpha - 1) (Mironov 2017)."""
    return mu**2 / 2 + mu * math.sqrt(2 * math.log(1 / delta))


def private_sum(w, x, y, clip, sigma):
    """Clipped gradients plus noise; one sample moves the sum by at most clip."""
    g = vmap(grad(lambda w, x, y: F.cross_entropy(x @ w, y)), (None, 0, 0))(w, x, y)
    size = g.flatten(1).square().sum(1).sqrt().view(-1, 1, 1)  # g (n, 65, 10)
    total = (g * (clip / size.clamp(min=clip))).sum(0)
    return total + sigma * clip * torch.randn_like(w)


def run(seed, sigma, clip=0.5, rate=2.5, steps=40, n=600):
    """Test accuracy; ROC AUC of the loss as a sign of membership, mislabeled only."""
    torch.manual_seed(seed)
    member, wrong = torch.rand(2, len(x)) < torch.tensor([[n / len(x)], [0.1]])
    y = torch.where(wrong, (truth + torch.randint(1, 10, (len(x),))) % 10, truth)
    if sigma is None:  # ordinary training, to the end
        fit = LogisticRegression(C=10, solver="newton-cholesky", tol=1e-8)
        fit.fit(x[member], y[member])
        logits = torch.tensor(fit.decision_function(x))
    else:
        w = torch.zeros(65, 10)
        for _ in range(steps):
            w -= rate / n / clip * private_sum(w, x[member], y[member], clip, sigma)
        logits = x @ w
    loss = F.cross_entropy(logits, y, reduction="none")
    accuracy = (logits.argmax(1) == truth)[~member].double().mean()
    return accuracy.item(), roc_auc_score(member[wrong], -loss[wrong])


data = load_digits()
x = torch.tensor(data.data) / 16
x, truth = torch.cat([x, torch.ones(len(x), 1)], 1), torch.tensor(data.target)
print("5 seeds, delta 1e-5   accuracy   membership AUC  bound")
rows = {}
for sigma in (None, 0, 5, 20):
    name, bound = "no noise, clipped" if sigma == 0 else "ordinary training", ""
    if sigma:
        mu = math.sqrt(40) / sigma  # 40 Gaussian steps are one with this mu
        name, bound = f"epsilon {exact_epsilon(mu):.1f}", norm.cdf(mu / math.sqrt(2))
        assert exact_epsilon(mu) < renyi_epsilon(mu)
    rows[sigma] = accuracy, auc = list(zip(*(run(seed, sigma) for seed in range(5))))
    print(
        f"{name:20s}  {min(accuracy):.2f}-{max(accuracy):.2f}  {min(auc):.2f}-"
        f"{max(auc):.2f}       {bound and round(bound, 2)}"
    )
assert min(rows[None][1]) > 0.8 and max(rows[5][1]) < 0.7
assert sum(rows[20][0]) < sum(rows[5][0]) - 5 * 0.03
