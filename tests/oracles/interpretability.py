"""Interpretability: captum, closed forms of linear models, brute force."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop, IntegratedGradients, LayerGradCam, Occlusion, Saliency
from scipy.spatial.distance import cosine
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from torch import nn

from tests.oracles.oracle import Defect, Oracle, agree

# --- gradients and occlusion -----------------------------------------------------------


def small_net(flat):
    end = (
        [nn.Flatten(), nn.Linear(150, 4)]
        if flat
        else [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)]
    )
    return nn.Sequential(nn.Conv2d(2, 5, 3, 2, 1), nn.ReLU(), nn.Conv2d(5, 6, 3, 1, 1), nn.ReLU(), *end)


def grad_cam(code):
    for flat, k in itertools.product((False, True, True, False), range(4)):
        net, x = small_net(flat), torch.randn(3, 2, 10, 10)
        maps = net[:4](x)
        theirs = LayerGradCam(net, net[3]).attribute(x, k, relu_attributions=True)
        agree(code.grad_cam(maps, net[4:](maps), k), theirs[:, 0])


def hirescam_adds_up(code):
    """Element by element: on a linear head without bias the terms sum to the score."""
    maps = torch.randn(3, 6, 5, 5, requires_grad=True)
    weight = torch.randn(4, 6, 5, 5)
    scores = torch.einsum("nchw,kchw->nk", maps, weight)
    agree(code.cam_terms(maps, scores, 2, mean=False), (maps * weight[2]).sum(1))


def paths():
    net = small_net(True)
    for steps in (2, 16):
        yield lambda z: net(z).softmax(1)[:, 1], *torch.randn(2, 4, 2, 10, 10), steps


def integrated_by_captum(f, x, baseline, steps):
    return IntegratedGradients(f).attribute(x, baseline, n_steps=steps, method="riemann_middle")


def exact_on_a_linear_model(code):
    w, x, baseline = torch.randn(3, 5, 7)
    for steps in (1, 3):
        agree(code.integrated_gradients(lambda z: z @ w[0], x, baseline, steps), w[0] * (x - baseline))


def coverings():
    for fill in (0.0, 0.5):
        weight = torch.randn(2, 5, 6)
        yield lambda z, w=weight: (z * w).sum((2, 3)).square(), torch.rand(3, 2, 5, 6), fill


def occlusion_by_captum(f, x, fill):
    """It explains one score at a time."""
    x = x.clone()
    each = [Occlusion(lambda z, s=s: f(z)[:, s]).attribute(x, (2, 1, 1), baselines=fill) for s in range(2)]
    return torch.stack([each[s][:, s] for s in range(2)], 1)


def guided_backprop(code):
    layers = [nn.Conv2d(3, 4, 6, 2, 2), nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.Linear(4, 6)]
    body = [part for conv in layers[:3] for part in (conv, nn.ReLU())]
    net = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), layers[3])
    x, y = torch.randn(4, 3, 20, 20), torch.tensor([0, 3, 5, 5])
    agree(code.guided_backprop(layers, x, y), GuidedBackprop(net).attribute(x, y).abs().amax(1))


def rank_maps():
    a, b = torch.randn(2, 4, 6, 6)
    yield a, b
    yield a.relu(), (a + b).relu()  # with many ties
    yield a.relu(), -a.relu()
    yield a.relu(), torch.zeros_like(a)  # constant
    yield a.relu(), b * torch.tensor([0, 1, 1, 0])[:, None, None]


def mean_spearman(a, b):
    each = [spearmanr(p.flatten(), q.flatten()).statistic for p, q in zip(a, b, strict=True) if q.any()]
    return sum(each) / len(a)


# --- patches, units, positions ---------------------------------------------------------


def coalitions(p):
    return (torch.arange(2**p)[:, None] >> torch.arange(p) & 1).double()


def games():
    for p in (1, 2, 4):
        yield coalitions(p), torch.randn(2**p, 3)


def over_all_orders(masks, values):
    p = masks.shape[1]
    want = torch.zeros(p, values.shape[1])
    orders = list(itertools.permutations(range(p)))
    for order in orders:
        there = 0
        for j in order:
            want[j] += (values[there + 2**j] - values[there]) / len(orders)
            there += 2**j
    return want


def regressions():
    """A linear model with an intercept of 3, and noise."""
    for p, ridge in itertools.product((2, 6), (0.0, 0.01, 2.0)):
        masks = coalitions(p)
        yield masks, masks @ torch.randn(p, 2) + 3, torch.rand(2**p) + 0.1, ridge
        yield masks, torch.randn(2**p, 2), torch.rand(2**p) + 0.1, ridge


def ridge_slopes(masks, values, weight, ridge):
    return Ridge(ridge, solver="cholesky", tol=0).fit(masks, values, weight).coef_.T


def lime_slopes(masks, values):
    """Weights by the cosine distance to all patches (of no patch: 1), over the paper's kernel."""
    distance = [cosine(mask, torch.ones_like(mask)) if mask.any() else 1.0 for mask in masks]
    return ridge_slopes(masks, values, np.exp(-((np.array(distance) / 0.25) ** 2)), 0.01)


