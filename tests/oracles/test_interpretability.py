"""Oracles for interpretability: captum, closed forms of linear models, brute force."""

from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from captum.attr import (
    GuidedBackprop,
    IntegratedGradients,
    LayerGradCam,
    Occlusion,
    Saliency,
)
from scipy.stats import spearmanr
from tests.snippet_functions import load_functions
from torch import nn

TOPIC = "interpretability"


def small_net(flat):
    head = [nn.Flatten(), nn.Linear(6 * 25, 4)] if flat else [nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                                              nn.Linear(6, 4)]  # fmt: skip
    return nn.Sequential(nn.Conv2d(2, 5, 3, 2, 1), nn.ReLU(), nn.Conv2d(5, 6, 3, 1, 1), nn.ReLU(),
                         *head)  # fmt: skip


def grad_cam_agrees_with_captum(code) -> None:
    for flat in (False, True, True, False):
        net, x = small_net(flat), torch.randn(3, 2, 10, 10)
        maps = net[:4](x)
        for k in range(4):
            ours = code.grad_cam(maps, net[4:](maps), k)
            theirs = LayerGradCam(net, net[3]).attribute(x, k, relu_attributions=True)
            torch.testing.assert_close(ours, theirs[:, 0])


def hirescam_adds_up(code) -> None:
    """Element by element: on a linear head without bias the terms sum to the score."""
    maps = torch.randn(3, 6, 5, 5, requires_grad=True)
    weight = torch.randn(4, 6, 5, 5)
    scores = torch.einsum("nchw,kchw->nk", maps, weight)
    ours = code.cam_terms(maps, scores, 2, mean=False)
    torch.testing.assert_close(ours, (maps * weight[2]).sum(1))


@pytest.mark.parametrize("check", [grad_cam_agrees_with_captum, hirescam_adds_up])
def test_grad_cam(check):
    check(load_functions(f"{TOPIC}/grad_cam"))


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("return F.relu(cam_terms(maps, scores, k))", "return cam_terms(maps, scores, k)",
         grad_cam_agrees_with_captum),
        ("grad.mean((2, 3), keepdim=True)", "grad.amax((2, 3), keepdim=True)",
         grad_cam_agrees_with_captum),
        ("scores[:, k].sum()", "scores.sum()", grad_cam_agrees_with_captum),
        ("if mean else grad", "if mean else grad.abs()", hirescam_adds_up),
    ],
)  # fmt: skip
def test_grad_cam_catches_defects(old, new, check):
    with pytest.raises(AssertionError):
        check(load_functions(f"{TOPIC}/grad_cam", defect=(old, new)))


def ig_agrees_with_captum(code) -> None:
    net = small_net(True)
    x, baseline = torch.randn(2, 4, 2, 10, 10)
    f = lambda z: net(z).softmax(1)[:, 1]  # noqa: E731
    theirs = IntegratedGradients(f).attribute(
        x, baseline, n_steps=16, method="riemann_middle"
    )
    torch.testing.assert_close(code.integrated_gradients(f, x, baseline, 16), theirs)


def ig_is_exact_on_a_linear_model(code) -> None:
    w, x, baseline = torch.randn(3, 5, 7)
    for steps in (1, 3):
        ours = code.integrated_gradients(lambda z: z @ w[0], x, baseline, steps)
        torch.testing.assert_close(ours, w[0] * (x - baseline))


@pytest.mark.parametrize("check", [ig_agrees_with_captum, ig_is_exact_on_a_linear_model])
def test_integrated_gradients(check):
    check(load_functions(f"{TOPIC}/integrated_gradients"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return (x - baseline) * total", "return x * total"),
        ("return (x - baseline) * total", "return total"),
        ("baseline + (t + 0.5) / steps * (x - baseline)", "(t + 0.5) / steps * x"),
        ("(t + 0.5) / steps", "t / steps"),
    ],
)
def test_integrated_gradients_catch_defects(old, new):
    with pytest.raises(AssertionError):
        ig_agrees_with_captum(load_functions(f"{TOPIC}/integrated_gradients", defect=(old, new)))


def occlusion_agrees_with_captum(code) -> None:
    for fill in (0.0, 0.5):
        weight = torch.randn(2, 5, 6)
        f = lambda z, w=weight: (z * w).sum((2, 3)).square()  # noqa: E731
        x = torch.rand(3, 2, 5, 6)
        ours = code.occlusion(f, x.clone(), fill)
        for s in range(2):  # captum explains one score at a time
            theirs = Occlusion(lambda z, f=f, s=s: f(z)[:, s]).attribute(
                x, (2, 1, 1), baselines=fill
            )
            torch.testing.assert_close(ours[:, s], theirs[:, s])


