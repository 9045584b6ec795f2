"""The hand-written gradients of docs/foundations/backpropagation.md against oracles.

Oracles: torch.nn.grad and autograd (implementations of their own), finite differences
through gradcheck, pooling indices, and for boxes a count of unit squares.
"""

import itertools

import pytest
import torch
import torch.nn.functional as F
from tests.snippet_functions import load_functions

DOUBLE = torch.float64
GENERATOR = torch.Generator()


@pytest.fixture(autouse=True)
def seed():
    GENERATOR.manual_seed(0)


def randn(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=DOUBLE)


def close(a, b):
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-9)


# --- convolution -----------------------------------------------------------------------


def conv_agrees(functions) -> bool:
    """Both gradients equal torch.nn.grad's over kernels, strides, paddings and odd sizes."""
    sizes = [(7, 7), (8, 5), (5, 9)]
    for size, k, stride, padding in itertools.product(sizes, (1, 2, 3, 5), (1, 2, 3), (0, 1, 2)):
        x, w = randn(2, 3, *size), randn(4, 3, k, k)
        g = randn(*F.conv2d(x, w, stride=stride, padding=padding).shape)
        keys = {"stride": stride, "padding": padding}
        dw = functions.weight_gradient(x, g, k, stride, padding)
        dx = functions.input_gradient(size, w, g, stride, padding)
        if not close(dw, torch.nn.grad.conv2d_weight(x, w.shape, g, **keys)):
            return False
        if not close(dx, torch.nn.grad.conv2d_input(x.shape, w, g, **keys)):
            return False
    return True


def test_conv_gradients_equal_torch_nn_grad():
    assert conv_agrees(load_functions("backpropagation/conv_gradients"))


@pytest.mark.parametrize(
    "defect",
    [
        ("window += ", "window[:] = "),  # overlapping stamps overwrite
        ('"nk,kcij->ncij", g[:, :, i, j], w', '"nk,kcij->ncij", g[:, :, i, j], w.flip(2, 3)'),
        ("i * stride:i * stride + k", "i:i + k"),  # stride forgotten
        ("dx[:, :, padding:padding + size[0], ", "dx[:, :, :size[0], "),  # padding kept
        ("padding=padding, stride=stride)", "padding=0, stride=stride)"),
        ("patches)", "patches) / len(x)"),  # averaged, not summed
    ],
)
def test_conv_test_catches(defect):
    functions = load_functions("backpropagation/conv_gradients", defect)
    try:
        assert not conv_agrees(functions)
    except (RuntimeError, IndexError):
        pass  # shapes no longer fit: caught too


# --- max-pooling -----------------------------------------------------------------------


def pool_agrees(functions) -> bool:
    """Equal to F.max_pool2d's own gradient, with ties, overlap and uncovered borders."""
    for k, stride, levels in itertools.product((1, 2, 3), (1, 2, 3), (2, 5, 1000)):
        x = torch.randint(levels, (9, 8), generator=GENERATOR).to(DOUBLE).requires_grad_()
        y, winner = F.max_pool2d(x[None, None], k, stride, return_indices=True)
        g = randn(*y.shape[2:])
        (exact,) = torch.autograd.grad(y[0, 0], x, g)
        by_index = torch.zeros(72, dtype=DOUBLE).index_add(0, winner.flatten(), g.flatten())
        mine = functions.max_pool_gradient(x.detach(), g, k, stride)
        if not (close(mine, exact) and close(mine, by_index.view(9, 8))):
            return False
    return True


def test_max_pool_gradient_equals_autograd_and_indices():
    assert pool_agrees(load_functions("backpropagation/max_pool_routing"))


@pytest.mark.parametrize(
    "defect",
    [
        ("column] += g", "column] = g"),  # overlap overwrites
        ("window.max()", "window.min()"),
        ("divmod(first, k)", "divmod(first, k)[::-1]"),
        ("j * stride + column", "j * k + column"),
        ("first = window.flatten().tolist().index(window.max())",
         "first = k * k - 1 - window.flatten().tolist()[::-1].index(window.max())"),  # last tie
    ],
)  # fmt: skip
def test_max_pool_test_catches(defect):
    functions = load_functions("backpropagation/max_pool_routing", defect)
    try:
        assert not pool_agrees(functions)
    except IndexError:
        pass


# --- BatchNorm -------------------------------------------------------------------------


def batchnorm_agrees(functions) -> bool:
    for n, c, size in [(2, 1, 1), (3, 2, 4), (8, 5, 3), (2, 3, 7)]:
        x = (2 * randn(n, c, size, size) - 1).requires_grad_()
        gamma, beta = randn(c).requires_grad_(), randn(c).requires_grad_()
        y = F.batch_norm(x, None, None, gamma, beta, training=True, eps=functions.EPS)
        g = randn(*y.shape)
        exact = torch.autograd.grad(y, (x, gamma, beta), g)
        mine = functions.batchnorm_backward(x.detach(), gamma.detach(), g)
        if not all(close(a, b) for a, b in zip(mine, exact)):
            return False
    return True


