"""Backpropagation: hand-written gradients against torch.nn.grad, autograd and finite differences, the
losses of boxes against a count of unit squares."""

import itertools

import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.oracles.oracle import Defect, Oracle, agree

# --- layers ----------------------------------------------------------------------------


def convolutions():
    """Kernels, strides, paddings and odd sizes, with a gradient from above."""
    sizes = [(7, 7), (8, 5), (5, 9)]
    for size, k, stride, padding in itertools.product(sizes, (1, 2, 3, 5), (1, 2, 3), (0, 1, 2)):
        x, w = torch.randn(2, 3, *size), torch.randn(4, 3, k, k)
        g = torch.randn_like(F.conv2d(x, w, stride=stride, padding=padding))
        yield x, w, g, stride, padding


def exact_weight_gradient(x, g, k, stride, padding):
    return torch.nn.grad.conv2d_weight(x, (g.shape[1], x.shape[1], k, k), g, stride, padding)


def exact_input_gradient(size, w, g, stride, padding):
    return torch.nn.grad.conv2d_input((len(g), w.shape[1], *size), w, g, stride, padding)


def poolings():
    """With ties (in the limit all equal), overlap and uncovered borders."""
    for k, stride, levels in itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 5, 1000)):
        x = torch.randint(levels, (9, 8)).double()
        yield x, torch.randn((9 - k) // stride + 1, (8 - k) // stride + 1), k, stride


def by_winner(x, g, k, stride):
    """torch's own gradient, which is its indices' too."""
    x = x.clone().requires_grad_()
    y, winner = F.max_pool2d(x[None, None], k, stride, return_indices=True)
    (exact,) = torch.autograd.grad(y[0, 0], x, g)
    agree(exact, torch.zeros(72).index_add(0, winner.flatten(), g.flatten()).view(9, 8))
    return exact


def normalized_batches():
    for n, c, size in [(2, 1, 1), (3, 2, 4), (8, 5, 3), (2, 3, 7)]:
        x = 2 * torch.randn(n, c, size, size) - 1
        yield x, torch.randn(c), torch.randn_like(x)
    yield torch.ones(2, 1, 3, 3), torch.ones(1), torch.randn(2, 1, 3, 3)  # no variance


def batchnorm_by_autograd(x, gamma, g):
    inputs = [v.clone().requires_grad_() for v in (x, gamma, torch.randn_like(gamma))]
    y = F.batch_norm(inputs[0], None, None, *inputs[1:], training=True, eps=1e-5)
    return torch.autograd.grad(y, inputs, g)


# --- losses ----------------------------------------------------------------------------


def labeled_pixels():
    for k, share in itertools.product((2, 5), (0.0, 0.3, 0.9)):
        labels = torch.randint(k, (3, 4, 6))
        labels[torch.rand(3, 4, 6) < share] = 255
        labels[0, 0, 0] = 0  # at least one labeled pixel
        yield torch.randn(3, k, 4, 6), labels


def pixels_by_autograd(logits, labels):
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(logits, labels, ignore_index=255), logits)[0]


def boxes():
    """With whole-number corners: apart, touching, overlapping, nested, equal."""
    yield torch.tensor([[0.0, 0, 3, 3], [3, 0, 5, 3]])
    yield torch.tensor([[1.0, 1, 4, 4], [1, 1, 4, 4]])
    for _ in range(200):
        corners, sides = torch.randint(0, 6, (2, 2)), torch.randint(1, 6, (2, 2))
        yield torch.cat([corners, corners + sides], 1).double()