def units():
    maps, masks = torch.randn(5, 3, 4, 4), (torch.rand(5, 2, 4, 4) < 0.3).double()
    for share in (0.05, 0.3):
        yield maps, masks, share


def iou_of_sets(maps, masks, share):
    want = torch.zeros(maps.shape[1], masks.shape[1])
    for u, k in np.ndindex(*want.shape):
        values = maps[:, u].flatten()
        on = set((values > values.quantile(1 - share)).nonzero()[:, 0].tolist())
        concept = set(masks[:, k].flatten().nonzero()[:, 0].tolist())
        want[u, k] = len(on & concept) / len(on | concept)
    return want


def attentions():
    for n, places in ((3, 6), (2, 2)):
        yield torch.randn(n, places).softmax(1), torch.randn(n, places, 4), torch.randint(4, (n,))


def change_without(a, V, k):
    want = torch.zeros_like(a)
    for n, i in np.ndindex(*a.shape):
        keep = [j for j in range(a.shape[1]) if j != i]
        without = F.softmax(a[n, keep].log(), 0) @ V[n, keep]
        want[n, i] = (a[n] @ V[n] - without)[k[n]]
    return want


class Grouped(nn.Module):
    """The network of the pointing game, with the modules that captum looks for."""

    def __init__(self, convs):
        super().__init__()
        self.convs, self.relus = convs, nn.ModuleList(nn.ReLU() for _ in range(3))

    def forward(self, x):
        for conv, relu in zip(self.convs[:3], self.relus, strict=True):
            x = relu(conv(x))
        z = self.convs[3](x).unflatten(1, (-1, 4))
        return ((z - 2).exp() + 1).log().sum((3, 4)) - 4


def five_networks():
    """Random ones side by side, with fewer maps in their first layers than the snippet's."""
    sizes = (1, 1, 5, 2, 2), (1, 2, 3, 1, 1), (2, 16, 3, 1, 1), (16, 4, 1)
    return nn.ModuleList(nn.Conv2d(a * 5, b * 5, *rest, groups=5) for a, b, *rest in sizes)


def pointing(code):
    net, x, k = Grouped(code.convs), torch.randn(code.N, 5, 24, 24), torch.arange(code.N) % 4
    got = code.explain(x, k)
    for s in range(5):
        target = [(s, int(c)) for c in k]
        cam = LayerGradCam(net, net.relus[2]).attribute(x, target, relu_attributions=True)
        integrated = IntegratedGradients(net).attribute(x, target=target, n_steps=8, method="riemann_middle")
        want = {
            "brightness": x[:, s],
            "gradient": Saliency(net).attribute(x, target)[:, s],
            "guided": GuidedBackprop(net).attribute(x, target)[:, s].abs(),
            "occlusion": Occlusion(net).attribute(x, (5, 4, 4), strides=(5, 4, 4), target=target)[:, s],
            "integrated": integrated[:, s],
            "Grad-CAM": F.interpolate(cam, (24, 24), mode="bilinear")[:, 0],
        }
        agree({name: maps[:, s] for name, maps in got.items()}, want, 1e-7)  # captum: float32


