"""Adversarial attacks and certificates against foolbox, closed forms on linear models, brute force."""

import foolbox
import numpy as np
import torch
from scipy.stats import binomtest, norm
from torch import nn

from tests.oracles.oracle import Defect, Oracle, agree


def problem(n=12):
    """A small CNN in the snippets' shapes with one member, images and its own predictions."""
    net = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 4),
        nn.ReLU(),
        nn.Conv2d(16, 10, 1),
        nn.Unflatten(1, (1, 10)),
        nn.Flatten(2),
    )
    for parameter in net.parameters():
        parameter.data *= 2
    x = torch.rand(n, 1, 8, 8)
    return net, x, net(x).argmax(-1)


def linear_problem(n=20):
    """A linear model, images, its predictions, and in closed form the distance to the next class."""
    net = nn.Sequential(nn.Flatten(1), nn.Linear(64, 10), nn.Unflatten(1, (1, 10)))
    x = torch.rand(n, 1, 8, 8) * 0.1 + 0.45  # far from 0 and 1, so clipping does nothing
    f, w = net(x)[:, 0], net[1].weight
    y = f.argmax(1)
    gap = f.gather(1, y[:, None]) - f  # (n, 10)
    length = (w[y][:, None] - w).square().sum(2).sqrt()
    away = torch.ones_like(gap).scatter(1, y[:, None], 0).bool()
    return net, x, y[:, None], (gap / length).masked_fill(~away, torch.inf).amin(1).detach()


def two_classes(w):
    """The linear model with logits f and -f; any leading dimensions."""

    def net(x):
        f = (x.flatten(-2) - 0.5) @ w
        return torch.stack([f, -f], -1)

    return net


def l2(z, x):
    return (z - x).flatten(1).square().sum(1).sqrt()


def seeded(function, *arguments):
    torch.manual_seed(1)
    return function(*arguments)


def in_foolbox(attack, net, x, y, eps=None):
    model = foolbox.PyTorchModel(nn.Sequential(net, nn.Flatten(1)).eval(), bounds=(0, 1))
    return attack(model, x, y.flatten(), epsilons=eps)[1]


def step_by_step(net, x, y, eps, step, steps, points=lambda z: [(z, 1)], start=None):
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


# --- attacks ---------------------------------------------------------------------------


def budgets():
    for eps in (0, 0.02, 0.7):
        yield *problem(), eps
        yield *problem(1), eps


def pgd(code):
    for net, x, y, eps in budgets():
        attack = foolbox.attacks.LinfPGD(abs_stepsize=eps / 4, steps=9, random_start=False)
        agree(code.pgd(net, x, y, eps, eps / 4, 9, 0 * x), in_foolbox(attack, net, x, y, eps))
        start = eps * (2 * torch.rand_like(x) - 1)
        want = step_by_step(net, x, y, eps, eps / 4, 3, start=(x + start).clamp(0, 1))
        agree(code.pgd(net, x, y, eps, eps / 4, 3, start), want)


def deepfool(code):
    for _ in range(3):
        net, x, y, distance = linear_problem()
        agree(l2(code.deepfool(net, x, y), x), 1.02 * (distance + 1e-4))
        net, x, y = problem()
        ours = code.deepfool(net, x, y, steps=30)
        theirs = in_foolbox(foolbox.attacks.L2DeepFoolAttack(steps=30, candidates=None), net, x, y)
        assert (net(ours).argmax(-1) != y).all()
        assert ours.min() >= 0 and ours.max() <= 1
        assert (l2(ours, x) / l2(theirs, x) - 1).abs().median() < 0.02


def carlini_wagner(code):
    net, x, y, distance = linear_problem()
    ours = code.carlini_wagner(net, x, y, 10.0 ** np.arange(-2.5, 0.6, 0.5), steps=80)
    assert (net(ours).argmax(-1) != y).all()
    ratio = l2(ours, x) / distance  # no attack can beat the distance
    assert ratio.min() > 1 - 1e-9 and ratio.median() < 1.15
    net, x, y = problem(8)
    ours = code.carlini_wagner(net, x, y, (0.03, 0.1, 0.3, 1.0, 3.0), steps=80)
    attack = foolbox.attacks.L2CarliniWagnerAttack(5, steps=80, stepsize=0.1, initial_const=0.1)
    assert (net(ours).argmax(-1) != y).all()
    assert 0.8 < (l2(ours, x) / l2(in_foolbox(attack, net, x, y), x)).median() < 1.15


def linear_problems():
    for n in (0, 1, 4, 4, 4):
        w, b = torch.randn(10), torch.randn(())
        yield lambda z, w=w, b=b: z @ w + b, torch.rand(n, 10), torch.randn(n).sign(), 0.3


def worst_corner(score, x, y, eps):
    """Ten dimensions: all 1024 corners can be tried."""
    corners = x[:, None] + eps * torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 10)
    worst = (y[:, None] * score(corners)).argmin(1)
    return corners[torch.arange(len(x)), worst]


