"""Oracles for attacks and certificates: foolbox, closed forms on linear models, brute force."""

import warnings

import foolbox
import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm
from snippet_functions import load_functions
from torch import nn

TOPIC = "adversarial-attacks"


@pytest.fixture(autouse=True)
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def problem(seed, n=12):
    """A small CNN in the snippets' shapes with one member, images and its own predictions."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 4), nn.ReLU(),
        nn.Conv2d(16, 10, 1), nn.Unflatten(1, (1, 10)), nn.Flatten(2),
    )  # fmt: skip
    for parameter in net.parameters():
        parameter.data *= 2
    x = torch.rand(n, 1, 8, 8)
    return net, x, net(x).argmax(-1)


def in_foolbox(net):
    return foolbox.PyTorchModel(nn.Sequential(net, nn.Flatten(1)).eval(), bounds=(0, 1))


def l2(z, x):
    return (z - x).flatten(1).square().sum(1).sqrt()


def run_foolbox(attack, net, x, y, eps=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return attack(in_foolbox(net), x, y.flatten(), epsilons=eps)[1]


def fgsm_and_pgd_agree(code) -> None:
    for seed in range(2):
        net, x, y = problem(seed)
        for eps in (0.02, 0.7):
            attack = foolbox.attacks.LinfFastGradientAttack()
            expected = run_foolbox(attack, net, x, y, eps)
            torch.testing.assert_close(code.fgsm(net, x, y, eps), expected)
            attack = foolbox.attacks.LinfPGD(
                abs_stepsize=eps / 4, steps=9, random_start=False
            )
            expected = run_foolbox(attack, net, x, y, eps)
            ours = code.pgd(net, x, y, eps, eps / 4, 9, torch.zeros_like(x))
            torch.testing.assert_close(ours.detach(), expected)


def test_fgsm_and_pgd():
    fgsm_and_pgd_agree(load_functions(f"{TOPIC}/fgsm_and_pgd"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("eps * gradient.sign()", "eps * gradient"),
        ("(x + eps * gradient.sign()).clamp(0, 1)", "(x + eps * gradient.sign())"),
        ("z.detach() + step", "z.detach() - step"),
        ("z.clamp(x - eps, x + eps).clamp(0, 1)", "z.clamp(0, 1)"),
        ("z.clamp(x - eps, x + eps).clamp(0, 1)", "z.clamp(x - eps, x + eps)"),
        ("loss(net, z, y), z)", "loss(net, x + 0 * z, y), z)"),
    ],
)
def test_fgsm_and_pgd_catch_defects(old, new):
    with pytest.raises(AssertionError):
        fgsm_and_pgd_agree(load_functions(f"{TOPIC}/fgsm_and_pgd", defect=(old, new)))


def linear(seed, n=20):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(1), nn.Linear(64, 10), nn.Unflatten(1, (1, 10)))
    x = torch.rand(n, 1, 8, 8) * 0.1 + 0.45  # far from 0 and 1, so clipping does nothing
    f, w = net(x)[:, 0], net[1].weight
    y = f.argmax(1)
    gap = f.gather(1, y[:, None]) - f  # (n, 10)
    length = (w[y][:, None] - w).square().sum(2).sqrt()
    away = torch.ones_like(gap).scatter(1, y[:, None], 0).bool()
    distance = (gap / length).masked_fill(~away, torch.inf).amin(1)  # the closed form
    return net, x, y[:, None], distance.detach()


def deepfool_agrees(code) -> None:
    for seed in range(3):
        net, x, y, distance = linear(seed)
        ours = code.deepfool(net, x, y)
        torch.testing.assert_close(l2(ours, x), 1.02 * distance, atol=3e-4, rtol=0)
        net, x, y = problem(seed)
        ours = code.deepfool(net, x, y, steps=30)
        attack = foolbox.attacks.L2DeepFoolAttack(steps=30, candidates=None)
        expected = run_foolbox(attack, net, x, y)
        assert (net(ours).argmax(-1) != y).all()
        assert ours.min() >= 0 and ours.max() <= 1
        gap = (l2(ours, x) / l2(expected, x) - 1).abs()
        assert gap.median() < 0.02


def test_deepfool():
    deepfool_agrees(load_functions(f"{TOPIC}/minimum_norm"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("norm).argmin(-1)", "norm).argmin(-1) * 0 + (y + 1) % 10"),
        ("norm).argmin(-1)", "1).argmin(-1)"),
        ("/ norm**2)", "/ norm)"),
        ("1.02 *", "1.2 *"),
        ("w = w - w[own].view(*y.shape, 1, -1)", "pass"),
        (" * alive", ""),
    ],
)
def test_deepfool_catches_defects(old, new):
    with pytest.raises(AssertionError):
        deepfool_agrees(load_functions(f"{TOPIC}/minimum_norm", defect=(old, new)))


def carlini_wagner_agrees(code) -> None:
    net, x, y, distance = linear(0)
    constants = tuple(10.0 ** np.arange(-2.5, 0.6, 0.5))
    ours = code.carlini_wagner(net, x, y, constants, steps=80)
    ratio = l2(ours, x) / distance
    assert (net(ours).argmax(-1) != y).all()
    assert (
        ratio.min() > 1 - 1e-9 and ratio.median() < 1.15
    )  # no attack can beat the distance


def carlini_wagner_agrees_with_foolbox(code) -> None:
    net, x, y = problem(1, 8)
    ours = code.carlini_wagner(net, x, y, (0.03, 0.1, 0.3, 1.0, 3.0), steps=80)
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=5, steps=80, stepsize=0.1, initial_const=0.1
    )
    expected = run_foolbox(attack, net, x, y)
    assert (net(ours).argmax(-1) != y).all()
    assert 0.8 < (l2(ours, x) / l2(expected, x)).median() < 1.15


@pytest.mark.parametrize(
    "check", [carlini_wagner_agrees, carlini_wagner_agrees_with_foolbox]
)
def test_carlini_wagner(check):
    check(load_functions(f"{TOPIC}/minimum_norm"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("better = (margin < 0) & (d < size)", "better = d < size"),
        ("(d + c * margin.clamp(0))", "(c * margin.clamp(0))"),
        ("f.masked_fill(own, -torch.inf).amax(-1)", "f.amax(-1)"),
    ],
)
def test_carlini_wagner_catches_defects(old, new):
    with pytest.raises(AssertionError):
        carlini_wagner_agrees(load_functions(f"{TOPIC}/minimum_norm", defect=(old, new)))


def certificate_agrees(code) -> None:
    """Linear, two classes: the smoothed classifier is the linear one, its radius its distance."""
    torch.manual_seed(0)
    w, sigma, n, alpha = torch.randn(64), 0.3, 500, 0.001

    def net(x):
        f = (x.flatten(-2) - 0.5) @ w
        return torch.stack([f, -f], -1)

    x = 0.5 + 0.05 * torch.randn(60, 2, 8, 8)
    distance = ((x.flatten(-2) - 0.5) @ w).abs() / w.square().sum().sqrt()
    top, radius = code.certify(net, x, sigma, n0=100, n=n, alpha=alpha)
    sure = radius > 0
    assert 20 < sure.sum() < 120 and (radius[~sure] == -1).all()
    assert (radius <= distance)[sure].all()  # never more than the truth
    assert (top == net(x).argmax(-1))[sure].all()
    middle = sure & (distance < sigma)  # and not much less
    assert (distance - radius)[middle].median() < 0.5 * sigma
    # the bound itself, against scipy's exact interval
    torch.manual_seed(5)
    top, radius = code.certify(net, x[:20], sigma, n0=20, n=n, alpha=alpha)
    torch.manual_seed(5)
    code.votes(net, x[:20], sigma, 20)
    hits = code.votes(net, x[:20], sigma, n).gather(-1, top[..., None]).flatten().tolist()
    for k, r in zip(hits, radius.flatten().tolist()):
        test = binomtest(k, n, alternative="greater")
        p = test.proportion_ci(1 - alpha, method="exact").low
        assert r == pytest.approx(sigma * norm.ppf(p) if p > 0.5 else -1, abs=1e-9)


def test_certificate():
    certificate_agrees(load_functions(f"{TOPIC}/randomized_smoothing"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("beta.ppf(alpha, k, n - k + 1)", "k / n"),
        ("beta.ppf(alpha, k, n - k + 1)", "beta.ppf(1 - alpha, k, n - k + 1)"),
        ("beta.ppf(alpha, k, n - k + 1)", "beta.ppf(alpha, k + 1, n - k + 1)"),
        ("sigma * torch.from_numpy(norm", "torch.from_numpy(norm"),
        ("torch.where(p > 0.5, radius, -1.0)", "radius"),
        ("votes(net, x, sigma, n).gather", "votes(net, x, 0, n).gather"),
    ],
)
def test_certificate_catches_defects(old, new):
    with pytest.raises(AssertionError):
        certificate_agrees(
            load_functions(f"{TOPIC}/randomized_smoothing", defect=(old, new))
        )


def attack_stays_in_the_ball(code) -> None:
    net, x, y = problem(0)
    radius = torch.rand(y.shape)
    radius[0] = 0
    moved = l2(code.attack(net, x, y, radius, 0.0), x)
    assert (moved <= radius[:, 0] + 1e-9).all() and (moved > 0.9 * radius[:, 0])[1:].all()
    w, x = torch.randn(64), torch.rand(5, 1, 8, 8)  # linear: straight along the gradient

    def line(x):
        f = x.flatten(-2) @ w
        return torch.stack([f, -f], -1)

    z = code.attack(line, x, torch.zeros(5, 1).long(), torch.ones(5, 1), 0.0)
    torch.testing.assert_close(
        (z - x).flatten(1), (-w / w.square().sum().sqrt()).expand(5, 64), atol=1e-6, rtol=0
    )


def test_attack_on_the_vote():
    attack_stays_in_the_ball(load_functions(f"{TOPIC}/randomized_smoothing"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(r / d.square()", "(2 * r / d.square()"),
        ("(d + r", "(d - r"),
        (".nan_to_num(0)", ""),
    ],
)
def test_attack_on_the_vote_catches_defects(old, new):
    with pytest.raises(AssertionError):
        code = load_functions(f"{TOPIC}/randomized_smoothing", defect=(old, new))
        attack_stays_in_the_ball(code)


def bounds_are_sound_and_exact_for_one_layer(code) -> None:
    for seed in range(3):
        net, x, y = problem(seed, 6)
        eps = 0.05
        low, high = code.bounds(net, x - eps, x + eps)
        for _ in range(300):
            f = net(x + eps * torch.randn_like(x).sign())
            assert (low <= f + 1e-9).all() and (f <= high + 1e-9).all()
        exact, spread = net[0](x), eps * net[0].weight.abs().sum((1, 2, 3))
        low, high = code.bounds(
            net[:1], x - eps, x + eps
        )  # eps ||w||_1 inside, less at borders
        inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
        for side, sign in (low, -1), (high, 1):
            expected = (exact + sign * spread[:, None, None])[inner]
            torch.testing.assert_close(side[inner], expected)
        worst = code.worst_logits(net, x, y, eps)[:, 0]
        low, high = code.bounds(net, (x - eps).clamp(0, 1), (x + eps).clamp(0, 1))
        for n, k in enumerate(y.flatten()):
            for j in range(10):
                assert worst[n, j] == (low if j == k else high)[n, 0, j]


def test_interval_bounds():
    bounds_are_sound_and_exact_for_one_layer(load_functions(f"{TOPIC}/interval_bounds"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("layer.weight.abs()", "layer.weight"),
        ("(high - low) / 2", "(high - low) / 3"),
        ("center - spread, center + spread", "center - spread, center + 2 * spread"),
        ("bool(), low, high)", "bool(), high, low)"),
    ],
)
def test_interval_bounds_catch_defects(old, new):
    with pytest.raises(AssertionError):
        code = load_functions(f"{TOPIC}/interval_bounds", defect=(old, new))
        bounds_are_sound_and_exact_for_one_layer(code)


def test_linear_fgsm_is_the_worst_corner():
    """Ten dimensions: all 1024 corners can be tried."""
    code = load_functions(f"{TOPIC}/linear_worst_case")
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 10)
    for seed in range(5):
        torch.manual_seed(seed)
        w, b, x = torch.randn(10), torch.randn(()), torch.rand(4, 10)
        y = torch.tensor([1.0, -1.0, 1.0, -1.0])
        score = lambda z, w=w, b=b: z @ w + b
        ours = y * score(code.fgsm(score, x, y, 0.3))
        worst = (y[:, None] * score(x[:, None] + 0.3 * corners)).amin(1)
        torch.testing.assert_close(ours, worst)