ORACLES = [
    Oracle(
        "grad_cam",
        grad_cam,
        defects=[
            Defect("return F.relu(cam_terms(maps, scores, k))", "return cam_terms(maps, scores, k)"),
            Defect("grad.mean((2, 3), keepdim=True)", "grad.amax((2, 3), keepdim=True)"),
            Defect("scores[:, k].sum()", "scores.sum()"),
        ],
    ),
    Oracle("grad_cam", hirescam_adds_up, defects=[Defect("if mean else grad", "if mean else grad.abs()")]),
    Oracle(
        "integrated_gradients",
        function="integrated_gradients",
        reference=integrated_by_captum,
        cases=paths,
        defects=[
            Defect("return (x - baseline) * total", "return x * total"),
            Defect("return (x - baseline) * total", "return total"),
            Defect("baseline + (t + 0.5) / steps * (x - baseline)", "(t + 0.5) / steps * x"),
            Defect("(t + 0.5) / steps", "t / steps"),
        ],
    ),
    Oracle(
        "integrated_gradients",
        exact_on_a_linear_model,
        defects=[Defect("(x - baseline) * total / steps", "(x - baseline) * total")],
    ),
    Oracle(
        "planted_shortcut",
        function="occlusion",
        reference=occlusion_by_captum,
        cases=coverings,
        tolerance=1e-7,  # captum adds up in float32
        defects=[
            Defect("= fill", "= 0"),
            Defect("f(x) - f(covered)", "f(covered) - f(x)"),
            Defect("x.clone()", "x", where="occlusion"),
        ],
    ),
    Oracle(
        "sanity_check",
        guided_backprop,
        defects=[
            Defect("y.register_hook(F.relu)", "pass"),
            Defect("y.register_hook(F.relu)", "y.register_hook(torch.abs)"),
        ],
    ),
    Oracle(
        "sanity_check",
        function="rank_correlation",
        reference=mean_spearman,
        cases=rank_maps,
        defects=[
            Defect("rankdata(m.flatten(1), axis=1)", "m.flatten(1).numpy()"),
            Defect(" + 1e-9", ""),
        ],
    ),
    Oracle(
        "shapley_and_lime",
        function="shapley",
        reference=over_all_orders,
        cases=games,
        defects=[
            Defect("comb(p - 1, int(s))", "comb(p, int(s))"),
            Defect("values[rows + 2**j] - values[rows]", "values[rows + 2**j]"),
        ],
    ),
    Oracle(
        "shapley_and_lime",
        function="kernel_shap",
        reference=over_all_orders,
        cases=games,
        tolerance=1e-5,
        defects=[Defect("comb(p, s) * s * (p - s)", "comb(p, s)")],
    ),
    Oracle(
        "shapley_and_lime",
        function="regress",
        reference=ridge_slopes,
        cases=regressions,
        defects=[
            Defect("torch.ones(len(masks), 1), masks", "torch.ones(len(masks), 1), masks.flip(1)"),
            Defect("A.T @ (weight[:, None] * values)", "A.T @ values"),
            Defect("penalty[0, 0] = 0", "pass"),
        ],
    ),
    Oracle(
        "shapley_and_lime",
        function="lime",
        reference=lime_slopes,
        cases=lambda: (case[:2] for case in regressions()),
        defects=[Defect("1 - masks.mean(1).sqrt()", "1 - masks.mean(1)")],
    ),
    Oracle(
        "network_dissection",
        function="unit_iou",
        reference=iou_of_sets,
        cases=units,
        defects=[
            Defect("- both", ""),
            Defect("1 - share", "share"),
            Defect("maps.transpose(0, 1).flatten(1)", "maps.flatten(1)[:3]"),
        ],
    ),
    Oracle(
        "attention_and_removal",
        function="removal",
        reference=change_without,
        cases=attentions,
        defects=[
            Defect(" / (1 - a)", ""),
            Defect("(logit - a * v)", "(logit - v)"),
            Defect("logit - (logit", "(logit"),
        ],
    ),
    Oracle(
        "pointing_game",
        pointing,
        data=lambda: {"convs": five_networks()},
        defects=[
            Defect("y.register_hook(F.relu)", "pass"),
            Defect("[0].mean((2, 3), keepdim=True)", "[0].amax((2, 3), keepdim=True)"),
            Defect("cam = F.relu(", "cam = ("),
            Defect("(torch.arange(8) + 0.5) / 8", "torch.arange(8) / 8"),
            Defect("(s - score(z)[1])", "(score(z)[1] - s)"),
        ],
    ),
]
