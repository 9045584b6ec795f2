"""Distillation: SciPy's KL divergence, finite differences, scikit-learn and brute force."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import rel_entr, softmax
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import log_loss

from tests.oracles.oracle import Defect, Oracle, agree

# --- the loss and its gradients --------------------------------------------------------


def distillation_loss(code):
    rng = np.random.default_rng(0)
    for _ in range(50):
        n, k = rng.integers(1, 20), rng.integers(2, 12)
        T, alpha = rng.uniform(0.5, 20), rng.uniform()
        z, v = rng.normal(size=(2, n, k)) * rng.choice([0.1, 1, 5])
        y = rng.integers(k, size=n)
        soft = rel_entr(softmax(v / T, 1), softmax(z / T, 1)).sum(1).mean()
        labels = log_loss(y, softmax(z, 1), labels=range(k))
        student, teacher = (torch.tensor(u, requires_grad=True) for u in (z, v))
        loss = code.distillation_loss(student, teacher, torch.tensor(y), T, alpha)
        agree(loss, alpha * T * T * soft + (1 - alpha) * labels)
        loss.backward()
        assert teacher.grad is None


def logits():
    for T in (0.7, 1.0, 3.0, 30.0) * 3:
        yield *3 * torch.randn(2, 4, 6), T


def soft_gradient(z, v, T):
    """Finite differences of SciPy's divergence."""

    def kl(z):
        return rel_entr(softmax(v.numpy() / T, 1), softmax(z.numpy() / T, 1)).sum(1).mean()

    slope, eps = torch.zeros_like(z), 1e-5
    for place in np.ndindex(z.shape):
        step = torch.zeros_like(z)
        step[place] = eps
        slope[place] = (kl(z + step) - kl(z - step)) / (2 * eps)
    return slope


def matching_gradient(code):
    """Of half the squared distance over K; the limit of large T."""
    for z, v, _ in logits():
        w = z.clone().requires_grad_()
        gap = (w - w.mean(1, keepdim=True)) - (v - v.mean(1, keepdim=True))
        (gap.square().sum(1) / (2 * 6)).mean().backward()
        agree(code.matching_gradient(z, v), w.grad)
        agree(1e10 * code.soft_gradient(z, v, 1e5), w.grad, 1e-4)


# --- targets ---------------------------------------------------------------------------


def rivals(code):
    for _ in range(10):
        x, seen, z = torch.rand(12, 3, 3), torch.rand(20, 9), torch.randn(12, 5)
        y, own = torch.arange(12) % 5, torch.arange(20) % 5
        rival, second = code.rival(x, y, seen, own), code.second_choice(z, y)
        for i in range(12):
            others = [j for j in range(20) if own[j] != y[i]]
            nearest = min(others, key=lambda j: (x[i].flatten() - seen[j]).square().sum().item())
            assert rival[i] == own[nearest]
            assert second[i] == max((k for k in range(5) if k != y[i]), key=lambda k: z[i, k].item())


def level(code):
    for p in (torch.randn(50, 3, 10).softmax(2), torch.eye(10), torch.full((1, 10), 0.1)):
        q = code.level(p)
        agree(q.sum(-1), torch.ones(p.shape[:-1]))
        agree(q.amax(-1), p.amax(-1))
        assert (q.argmax(-1) == p.argmax(-1)).all()
        assert (q.sort(-1).values[..., :9].std(-1) < 1e-12).all()


def smooth(code):
    z, y = torch.randn(40, 7), torch.randint(7, (40,))
    for epsilon in (0.0, 0.1, 0.3, 1.0):
        targets = code.smooth(F.one_hot(y, 7).double(), epsilon)
        want = F.cross_entropy(z, y, label_smoothing=epsilon, reduction="none")
        agree(F.cross_entropy(z, targets, reduction="none"), want)


def confident_predictions():
    rng = np.random.default_rng(0)
    for trial in range(40):
        n, bins = rng.integers(1, 60), int(rng.integers(2, 20))
        p = np.eye(5)[rng.integers(5, size=n)] if trial % 5 == 4 else rng.dirichlet(np.full(5, 0.4), n)
        yield torch.tensor(p), torch.randint(5, (n,)), bins


def ece(p, y, bins):
    total = 0.0
    for k in range(bins):
        inside = [i for i, q in enumerate(p) if min(int(q.max() * bins), bins - 1) == k]
        total += abs(sum(p[i].max() - (p[i].argmax() == y[i]).double() for i in inside)) / len(y)
    return total


# --- features, rounds, networks side by side -------------------------------------------


def attention(a):
    """Image by image, place by place; nowhere active: nothing."""
    flat = torch.zeros(*a.shape[:2], 16)
    for i, j, place in np.ndindex(flat.shape):
        flat[i, j, place] = sum(channel.flatten()[place] ** 2 for channel in a[i, j])
    return flat / flat.square().sum(2, keepdim=True).sqrt().clamp(min=1e-12)


