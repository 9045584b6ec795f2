"""Oracles for attacks and certificates: foolbox, closed forms on linear models, brute force."""

import warnings

import foolbox
import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm
from tests.snippet_functions import load_functions
from torch import nn

TOPIC = "adversarial-attacks"


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
            attack = foolbox.attacks.LinfPGD(abs_stepsize=eps / 4, steps=9, random_start=False)
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
    assert ratio.min() > 1 - 1e-9 and ratio.median() < 1.15  # no attack can beat the distance


def carlini_wagner_agrees_with_foolbox(code) -> None:
    net, x, y = problem(1, 8)
    ours = code.carlini_wagner(net, x, y, (0.03, 0.1, 0.3, 1.0, 3.0), steps=80)
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=5, steps=80, stepsize=0.1, initial_const=0.1
    )
    expected = run_foolbox(attack, net, x, y)
    assert (net(ours).argmax(-1) != y).all()
    assert 0.8 < (l2(ours, x) / l2(expected, x)).median() < 1.15


@pytest.mark.parametrize("check", [carlini_wagner_agrees, carlini_wagner_agrees_with_foolbox])
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
        certificate_agrees(load_functions(f"{TOPIC}/randomized_smoothing", defect=(old, new)))


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
        low, high = code.bounds(net[:1], x - eps, x + eps)  # eps ||w||_1 inside, less at borders
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


def linear_fgsm_is_the_worst_corner(code) -> None:
    """Ten dimensions: all 1024 corners can be tried."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 10)
    for seed in range(5):
        torch.manual_seed(seed)
        w, b, x = torch.randn(10), torch.randn(()), torch.rand(4, 10)
        y = torch.tensor([1.0, -1.0, 1.0, -1.0])
        score = lambda z, w=w, b=b: z @ w + b
        ours = y * score(code.fgsm(score, x, y, 0.3))
        worst = (y[:, None] * score(x[:, None] + 0.3 * corners)).amin(1)
        torch.testing.assert_close(ours, worst)


def test_linear_fgsm():
    linear_fgsm_is_the_worst_corner(load_functions(f"{TOPIC}/linear_worst_case"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("-y * score(x)", "y * score(x)"), ("[0].sign()", "[0]"), ("x + eps *", "x + eps / 2 *")],
)
def test_linear_fgsm_catches_defects(old, new):
    with pytest.raises(AssertionError):
        code = load_functions(f"{TOPIC}/linear_worst_case", defect=(old, new))
        linear_fgsm_is_the_worst_corner(code)


def step_by_step(net, x, y, eps, step, steps, points, start=None):
    """PGD along the sign of the summed gradients at points(z): pairs of an image and its slope."""
    z = x if start is None else start
    for _ in range(steps):
        total = torch.zeros_like(x)
        for point, slope in points(z):
            point = point.detach().requires_grad_()
            log_p = net(point).log_softmax(-1).gather(-1, y[..., None])
            total -= slope * torch.autograd.grad(log_p.sum(), point)[0]
        z = torch.minimum(torch.maximum(z + step * total.sign(), x - eps), x + eps).clamp(0, 1)
    return z


def adaptive_pgd_agrees(code) -> None:
    def draws(z):
        for _ in range(3):
            flip = torch.rand(()) < 0.5
            yield (1 - z if flip else z) + 0.1 * torch.randn_like(z), -1 if flip else 1

    net, x, y = problem(0, 6)
    for through, count, points in (
        (code.undefended, 1, lambda z: [(z, 1)]),
        (code.straight_through, 1, lambda z: [((4 * z).round() / 4, 1)]),
        (code.rounded, 1, lambda z: [(z, 0)]),  # a zero gradient moves nothing
        (code.randomized, 3, draws),
    ):
        torch.manual_seed(1)
        expected = step_by_step(net, x, y, code.eps, code.eps / 4, 10, points)
        torch.manual_seed(1)
        ours = code.pgd(net, x, y, through, count)
        torch.testing.assert_close(ours.detach(), expected)


def random_start_pgd_agrees(code) -> None:
    net, x, y = problem(0, 6)
    for eps, steps in (0.1, 3), (0.3, 8):
        torch.manual_seed(1)
        start = (x - eps + 2 * eps * torch.rand_like(x)).clamp(0, 1)
        expected = step_by_step(net, x, y, eps, 2.5 * eps / steps, steps, lambda z: [(z, 1)], start)
        torch.manual_seed(1)
        torch.testing.assert_close(code.pgd(net, x, y, eps, steps).detach(), expected)


def tempered_pgd_agrees(code) -> None:
    net, x, y = problem(0, 6)
    for T in (1, 20):
        ours, grads = code.gradient(net, x, y, T), torch.func.jacrev(lambda z: net(z)[:, 0])(x)
        p = (net(x)[:, 0] / T).softmax(1)
        p[torch.arange(6), y[:, 0]] -= 1
        own = grads[torch.arange(6), :, torch.arange(6)]  # (6, 10, 1, 8, 8)
        torch.testing.assert_close(ours, torch.einsum("nk,nkchw->nchw", p / T, own))
        expected = step_by_step(lambda z, T=T: net(z) / T, x, y, 0.2, 0.1, 5, lambda z: [(z, 1)])
        torch.testing.assert_close(code.pgd(net, x, y, 0.2, T, 5), expected)


ATTACKS = {
    "input_transformations": (adaptive_pgd_agrees, [
        ("(rounded(z) - z).detach()", "(rounded(z) - z)"),
        ("y.repeat(draws, 1)", "y.repeat_interleave(draws, 0)"),
        ("(z * 4).round() / 4", "(z * 4).floor() / 4"),
        ("eps / 4 *", "eps / 2 *"),
    ]),
    "adversarial_training": (random_start_pgd_agrees, [
        ("(2 * torch.rand_like(x) - 1)", "torch.rand_like(x)"),
        ("2.5 * eps / steps", "eps / steps"),
        ("z.detach() + 2.5", "z.detach() - 2.5"),
    ]),
    "defensive_distillation": (tempered_pgd_agrees, [
        ("(net(z) / T).flatten(0, 1)", "net(z).flatten(0, 1)"),
        ("z = z.clamp(x - eps, x + eps).clamp(0, 1)", "z = z.clamp(0, 1)"),
        ('reduction="sum"', 'reduction="mean"'),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("technique", ATTACKS)
def test_attacks_step_by_step(technique):
    ATTACKS[technique][0](load_functions(f"{TOPIC}/{technique}"))


@pytest.mark.parametrize(("technique", "old", "new"), [(t, *d) for t, (_, ds) in ATTACKS.items() for d in ds])
def test_attacks_step_by_step_catch_defects(technique, old, new):
    with pytest.raises(AssertionError):
        ATTACKS[technique][0](load_functions(f"{TOPIC}/{technique}", defect=(old, new)))