def test_occlusion():
    occlusion_agrees_with_captum(load_functions(f"{TOPIC}/planted_shortcut"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("= fill", "= 0"), ("f(x) - f(covered)", "f(covered) - f(x)"), ("x.clone()", "x")],
)
def test_occlusion_catches_defects(old, new):
    with pytest.raises(AssertionError):
        occlusion_agrees_with_captum(load_functions(f"{TOPIC}/planted_shortcut", (old, new)))


def guided_agrees_with_captum(code) -> None:
    layers = [nn.Conv2d(3, 4, 6), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 6)]
    net = nn.Sequential(
        nn.Conv2d(3, 4, 6, 2, 2), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6),
    )  # fmt: skip
    for there, here in zip((net[0], net[2], net[4], net[8]), layers):
        there.load_state_dict(here.state_dict())
    x, y = torch.randn(4, 3, 20, 20), torch.tensor([0, 3, 5, 5])
    theirs = GuidedBackprop(net).attribute(x, y).abs().amax(1)
    torch.testing.assert_close(code.guided_backprop(layers, x, y), theirs)


def ranks_agree_with_scipy(code) -> None:
    a, b = torch.randn(2, 4, 6, 6)
    a, b = a.relu(), (a + b).relu()  # with many ties
    expected = sum(spearmanr(p.flatten(), q.flatten()).statistic for p, q in zip(a, b)) / 4
    assert code.rank_correlation(a, b) == pytest.approx(expected, abs=1e-6)
    assert code.rank_correlation(a, torch.zeros_like(a)) == 0


@pytest.mark.parametrize("check", [guided_agrees_with_captum, ranks_agree_with_scipy])
def test_sanity_check(check):
    check(load_functions(f"{TOPIC}/sanity_check"))


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("y.register_hook(F.relu)", "pass", guided_agrees_with_captum),
        ("y.register_hook(F.relu)", "y.register_hook(torch.abs)", guided_agrees_with_captum),
        ("rankdata(m.flatten(1), axis=1)", "m.flatten(1).numpy()", ranks_agree_with_scipy),
        (" + 1e-9", "", ranks_agree_with_scipy),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_sanity_check_catches_defects(old, new, check):
    with pytest.raises(AssertionError):
        check(load_functions(f"{TOPIC}/sanity_check", defect=(old, new)))


def coalitions(p):
    return (torch.arange(2**p)[:, None] >> torch.arange(p) & 1).double()


def shapley_agrees_with_all_orders(code) -> None:
    p, masks = 4, coalitions(4)
    values = torch.randn(2**p, 3)
    expected = torch.zeros(p, 3)
    orders = list(permutations(range(p)))
    for order in orders:
        there = 0
        for j in order:
            expected[j] += (values[there + 2**j] - values[there]) / len(orders)
            there += 2**j
    torch.testing.assert_close(code.shapley(masks, values), expected)
    torch.testing.assert_close(code.kernel_shap(masks, values), expected, atol=1e-5, rtol=1e-5)


def lime_recovers_a_linear_model(code) -> None:
    masks, w = coalitions(6), torch.randn(6, 2)
    ours = code.lime(masks, masks @ w + 3.0)
    assert (ours - w).abs().max() < 0.1  # a slight ridge
    alike = code.regress(masks, masks @ w + 3.0, torch.rand(64) + 0.1)
    torch.testing.assert_close(alike, w)


@pytest.mark.parametrize("check", [shapley_agrees_with_all_orders, lime_recovers_a_linear_model])
def test_shapley_and_lime(check):
    check(load_functions(f"{TOPIC}/shapley_and_lime"))


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("comb(p - 1, int(s))", "comb(p, int(s))", shapley_agrees_with_all_orders),
        ("values[rows + 2**j] - values[rows]", "values[rows + 2**j]",
         shapley_agrees_with_all_orders),
        ("comb(p, s) * s * (p - s)", "comb(p, s)", shapley_agrees_with_all_orders),
        ("torch.ones(len(masks), 1), masks", "torch.ones(len(masks), 1), masks.flip(1)",
         lime_recovers_a_linear_model),
        ("A.T @ (weight[:, None] * values)", "A.T @ values", lime_recovers_a_linear_model),
    ],
)  # fmt: skip
def test_shapley_and_lime_catch_defects(old, new, check):
    with pytest.raises(AssertionError):
        check(load_functions(f"{TOPIC}/shapley_and_lime", defect=(old, new)))