def test_batchnorm_gradient_equals_autograd():
    assert batchnorm_agrees(load_functions("backpropagation/batchnorm_gradient"))


@pytest.mark.parametrize(
    "defect",
    [
        ("correction=0", "correction=1"),
        ("(centered - scaled)", "centered"),
        ("centered = g - g.mean(dims, keepdim=True)", "centered = g"),
        ("gamma.view(shape) / sigma", "1 / sigma"),
        ("(g * x_hat).sum(dims), g.sum(dims)", "(g * x).sum(dims), g.sum(dims)"),
    ],
)
def test_batchnorm_test_catches(defect):
    assert not batchnorm_agrees(load_functions("backpropagation/batchnorm_gradient", defect))


# --- losses ----------------------------------------------------------------------------


def pixels_agree(functions) -> bool:
    for k, share in itertools.product((2, 5), (0.0, 0.3, 0.9)):
        logits = randn(3, k, 4, 6).requires_grad_()
        labels = torch.randint(k, (3, 4, 6), generator=GENERATOR)
        labels[torch.rand(3, 4, 6, generator=GENERATOR) < share] = functions.IGNORE
        labels[0, 0, 0] = 0  # at least one labeled pixel
        loss = F.cross_entropy(logits, labels, ignore_index=functions.IGNORE)
        (exact,) = torch.autograd.grad(loss, logits)
        if not close(functions.pixel_gradient(logits.detach(), labels), exact):
            return False
    return True


def squares(box, size=12):
    """The unit squares inside a box with whole-number corners."""
    x1, y1, x2, y2 = box
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def boxes_agree(functions) -> bool:
    for _ in range(200):
        corners = torch.randint(0, 6, (2, 2), generator=GENERATOR)
        sides = torch.randint(1, 6, (2, 2), generator=GENERATOR)
        a, b = torch.cat([corners, corners + sides], 1)
        inner, union = (squares(a) & squares(b)).sum(), (squares(a) | squares(b)).sum()
        hull = squares(torch.cat([torch.minimum(a, b)[:2], torch.maximum(a, b)[2:]])).sum()
        expected = 1 - inner / union, 1 - inner / union + (hull - union) / hull
        mine = functions.box_losses(a.to(DOUBLE), b.to(DOUBLE))
        if any(abs(x.item() - y.item()) > 1e-6 for x, y in zip(mine, expected)):
            return False
    return True


def test_losses():
    functions = load_functions("backpropagation/loss_gradients")
    assert pixels_agree(functions)
    assert boxes_agree(functions)


@pytest.mark.parametrize(
    ("agrees", "defect"),
    [
        (pixels_agree, ("known.sum()", "known.numel()")),
        (pixels_agree, (" * known[:, None]", "")),
        (pixels_agree, ("logits.softmax(1)", "logits.softmax(2)")),
        (boxes_agree, (".clamp(min=0)", "")),
        (boxes_agree, (".prod() - inner", ".prod()")),
        (boxes_agree, ("torch.minimum(a[:2], b[:2])", "torch.maximum(a[:2], b[:2])")),
    ],
)
def test_losses_test_catches(agrees, defect):
    assert not agrees(load_functions("backpropagation/loss_gradients", defect))


# --- the whole network of train_by_hand -----------------------------------------------


def network_agrees(functions) -> bool:
    """All four gradients by autograd and by finite differences of the loss."""
    params = [randn(*shape) / 3 for shape in [(8, 9), (8, 1), (128, 10), (10,)]]
    for n in (1, 5):
        x, labels = randn(n, 1, 8, 8), torch.randint(10, (n,), generator=GENERATOR)

        def loss(*values):
            return F.cross_entropy(functions.forward(values, x)[0], labels)

        logits, saved = functions.forward(params, x)
        mine = functions.backward(params, saved, logits, labels)
        twins = [p.clone().requires_grad_() for p in params]
        if not all(map(close, mine, torch.autograd.grad(loss(*twins), twins))):
            return False
        # Finite differences along one random direction see the forward pass only.
        direction = [randn(*p.shape) for p in params]
        shifted = [[p + s * 1e-6 * d for p, d in zip(params, direction)] for s in (1, -1)]
        slope = (loss(*shifted[0]) - loss(*shifted[1])) / 2e-6
        if abs(slope - sum((g * d).sum() for g, d in zip(mine, direction))) > 1e-5:
            return False
    return True


def test_train_by_hand():
    functions = load_functions("backpropagation/train_by_hand")
    assert network_agrees(functions)
    # Its forward pass is the network that the page names.
    w, b, v, c = (randn(*shape) for shape in [(8, 9), (8, 1), (128, 10), (10,)])
    x = randn(3, 1, 8, 8)
    h = F.max_pool2d(F.conv2d(x, w.view(8, 1, 3, 3), b.flatten(), padding=1).relu(), 2)
    assert close(functions.forward((w, b, v, c), x)[0], h.flatten(1) @ v + c)