def adaptive_pgd(code):
    def draws(z):
        for _ in range(3):
            flip = torch.rand(()) < 0.5
            yield (1 - z if flip else z) + 0.1 * torch.randn_like(z), -1 if flip else 1

    net, x, y = problem(6)
    for through, count, points in (
        (code.undefended, 1, lambda z: [(z, 1)]),
        (code.straight_through, 1, lambda z: [((4 * z).round() / 4, 1)]),
        (code.rounded, 1, lambda z: [(z, 0)]),  # a zero gradient moves nothing
        (code.randomized, 3, draws),
    ):
        want = seeded(step_by_step, net, x, y, code.eps, code.eps / 4, 10, points)
        agree(seeded(code.pgd, net, x, y, through, count), want)


def random_start_pgd(code):
    net, x, y = problem(6)
    for eps, steps in (0.1, 3), (0.3, 8), (0, 1):
        start = (x - eps + 2 * eps * seeded(torch.rand_like, x)).clamp(0, 1)
        want = step_by_step(net, x, y, eps, 2.5 * eps / steps, steps, start=start)
        agree(seeded(code.pgd, net, x, y, eps, steps), want)


def temperatures():
    for temperature in (1, 20):
        yield *problem(6), temperature


def tempered_gradient(net, x, y, T):
    """From the Jacobian of the logits; each image's own block of it."""
    n = torch.arange(len(x))
    p = (net(x)[:, 0] / T).softmax(1)
    p[n, y[:, 0]] -= 1
    own = torch.func.jacrev(lambda z: net(z)[:, 0])(x)[n, :, n]  # (6, 10, 1, 8, 8)
    return torch.einsum("nk,nkchw->nchw", p / T, own)


# --- certificates ----------------------------------------------------------------------