def iou_agrees_with_sets(code) -> None:
    maps, masks = torch.randn(5, 3, 4, 4), (torch.rand(5, 2, 4, 4) < 0.3).double()
    for share in (0.05, 0.3):
        ours = code.unit_iou(maps, masks, share)
        for u in range(3):
            values = maps[:, u].flatten().tolist()
            limit = torch.tensor(values).quantile(1 - share).item()
            on = {i for i, v in enumerate(values) if v > limit}
            for k in range(2):
                concept = set(masks[:, k].flatten().nonzero()[:, 0].tolist())
                expected = len(on & concept) / len(on | concept)
                assert ours[u, k].item() == pytest.approx(expected)


def test_network_dissection():
    iou_agrees_with_sets(load_functions(f"{TOPIC}/network_dissection"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- both", ""),
        ("1 - share", "share"),
        ("maps.transpose(0, 1).flatten(1)", "maps.flatten(1)[:3]"),
    ],
)
def test_network_dissection_catches_defects(old, new):
    with pytest.raises(AssertionError):
        iou_agrees_with_sets(load_functions(f"{TOPIC}/network_dissection", defect=(old, new)))


def removal_agrees_with_brute_force(code) -> None:
    scores, V = torch.randn(3, 6), torch.randn(3, 6, 4)
    k, a = torch.tensor([0, 3, 1]), scores.softmax(1)
    ours = code.removal(a, V, k)
    for n in range(3):
        full = (a[n] @ V[n])[k[n]]
        for i in range(6):
            keep = [j for j in range(6) if j != i]
            without = (F.softmax(scores[n, keep], 0) @ V[n, keep])[k[n]]
            torch.testing.assert_close(ours[n, i], full - without)


def test_removal():
    removal_agrees_with_brute_force(load_functions(f"{TOPIC}/attention_and_removal"))


@pytest.mark.parametrize(
    ("old", "new"),
    [(" / (1 - a)", ""), ("(logit - a * v)", "(logit - v)"), ("logit - (logit", "(logit")],
)
def test_removal_catches_defects(old, new):
    with pytest.raises(AssertionError):
        removal_agrees_with_brute_force(
            load_functions(f"{TOPIC}/attention_and_removal", defect=(old, new))
        )


class Grouped(nn.Module):
    """The network of the pointing game, with the modules that captum looks for."""

    def __init__(self, convs, members):
        super().__init__()
        self.convs, self.members = convs, members
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(3))

    def forward(self, x):
        for conv, relu in zip(self.convs, self.relus):
            x = relu(conv(x))
        z = self.convs[3](x).unflatten(1, (self.members, 4))
        return ((z - 2).exp() + 1).log().sum((3, 4)) - 4


def pointing_agrees_with_captum(code) -> None:
    S, N = 2, 3
    convs = nn.ModuleList(nn.Conv2d(a * S, b * S, *rest, groups=S) for a, b, *rest in code.sizes)
    code.explain.__globals__.update(S=S, N=N, convs=convs)
    net, x, k = Grouped(convs, S), torch.randn(N, S, 24, 24), torch.tensor([0, 3, 1])
    ours = code.explain(x, k)
    for s in range(S):
        target = [(s, int(c)) for c in k]
        cam = LayerGradCam(net, net.relus[2]).attribute(x, target, relu_attributions=True)
        size = (S, 4, 4)
        theirs = {
            "gradient": Saliency(net).attribute(x, target)[:, s],
            "guided": GuidedBackprop(net).attribute(x, target)[:, s].abs(),
            "occlusion": Occlusion(net).attribute(x, size, strides=size, target=target)[:, s],
            "integrated": IntegratedGradients(net).attribute(
                x, target=target, n_steps=8, method="riemann_middle")[:, s],
            "Grad-CAM": F.interpolate(cam, (24, 24), mode="bilinear")[:, 0],
        }  # fmt: skip
        for name, expected in theirs.items():
            torch.testing.assert_close(ours[name][:, s], expected)


def test_pointing_game():
    pointing_agrees_with_captum(load_functions(f"{TOPIC}/pointing_game"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("y.register_hook(F.relu)", "pass"),
        ("[0].mean((2, 3), keepdim=True)", "[0].amax((2, 3), keepdim=True)"),
        ("cam = F.relu(", "cam = ("),
        ("(torch.arange(8) + 0.5) / 8", "torch.arange(8) / 8"),
        ("(s - score(z)[1])", "(score(z)[1] - s)"),
    ],
)
def test_pointing_game_catches_defects(old, new):
    with pytest.raises(AssertionError):
        pointing_agrees_with_captum(load_functions(f"{TOPIC}/pointing_game", (old, new)))