def squares(box):
    """The unit squares inside a box."""
    x1, y1, x2, y2 = box.int().tolist()
    mask = torch.zeros(12, 12, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def counted_losses(a, b):
    inner, union = (squares(a) & squares(b)).sum(), (squares(a) | squares(b)).sum()
    hull = squares(torch.cat([torch.minimum(a, b)[:2], torch.maximum(a, b)[2:]])).sum()
    return 1 - inner / union, 1 - inner / union + (hull - union) / hull


# --- networks --------------------------------------------------------------------------


def parameters():
    return [torch.randn(*shape) / 3 for shape in [(8, 9), (8, 1), (128, 10), (10,)]]


def trained_network(code):
    """The forward pass is the network that the page names."""
    w, b, v, c = parameters()
    for n in (1, 3):
        x = torch.randn(n, 1, 8, 8)
        h = F.max_pool2d(F.conv2d(x, w.view(8, 1, 3, 3), b.flatten(), padding=1).relu(), 2)
        agree(code.forward((w, b, v, c), x)[0], h.flatten(1) @ v + c)


def network_gradients(code):
    """All four gradients by autograd and by finite differences of the loss."""
    params = parameters()
    for n in (1, 5):
        x, labels = torch.randn(n, 1, 8, 8), torch.randint(10, (n,))

        def loss(*values, x=x, labels=labels):
            return F.cross_entropy(code.forward(values, x)[0], labels)

        logits, saved = code.forward(params, x)
        mine = code.backward(params, saved, logits, labels)
        twins = [p.clone().requires_grad_() for p in params]
        agree(mine, torch.autograd.grad(loss(*twins), twins))
        # Finite differences along one random direction see the forward pass only.
        way = [1e-6 * torch.randn_like(p) for p in params]
        slope = sum((g * d).sum() for g, d in zip(mine, way, strict=True))
        rise = loss(*map(torch.add, params, way)) - loss(*map(torch.sub, params, way))
        assert abs(rise / 2 - slope) < 1e-11


def leaky_relu(code):
    """torch's gradcheck on the layer itself, with values away from the kink."""
    x = torch.randn(6, 6)
    x = torch.where(x.abs() < 0.01, x + 0.1, x).requires_grad_()
    y = code.Leaky.apply(x)
    agree(y, F.leaky_relu(x, 0.1))

    def passes(f):
        return gradcheck(f, (x,), raise_exception=False)

    assert passes(lambda x: code.Leaky.apply(x).square())
    code.Leaky.wrong = True
    # Square: gradient and input share their sign. A blind spot
    assert passes(lambda x: code.Leaky.apply(x).square())
    assert not passes(lambda x: -code.Leaky.apply(x))


def quadratic_slope(code):
    for shape in [(3, 4), (1,), (2, 1, 3)]:
        matrix = torch.randn(shape)
        agree(code.central_difference(lambda w, m=matrix: (w * m * w).sum(), matrix, 1e-3), 2 * matrix**2)


def accumulated_gradient(code):
    """The gradient of the whole weighted sum, from one graph."""
    layers = torch.nn.Linear(16, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)
    net = torch.nn.Sequential(torch.nn.Flatten(), *layers)
    log_p = net(code.images).log_softmax(1)[torch.arange(30), code.labels]
    for sizes, weight in (
        ((30,), lambda p: 1),
        ((4, 20, 6), lambda p: len(p) / 30),
        ((10, 20), lambda p: 0.5),
    ):
        parts = torch.arange(30).split(sizes)
        total = -sum(weight(p) * log_p[p].mean() for p in parts)
        want = torch.autograd.grad(total, list(net.parameters()), retain_graph=True)
        agree(code.gradient(net, parts, weight), torch.cat([g.flatten() for g in want]))


def layer_gradients(code):
    """The same draws; norm, ReLU and loss written out; weights' gradients from torch.nn.grad. By their
    ratio: in the plain net they vanish."""
    for kind in ("plain", "He init", "BatchNorm", "shortcuts"):
        got = code.layer_gradients(kind, 1)
        torch.manual_seed(1)
        stem, head = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Linear(8, 10)
        convs = [torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(code.DEPTH)]
        chosen = torch.randperm(20)
        x, inputs, outputs = stem(code.images[chosen]), [], []
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
        loss = -head(x.mean((2, 3))).log_softmax(1)[torch.arange(20), code.labels[chosen]].mean()
        pairs = zip(inputs, torch.autograd.grad(loss, outputs), strict=True)
        want = [torch.nn.grad.conv2d_weight(x, (8, 8, 3, 3), g, padding=1).norm() for x, g in pairs]
        agree(got / torch.stack(want), torch.ones(code.DEPTH))


ORACLES = [
    Oracle(
        "conv_gradients",
        function="weight_gradient",
        reference=exact_weight_gradient,
        cases=lambda: ((x, g, w.shape[-1], *rest) for x, w, g, *rest in convolutions()),
        defects=[
            Defect("padding=padding, stride=stride)", "padding=0, stride=stride)", crashes=RuntimeError),
            Defect("patches)", "patches) / len(x)"),  # averaged, not summed
        ],
    ),
    Oracle(
        "conv_gradients",
        function="input_gradient",
        reference=exact_input_gradient,
        cases=lambda: ((x.shape[2:], *rest) for x, *rest in convolutions()),
        defects=[
            Defect("window += ", "window[:] = "),  # overlapping stamps overwrite
            Defect('"nk,kcij->ncij", g[:, :, i, j], w', '"nk,kcij->ncij", g[:, :, i, j], w.flip(2, 3)'),
            Defect("i * stride : i * stride + k", "i : i + k"),  # stride forgotten
            Defect("dx[:, :, padding : padding + size[0], ", "dx[:, :, : size[0], "),  # padding kept
        ],
    ),
    Oracle(
        "max_pool_routing",
        function="max_pool_gradient",
        reference=by_winner,
        cases=poolings,
        defects=[
            Defect("column] += g", "column] = g"),  # overlap overwrites
            Defect("window.max()", "window.min()"),
            Defect("divmod(first, k)", "divmod(first, k)[::-1]"),
            Defect("j * stride + column", "j * k + column"),
            Defect(
                "first = window.flatten().tolist().index(window.max())",
                "first = k * k - 1 - window.flatten().tolist()[::-1].index(window.max())",  # last tie
            ),
        ],
    ),
    Oracle(
        "batchnorm_gradient",
        function="batchnorm_backward",
        reference=batchnorm_by_autograd,
        cases=normalized_batches,
        defects=[
            Defect("correction=0", "correction=1"),
            Defect("(centered - scaled)", "centered"),
            Defect("centered = g - g.mean(dims, keepdim=True)", "centered = g"),
            Defect("gamma.view(shape) / sigma", "1 / sigma"),
            Defect("(g * x_hat).sum(dims), g.sum(dims)", "(g * x).sum(dims), g.sum(dims)"),
        ],
    ),
    Oracle(
        "loss_gradients",
        function="pixel_gradient",
        reference=pixels_by_autograd,
        cases=labeled_pixels,
        defects=[
            Defect("known.sum()", "known.numel()"),
            Defect(" * known[:, None]", ""),
            Defect("logits.softmax(1)", "logits.softmax(2)"),
        ],
    ),
    Oracle(
        "loss_gradients",
        function="box_losses",
        reference=counted_losses,
        cases=boxes,
        defects=[
            Defect(".clamp(min=0)", ""),
            Defect(".prod() - inner", ".prod()"),
            Defect("torch.minimum(a[:2], b[:2])", "torch.maximum(a[:2], b[:2])"),
        ],
    ),
    Oracle("train_by_hand", trained_network, defects=[Defect("w @ patches + b", "w @ patches")]),
    Oracle(
        "train_by_hand",
        network_gradients,
        defects=[
            Defect(" / len(labels)", ""),
            Defect("d = d * (z > 0)", "d = d"),
            Defect("d.sum((0, 2))[:, None], dv", "d.sum(2).mean(0)[:, None], dv"),
            Defect("winner[:, :, None], d)", "winner[:, :, None] * 0, d)"),
            Defect("flat.T @ d", "flat.T @ d * 0.5"),
        ],
    ),
    Oracle("gradient_check", leaky_relu, defects=[Defect("x > 0, g, 0.1 * g", "x > 0, g, 0.2 * g")]),
    Oracle("gradient_check", quadratic_slope, defects=[Defect("(2 * h)", "h")]),
    Oracle(
        "gradient_accumulation",
        accumulated_gradient,
        data=lambda: {"images": torch.randn(30, 1, 4, 4), "labels": torch.arange(30) % 3},
        defects=[
            Defect("net.zero_grad()", "pass"),
            Defect("(weight(part) * loss)", "loss"),
            Defect("labels[part])", "labels[part], reduction='sum')"),
        ],
    ),
    Oracle(
        "gradient_flow",
        layer_gradients,
        data=lambda: {"images": torch.randn(20, 1, 8, 8), "labels": torch.arange(20) % 10},
        defects=[
            Defect("x + F.relu(f) if kind", "x + f if kind"),
            Defect("x.mean((2, 3))", "x.amax((2, 3))"),
            Defect('if kind == "BatchNorm"', 'if kind == "plain"'),
            Defect('nonlinearity="relu"', 'nonlinearity="linear"'),
        ],
    ),
]