def certificate(code):
    """Linear, two classes: the smoothed classifier is the linear one, its radius its distance."""
    w, sigma, n, alpha = torch.randn(64), 0.3, 500, 0.001
    net, x = two_classes(w), 0.5 + 0.05 * torch.randn(60, 2, 8, 8)
    distance = ((x.flatten(-2) - 0.5) @ w).abs() / w.square().sum().sqrt()
    top, radius = code.certify(net, x, sigma, n0=100, n=n, alpha=alpha)
    sure = radius > 0
    assert 20 < sure.sum() < 120 and (radius[~sure] == -1).all()
    assert (radius <= distance)[sure].all()  # never more than the truth
    assert (top == net(x).argmax(-1))[sure].all()
    middle = sure & (distance < sigma)  # and not much less
    assert (distance - radius)[middle].median() < 0.5 * sigma
    # the bound itself, against scipy's exact interval
    top, radius = seeded(code.certify, net, x[:20], sigma, 20, n, alpha)
    seeded(code.votes, net, x[:20], sigma, 20)
    hits = code.votes(net, x[:20], sigma, n).gather(-1, top[..., None]).flatten().tolist()
    for k, r in zip(hits, radius.flatten(), strict=True):
        p = binomtest(k, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low
        agree(r, sigma * norm.ppf(p) if p > 0.5 else -1)


def attack_on_the_vote(code):
    net, x, y = problem()
    radius = torch.rand(y.shape)
    radius[0] = 0
    moved = l2(code.attack(net, x, y, radius, 0.0), x)
    assert (moved <= radius[:, 0] + 1e-9).all() and (moved > 0.9 * radius[:, 0])[1:].all()
    w, x = torch.randn(64), torch.rand(5, 1, 8, 8)  # linear: straight along the gradient
    z = code.attack(two_classes(w), x, torch.zeros(5, 1).long(), torch.ones(5, 1), 0.0)
    agree((z - x).flatten(1), (-w / w.square().sum().sqrt()).expand(5, 64))


def sound_bounds_exact_for_one_layer(code):
    for _ in range(3):
        net, x, _ = problem(6)
        eps = 0.05
        low, high = code.bounds(net, x - eps, x + eps)
        for _ in range(300):
            f = net(x + eps * torch.randn_like(x).sign())
            assert (low <= f + 1e-9).all() and (f <= high + 1e-9).all()
        exact, spread = net[0](x), eps * net[0].weight.abs().sum((1, 2, 3))[:, None, None]
        inner = (..., slice(1, -1), slice(1, -1))  # eps ||w||_1 inside, less at borders
        low, high = code.bounds(net[:1], x - eps, x + eps)
        agree((low[inner], high[inner]), ((exact - spread)[inner], (exact + spread)[inner]))


def worst_logits(code):
    net, x, y = problem(6)
    low, high = code.bounds(net, (x - 0.05).clamp(0, 1), (x + 0.05).clamp(0, 1))
    worst = code.worst_logits(net, x, y, 0.05)
    for n, k in enumerate(y.flatten()):
        for j in range(10):
            assert worst[n, 0, j] == (low if j == k else high)[n, 0, j]


ORACLES = [
    Oracle(
        "fgsm_and_pgd",
        function="fgsm",
        reference=lambda *call: in_foolbox(foolbox.attacks.LinfFastGradientAttack(), *call),
        cases=budgets,
        defects=[
            Defect("eps * gradient.sign()", "eps * gradient"),
            Defect("(x + eps * gradient.sign()).clamp(0, 1)", "(x + eps * gradient.sign())"),
        ],
    ),
    Oracle(
        "fgsm_and_pgd",
        pgd,
        defects=[
            Defect("(x + start)", "x"),
            Defect("z.detach() + step", "z.detach() - step"),
            Defect("z.clamp(x - eps, x + eps).clamp(0, 1)", "z.clamp(0, 1)"),
            Defect("z.clamp(x - eps, x + eps).clamp(0, 1)", "z.clamp(x - eps, x + eps)"),
            Defect("loss(net, z, y), z)", "loss(net, x + 0 * z, y), z)"),
        ],
    ),
    Oracle(
        "minimum_norm",
        deepfool,
        defects=[
            Defect("norm).argmin(-1)", "norm).argmin(-1) * 0 + (y + 1) % 10"),
            Defect("norm).argmin(-1)", "1).argmin(-1)"),
            Defect("/ norm**2)", "/ norm)"),
            Defect("1.02 *", "1.2 *"),
            Defect("w = w - w[own].view(*y.shape, 1, -1)", "pass"),
            Defect(" * alive", ""),
        ],
    ),
    Oracle(
        "minimum_norm",
        carlini_wagner,
        defects=[
            Defect("better = (margin < 0) & (d < size)", "better = d < size"),
            Defect("(d + c * margin.clamp(0))", "(c * margin.clamp(0))"),
            Defect("f.masked_fill(own, -torch.inf).amax(-1)", "f.amax(-1)"),
        ],
    ),
    Oracle(
        "randomized_smoothing",
        certificate,
        defects=[
            Defect("beta.ppf(alpha, k, n - k + 1)", "k / n"),
            Defect("beta.ppf(alpha, k, n - k + 1)", "beta.ppf(1 - alpha, k, n - k + 1)"),
            Defect("beta.ppf(alpha, k, n - k + 1)", "beta.ppf(alpha, k + 1, n - k + 1)"),
            Defect("sigma * torch.from_numpy(norm", "torch.from_numpy(norm"),
            Defect("torch.where(p > 0.5, radius, -1.0)", "radius"),
            Defect("votes(net, x, sigma, n).gather", "votes(net, x, 0, n).gather"),
        ],
    ),
    Oracle(
        "randomized_smoothing",
        attack_on_the_vote,
        defects=[
            Defect("(r / d.square()", "(2 * r / d.square()"),
            Defect("(d + r", "(d - r"),
            Defect(".nan_to_num(0)", "", where="attack"),
        ],
    ),
    Oracle(
        "interval_bounds",
        sound_bounds_exact_for_one_layer,
        defects=[
            Defect("layer.weight.abs()", "layer.weight"),
            Defect("(high - low) / 2", "(high - low) / 3"),
            Defect("center - spread, center + spread", "center - spread, center + 2 * spread"),
        ],
    ),
    Oracle("interval_bounds", worst_logits, defects=[Defect("bool(), low, high)", "bool(), high, low)")]),
    Oracle(
        "linear_worst_case",
        function="fgsm",
        reference=worst_corner,
        cases=linear_problems,
        defects=[
            Defect("-y * score(x)", "y * score(x)"),
            Defect("[0].sign()", "[0]"),
            Defect("x + eps *", "x + eps / 2 *"),
        ],
    ),
    Oracle(
        "input_transformations",
        adaptive_pgd,
        defects=[
            Defect("(rounded(z) - z).detach()", "(rounded(z) - z)"),
            Defect("y.repeat(draws, 1)", "y.repeat_interleave(draws, 0)"),
            Defect("(z * 4).round() / 4", "(z * 4).floor() / 4"),
            Defect("eps / 4 *", "eps / 2 *"),
        ],
    ),
    Oracle(
        "adversarial_training",
        random_start_pgd,
        defects=[
            Defect("(2 * torch.rand_like(x) - 1)", "torch.rand_like(x)"),
            Defect("2.5 * eps / steps", "eps / steps"),
            Defect("z.detach() + 2.5", "z.detach() - 2.5"),
        ],
    ),
    Oracle(
        "defensive_distillation",
        function="gradient",
        reference=tempered_gradient,
        cases=temperatures,
        defects=[
            Defect("(net(z) / T).flatten(0, 1)", "net(z).flatten(0, 1)"),
            Defect('reduction="sum"', 'reduction="mean"'),
        ],
    ),
    Oracle(
        "defensive_distillation",
        function="pgd",
        reference=lambda net, x, y, eps, T, steps: step_by_step(
            lambda z: net(z) / T, x, y, eps, 2.5 * eps / steps, steps
        ),
        cases=lambda: ((net, x, y, 0.2, T, steps) for net, x, y, T in temperatures() for steps in (1, 5)),
        defects=[Defect("z = z.clamp(x - eps, x + eps).clamp(0, 1)", "z = z.clamp(0, 1)")],
    ),
]
