"""Oracles for distillation: scipy's KL, finite differences, scikit-learn and brute force."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import rel_entr, softmax
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import log_loss
from tests.snippet_functions import load_functions

TOPIC = "distillation"


def loss_agrees_with_scipy(code) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n, k = rng.integers(1, 20), rng.integers(2, 12)
        T, alpha = rng.uniform(0.5, 20), rng.uniform()
        z, v = rng.normal(size=(2, n, k)) * rng.choice([0.1, 1, 5])
        y = rng.integers(k, size=n)
        kl = rel_entr(softmax(v / T, 1), softmax(z / T, 1)).sum(1).mean()
        labels = log_loss(y, softmax(z, 1), labels=range(k))
        student, teacher = (torch.tensor(u, requires_grad=True) for u in (z, v))
        ours = code.distillation_loss(student, teacher, torch.tensor(y), T, alpha)
        assert ours.item() == pytest.approx(alpha * T * T * kl + (1 - alpha) * labels, rel=1e-6)
        ours.backward()
        assert teacher.grad is None
        p, q = rng.dirichlet(np.ones(k), (2, n))
        expected = rel_entr(p, q).sum(1).mean()
        assert code.kl(torch.tensor(p), torch.tensor(q)).item() == pytest.approx(expected)


def test_loss():
    loss_agrees_with_scipy(load_functions(f"{TOPIC}/kl_div_arguments"))


@pytest.mark.filterwarnings("ignore:reduction")  # torch's own word on "mean"
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("alpha * T**2 * soft", "alpha * soft"),  # T^2 dropped
        ("alpha * T**2 * soft", "alpha * T * soft"),
        ("F.kl_div(log_q, p, reduction", "F.kl_div(p.log(), log_q.exp(), reduction"),  # swapped
        ("F.kl_div(log_q, p, reduction", "F.kl_div(log_q.exp(), p, reduction"),  # no log
        ('p, reduction="batchmean")', 'p, reduction="mean")'),
        ("v.detach()", "v"),  # a gradient reaches the teacher
        ("(z / T).log_softmax(1)", "z.log_softmax(1)"),
        ("(1 - alpha) * F", "alpha * F"),
        ("(p * (p / q).log())", "(q * (q / p).log())"),
    ],
)
def test_loss_catches_defects(old, new):
    with pytest.raises(AssertionError):
        loss_agrees_with_scipy(load_functions(f"{TOPIC}/kl_div_arguments", defect=(old, new)))


def gradients_agree_with_finite_differences(code) -> None:
    for seed in range(10):
        torch.manual_seed(seed)
        z, v = 3 * torch.randn(2, 4, 6)
        T = (0.7, 1.0, 3.0, 30.0)[seed % 4]

        def kl(z):
            return torch.tensor(rel_entr(softmax(v.numpy() / T, 1), softmax(z.numpy() / T, 1)).sum(1).mean())

        eps = 1e-5
        ours = code.soft_gradient(z, v, T)
        for i, j in np.ndindex(*z.shape):
            step = torch.zeros_like(z)
            step[i, j] = eps
            slope = (kl(z + step) - kl(z - step)) / (2 * eps)
            torch.testing.assert_close(ours[i, j], slope, rtol=1e-5, atol=1e-8)
        # The limit of large T, and the gradient of half the squared distance over K.
        limit = code.matching_gradient(z, v)
        torch.testing.assert_close(1e10 * code.soft_gradient(z, v, 1e5), limit, rtol=1e-3, atol=1e-4)
        w = z.clone().requires_grad_()
        gap = (w - w.mean(1, keepdim=True)) - (v - v.mean(1, keepdim=True))
        (gap.square().sum(1) / (2 * 6)).mean().backward()
        torch.testing.assert_close(w.grad, limit)


def test_gradients():
    gradients_agree_with_finite_differences(load_functions(f"{TOPIC}/temperature_squared"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(T * len(z))", "len(z)"),
        ("(T * len(z))", "(T**2 * len(z))"),
        ("(z / T).softmax(1) - (v / T)", "(v / T).softmax(1) - (z / T)"),
        ("u - u.mean(1, keepdim=True)", "u"),
        ("u.mean(1, keepdim=True)", "u.mean(0, keepdim=True)"),
        ("(z.shape[1] * len(z))", "len(z)"),
    ],
)
def test_gradients_catch_defects(old, new):
    with pytest.raises(AssertionError):
        gradients_agree_with_finite_differences(
            load_functions(f"{TOPIC}/temperature_squared", defect=(old, new))
        )


def rivals_agree_with_brute_force(code) -> None:
    for seed in range(10):
        torch.manual_seed(seed)
        x, seen, z = torch.rand(12, 3, 3), torch.rand(20, 9), torch.randn(12, 5)
        y, own = torch.arange(12) % 5, torch.arange(20) % 5
        rival, second = code.rival(x, y, seen, own), code.second_choice(z, y)
        for i in range(12):
            others = [j for j in range(20) if own[j] != y[i]]
            nearest = min(others, key=lambda j: (x[i].flatten() - seen[j]).square().sum().item())
            assert rival[i] == own[nearest]
            assert second[i] == max((k for k in range(5) if k != y[i]), key=lambda k: z[i, k].item())


def test_rivals():
    rivals_agree_with_brute_force(load_functions(f"{TOPIC}/soft_targets"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("y[:, None] == own", "y[:, None] != own"), ("distance.argmin(1)", "distance.argmax(1)"),
     ("-torch.inf", "0.0")],
)  # fmt: skip
def test_rivals_catch_defects(old, new):
    with pytest.raises(AssertionError):
        rivals_agree_with_brute_force(load_functions(f"{TOPIC}/soft_targets", defect=(old, new)))


def targets_are_leveled(code) -> None:
    p = torch.randn(50, 3, 10).softmax(2)
    q = code.level(p)
    torch.testing.assert_close(q.sum(2), torch.ones(50, 3))
    torch.testing.assert_close(q.amax(2), p.amax(2))
    assert (q.argmax(2) == p.argmax(2)).all()
    assert (q.sort(2).values[..., :9].std(2) < 1e-12).all()


def labels_are_smoothed(code) -> None:
    z, y = torch.randn(40, 7), torch.randint(7, (40,))
    for epsilon in (0.0, 0.1, 0.3):
        ours = F.cross_entropy(z, code.smooth(F.one_hot(y, 7).double(), epsilon))
        torch.testing.assert_close(ours, F.cross_entropy(z, y, label_smoothing=epsilon))


def ece_agrees_with_brute_force(code) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        n, bins = rng.integers(1, 60), int(rng.integers(2, 20))
        p, y = rng.dirichlet(np.full(5, 0.4), n), rng.integers(5, size=n)
        expected = 0.0
        for k in range(bins):
            inside = [i for i in range(n) if min(int(p[i].max() * bins), bins - 1) == k]
            hits = sum(p[i].argmax() == y[i] for i in inside)
            expected += abs(sum(p[i].max() for i in inside) - hits) / n
        assert code.ece(torch.tensor(p), torch.tensor(y), bins).item() == pytest.approx(expected)


def attention_agrees_with_brute_force(code) -> None:
    a = torch.randn(3, 2, 5, 4, 4)
    ours = code.attention(a)
    for i, j in np.ndindex(3, 2):
        flat = [sum(a[i, j, c, r, s].item() ** 2 for c in range(5)) for r, s in np.ndindex(4, 4)]
        flat = np.array(flat) / np.sqrt(sum(f * f for f in flat))
        np.testing.assert_allclose(ours[i, j].numpy(), flat)


def rounds_agree_with_sklearn(code) -> None:
    for seed in range(4):
        torch.manual_seed(seed)
        x, new, target = torch.randn(30, 50), torch.randn(9, 50), torch.randn(30, 4)
        w, U = torch.linalg.eigh(x @ x.T)
        fitted = target.numpy()
        for rounds in range(1, 6):
            model = KernelRidge(alpha=20.0, kernel="linear").fit(x.numpy(), fitted)
            fitted = model.predict(x.numpy())
            ours = new @ x.T @ code.distill(w, U, target, rounds, 20.0)
            np.testing.assert_allclose(ours.numpy(), model.predict(new.numpy()), atol=1e-9)


def networks_share_nothing(code) -> None:
    net, x = code.cnn(4, 3), torch.rand(5, 4, 8, 8)
    for member in range(4):
        changed = x.clone()
        changed[:, member] += 1
        moved = (net(changed) - net(x)).abs().amax((0, 2)) > 0
        assert moved.tolist() == [m == member for m in range(4)]


CHECKS = {
    targets_are_leveled: "absent_class",
    labels_are_smoothed: "label_smoothing_teacher",
    ece_agrees_with_brute_force: "same_images",
    attention_agrees_with_brute_force: "feature_distillation",
    rounds_agree_with_sklearn: "self_distillation",
    networks_share_nothing: "teacher_strength",
}


@pytest.mark.parametrize("check", CHECKS)
def test_part(check):
    check(load_functions(f"{TOPIC}/{CHECKS[check]}"))


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        (targets_are_leveled, "(1 - top) / 9", "(1 - top) / 10"),
        (targets_are_leveled, "p == top, top,", "p == top, p.amax(),"),
        (labels_are_smoothed, "(1 - epsilon) * p", "p"),
        (labels_are_smoothed, "epsilon / p.shape[-1]", "epsilon / (p.shape[-1] - 1)"),
        (ece_agrees_with_brute_force, ".abs().sum() / len(y)", ".sum().abs() / len(y)"),
        (ece_agrees_with_brute_force, ".long().clamp", ".round().long().clamp"),
        (attention_agrees_with_brute_force, "a.square()", "a"),
        (attention_agrees_with_brute_force, ".sum(-3)", ".sum(-3).sqrt()"),
        (rounds_agree_with_sklearn, "** (rounds - 1)", "** rounds"),
        (rounds_agree_with_sklearn, "(w / (w + ridge)) **", "(1 / (w + ridge)) **"),
        (networks_share_nothing, "10 * M, 4, groups=M", "10 * M, 4"),
        (networks_share_nothing, "nn.Unflatten(1, (M, 10)), nn.Flatten(2)",
         "nn.Unflatten(1, (M, 10)), nn.Flatten(2), nn.Softmax(1)"),
    ],
)  # fmt: skip
def test_part_catches_defects(check, old, new):
    with pytest.raises(AssertionError):
        check(load_functions(f"{TOPIC}/{CHECKS[check]}", defect=(old, new)))