@pytest.mark.parametrize(
    "defect",
    [
        (" / len(labels)", ""),
        ("d = d * (z > 0)", "d = d"),
        ("d.sum((0, 2))[:, None], dv", "d.sum(2).mean(0)[:, None], dv"),
        ("winner[:, :, None], d)", "winner[:, :, None] * 0, d)"),
        ("flat.T @ d", "flat.T @ d * 0.5"),
    ],
)
def test_train_by_hand_test_catches(defect):
    assert not network_agrees(load_functions("backpropagation/train_by_hand", defect))


# --- the checker itself ----------------------------------------------------------------


def leaky_passes(functions) -> bool:
    """torch's gradcheck on the layer itself, with values away from the kink."""
    x = randn(6, 6)
    x = torch.where(x.abs() < 0.01, x + 0.1, x).requires_grad_()
    return torch.autograd.gradcheck(
        lambda x: functions.Leaky.apply(x).square(), (x,), raise_exception=False
    )


def test_gradient_check():
    functions = load_functions("backpropagation/gradient_check")
    assert leaky_passes(functions)
    functions.Leaky.wrong = True
    assert leaky_passes(functions)  # square: gradient and input share their sign. A blind spot
    assert not torch.autograd.gradcheck(
        lambda x: -functions.Leaky.apply(x), (randn(5).requires_grad_(),), raise_exception=False
    )
    matrix = randn(3, 4)
    quadratic = functions.central_difference(lambda w: (w * matrix * w).sum(), matrix, 1e-5)
    assert torch.allclose(quadratic, 2 * matrix**2, atol=1e-6)


def test_gradient_check_test_catches():
    defect = ("x > 0, g, 0.1 * g", "x > 0, g, 0.2 * g")
    assert not leaky_passes(load_functions("backpropagation/gradient_check", defect))


# --- gradients of whole networks -------------------------------------------------------


def accumulation_agrees(functions) -> bool:
    """The gradient of the whole weighted sum, from one graph."""
    images, labels = randn(30, 1, 4, 4), torch.arange(30) % 3
    functions.gradient.__globals__.update(images=images, labels=labels)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    log_p = net(images).log_softmax(1)[torch.arange(30), labels]
    for sizes, weight in (((30,), lambda p: 1), ((4, 20, 6), lambda p: len(p) / 30), ((10, 20), lambda p: 0.5)):
        parts = torch.arange(30).split(sizes)
        total = -sum(weight(p) * log_p[p].mean() for p in parts)
        expected = torch.autograd.grad(total, list(net.parameters()), retain_graph=True)
        if not close(functions.gradient(net, parts, weight), torch.cat([g.flatten() for g in expected])):
            return False
    return True


def flow_agrees(functions) -> bool:
    """The same draws; norm, ReLU and loss written out; weights' gradients from torch.nn.grad."""
    images, labels = randn(20, 1, 8, 8), torch.arange(20) % 10
    functions.layer_gradients.__globals__.update(images=images, labels=labels, DEPTH=4)
    for kind in ("plain", "He init", "BatchNorm", "shortcuts"):
        got = functions.layer_gradients(kind, 1)
        torch.manual_seed(1)
        stem, head = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Linear(8, 10)
        convs = [torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(4)]
        chosen = torch.randperm(20)
        x, inputs, outputs = stem(images[chosen]), [], []
        for conv in convs:
            weight, bias = conv.weight, conv.bias
            if kind == "He init":
                weight, bias = torch.randn(8, 8, 3, 3) * (2 / 72) ** 0.5, None
            inputs.append(x)
            outputs.append(f := F.conv2d(x, weight, bias, padding=1))
            if kind == "BatchNorm":
                mean, var = f.mean((0, 2, 3), True), f.var((0, 2, 3), correction=0, keepdim=True)
                f = (f - mean) / (var + 1e-5).sqrt()
            x = f * (f > 0) + (x if kind == "shortcuts" else 0)
        loss = -head(x.mean((2, 3))).log_softmax(1)[torch.arange(20), labels[chosen]].mean()
        grads = torch.autograd.grad(loss, outputs)
        norms = [
            torch.nn.grad.conv2d_weight(x, (8, 8, 3, 3), g, padding=1).norm() for x, g in zip(inputs, grads)
        ]
        if not close(got, torch.stack(norms).detach()):
            return False
    return True


NETWORKS = {
    "gradient_accumulation": (accumulation_agrees, [
        ("net.zero_grad()", "pass"),
        ("(weight(part) * loss)", "loss"),
        ("labels[part])", "labels[part], reduction='sum')"),
    ]),
    "gradient_flow": (flow_agrees, [
        ("x + F.relu(f) if kind", "x + f if kind"),
        ("x.mean((2, 3))", "x.amax((2, 3))"),
        ('if kind == "BatchNorm"', 'if kind == "plain"'),
        ('nonlinearity="relu"', 'nonlinearity="linear"'),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("technique", NETWORKS)
def test_gradients_of_networks(technique):
    agrees, defects = NETWORKS[technique]
    assert agrees(load_functions(f"backpropagation/{technique}"))
    for defect in defects:
        assert not agrees(load_functions(f"backpropagation/{technique}", defect)), defect