def distill(code):
    for _ in range(4):
        x, new, target = torch.randn(30, 50), torch.randn(9, 50), torch.randn(30, 4)
        w, U = torch.linalg.eigh(x @ x.T)
        fitted = target
        for rounds in range(1, 6):
            model = KernelRidge(alpha=20.0, kernel="linear").fit(x, fitted)
            fitted = model.predict(x)
            agree(new @ x.T @ code.distill(w, U, target, rounds, 20.0), model.predict(new))


def networks_share_nothing(code):
    net, x = code.cnn(4, 3), torch.rand(5, 4, 8, 8)
    for member in range(4):
        changed = x.clone()
        changed[:, member] += 1
        moved = (net(changed) - net(x)).abs().amax((0, 2)) > 0
        assert moved.tolist() == [m == member for m in range(4)]


ORACLES = [
    Oracle(
        "kl_div_arguments",
        distillation_loss,
        defects=[
            Defect("alpha * T**2 * soft", "alpha * soft"),  # T^2 dropped
            Defect("alpha * T**2 * soft", "alpha * T * soft"),
            Defect("F.kl_div(log_q, p, reduction", "F.kl_div(p.log(), log_q.exp(), reduction"),  # swapped
            Defect("F.kl_div(log_q, p, reduction", "F.kl_div(log_q.exp(), p, reduction"),  # no log
            Defect('p, reduction="batchmean")', 'p, reduction="mean")', where="distillation_loss"),
            Defect("v.detach()", "v"),  # a gradient reaches the teacher
            Defect("(z / T).log_softmax(1)", "z.log_softmax(1)"),
            Defect("(1 - alpha) * F", "alpha * F"),
        ],
    ),
    Oracle(
        "kl_div_arguments",
        function="kl",
        reference=lambda p, q: rel_entr(p.numpy(), q.numpy()).sum(1).mean(),
        cases=lambda: [torch.randn(2, n, k).softmax(2) for n in (1, 3, 9, 20) for k in range(2, 13)],
        defects=[Defect("(p * (p / q).log())", "(q * (q / p).log())")],
    ),
    Oracle(
        "temperature_squared",
        function="soft_gradient",
        reference=soft_gradient,
        cases=logits,
        defects=[
            Defect("(T * len(z))", "len(z)"),
            Defect("(T * len(z))", "(T**2 * len(z))"),
            Defect("(z / T).softmax(1) - (v / T)", "(v / T).softmax(1) - (z / T)"),
        ],
    ),
    Oracle(
        "temperature_squared",
        matching_gradient,
        defects=[
            Defect("u - u.mean(1, keepdim=True)", "u"),
            Defect("u.mean(1, keepdim=True)", "u.mean(0, keepdim=True)"),
            Defect("(z.shape[1] * len(z))", "len(z)"),
        ],
    ),
    Oracle(
        "soft_targets",
        rivals,
        defects=[
            Defect("y[:, None] == own", "y[:, None] != own"),
            Defect("distance.argmin(1)", "distance.argmax(1)"),
            Defect("-torch.inf", "0.0"),
        ],
    ),
    Oracle(
        "absent_class",
        level,
        defects=[Defect("(1 - top) / 9", "(1 - top) / 10"), Defect("p == top, top,", "p == top, p.amax(),")],
    ),
    Oracle(
        "label_smoothing_teacher",
        smooth,
        defects=[
            Defect("(1 - epsilon) * p", "p"),
            Defect("epsilon / p.shape[-1]", "epsilon / (p.shape[-1] - 1)"),
        ],
    ),
    Oracle(
        "same_images",
        function="ece",
        reference=ece,
        cases=confident_predictions,
        defects=[
            Defect(".abs().sum() / len(y)", ".sum().abs() / len(y)"),
            Defect(".long().clamp", ".round().long().clamp"),
        ],
    ),
    Oracle(
        "feature_distillation",
        function="attention",
        reference=attention,
        cases=lambda: [(torch.randn(3, 2, 5, 4, 4),), (torch.zeros(1, 1, 2, 4, 4),)],
        defects=[Defect("a.square()", "a"), Defect(".sum(-3)", ".sum(-3).sqrt()")],
    ),
    Oracle(
        "self_distillation",
        distill,
        defects=[
            Defect("** (rounds - 1)", "** rounds"),
            Defect("(w / (w + ridge)) **", "(1 / (w + ridge)) **"),
        ],
    ),
    Oracle(
        ["absent_class", "label_smoothing_teacher", "same_images", "teacher_strength"],
        networks_share_nothing,
        defects=[
            Defect("10 * M, 4, groups=M", "10 * M, 4"),
            Defect("nn.Unflatten(1, (M, 10))", "nn.Unflatten(1, (M, 10)), nn.Softmax(1)"),
        ],
    ),
]
