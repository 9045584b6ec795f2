"""Quantization against ONNX Runtime's operators, torch's fake quantization and brute force."""

import numpy as np
import torch
from onnxruntime.quantization.quant_utils import compute_scale_zp
from scipy.stats import entropy
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

from tests.oracles.onnx_operators import in_onnx
from tests.oracles.oracle import Defect, Oracle, agree, load_functions

# --- affine map ------------------------------------------------------------------------


def values_and_grids():
    """Also ties, and values far outside."""
    for qmin, qmax in ((-128, 127), (0, 255)):
        for s, z in ((0.25, 3), (0.5, -7 if qmin else 9), (2.0, 0)):
            x = torch.cat([torch.arange(-2000, 2000) * s / 4, 60 * torch.randn(500)])
            yield x.float().double(), s, z, qmin, qmax  # ORT's input type


def quantize_linear(x, s, z, qmin, qmax):
    kind, dtype = ("int8", np.int8) if qmin else ("uint8", np.uint8)
    graph = f"(float[N] x, float s, {kind} z) => ({kind}[N] y) {{ y = QuantizeLinear(x, s, z) }}"
    return in_onnx(graph, x=x.float(), s=np.float32(s), z=dtype(z))


def dequantize_linear(q, s, z):
    kind, dtype = ("int8", np.int8) if q.min() < 0 else ("uint8", np.uint8)
    graph = f"({kind}[N] q, float s, {kind} z) => (float[N] y) {{ y = DequantizeLinear(q, s, z) }}"
    return in_onnx(graph, q=q.numpy().astype(dtype), s=np.float32(s), z=dtype(z))


def ranges():
    drawn = torch.randn(200, 2).sort(1).values + torch.randn(200, 1)
    edges = [*drawn.tolist(), (0.0, 1.0), (-3.0, -1.0), (2.0, 5.0)]  # without zero: widened to it
    return ((lo, hi, *q) for lo, hi in edges for q in ((-128, 127), (0, 255), (-8, 7)))


def scale_and_zero(lo, hi, qmin, qmax):
    limits = np.float64(min(lo, 0)), np.float64(max(hi, 0)), np.int64(qmin), np.int64(qmax)
    return compute_scale_zp(*limits)[::-1]


# --- weights, rounding noise -----------------------------------------------------------


def fake(w, bits, scales):
    """Torch's fake quantization, with one scale for each of so many equal parts of w."""
    rows, top = w.reshape(scales, -1), 2 ** (bits - 1) - 1
    s, zero = rows.detach().abs().amax(1) / top, torch.zeros(scales, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(rows, s.float(), zero, 0, -top, top).view_as(w)


def weights():
    for bits in (2, 3, 4, 8):
        w = torch.randn(12, 3, 3, 3) * torch.logspace(-1, 2, 12).view(-1, 1, 1, 1)
        yield from ((w, bits, scales) for scales in (12, 3, 1))


def weight_defects(where):
    return [
        Defect("bits - 1) - 1", "bits - 1)", where),
        Defect(".abs().amax(1)", ".amax(1)", where),
        Defect(".round()", ".floor()", where),
    ]


def straight_through(code):
    """Value and gradient equal those of torch's fake quantization."""
    w = torch.randn(6, 2, 3, 3, requires_grad=True)
    g, ours, theirs = torch.randn_like(w), code.straight_through(w), fake(w, 2, 6)
    agree(ours, theirs, 1e-7)
    agree(*(torch.autograd.grad(y, w, g)[0] for y in (ours, theirs)))


def clipped_noise():
    return ((torch.randn(1, 300), c, bits) for bits, c in ((1, 1.0), (2, 1.0), (3, 2.5), (6, 0.7)))


def nearest_level(x, c, bits):
    levels = -c + (torch.arange(2**bits) + 0.5) * 2 * c / 2**bits
    return levels[(x[..., None] - levels).abs().argmin(-1)]


# --- layers ----------------------------------------------------------------------------


@torch.no_grad()
def fold(code):
    for options in ({}, {"bias": False}, {"groups": 4, "stride": 2, "padding": 1}, {"dilation": 2}):
        conv, bn, x = nn.Conv2d(4, 8, 3, **options), nn.BatchNorm2d(8, eps=0.1), torch.randn(2, 4, 9, 9)
        bn.weight.normal_(), bn.bias.normal_(), bn.running_mean.normal_(), bn.running_var.uniform_(0.01, 4)
        agree(code.fold(conv, bn)(x), fuse_conv_bn_eval(conv.eval(), bn.eval())(x))


def integer_layers():
    for zx in (0, 11, 255):
        qx, qw = torch.randint(0, 256, (2, 5, 7, 6)).int(), torch.randint(-127, 128, (4, 5, 3, 3)).int()
        yield qx, zx, qw, torch.randint(-5000, 5000, (4,)).int()


def exact_sums(qx, zx, qw, qb):
    return nn.functional.conv2d((qx - zx).double(), qw.double(), qb.double(), padding=1)


def requantize(code):
    """QLinearConv's outputs, up to a rare tie of one step."""
    sx, sw, sy, zy = np.float32(0.02), np.float32([0.01, 0.003, 0.1, 0.02]), np.float32(1.5), 120
    graph = """(uint8[N, 5, 7, 6] x, float sx, uint8 zx, int8[4, 5, 3, 3] w, float[4] sw, int8[4] zw,
        float sy, uint8 zy, int32[4] b) => (uint8[N, 4, 7, 6] y)
        { y = QLinearConv <pads = [1, 1, 1, 1]> (x, sx, zx, w, sw, zw, sy, zy, b) }"""
    for qx, zx, qw, qb in integer_layers():
        scales = {"sx": sx, "zx": np.uint8(zx), "sw": sw, "zw": np.zeros(4, np.int8), "sy": sy}
        theirs = in_onnx(graph, x=qx.byte(), w=qw.char(), zy=np.uint8(zy), b=qb, **scales)
        m = torch.from_numpy(sw.astype(float) * float(sx) / float(sy))
        ours = code.requantize(exact_sums(qx, zx, qw, qb).int(), *code.fixed_point(m), zy)
        step = (ours - torch.from_numpy(theirs).int()).abs()
        assert step.max() <= 1 and (step > 0).double().mean() <= 0.01


def fixed_point(code):
    """An int32 with its top bit used, and the real multiplier within 2**-31 of itself."""
    m = torch.cat([torch.logspace(-6, 0, 200)[:-1], 2.0 ** -torch.arange(1, 20)])
    m0, n = code.fixed_point(m)
    assert (m0 >= 2**30).all() and (m0 < 2**31).all()
    assert ((m0 / 2.0 ** (n + 31) - m).abs() <= m * 2.0**-31).all()


# --- calibration -----------------------------------------------------------------------


def histograms():
    for gap in (96, 96, 96, 3, 7):  # the last two have empty bins everywhere
        h = torch.poisson(30 * torch.exp(-torch.arange(96) / 12.0))
        h[gap::gap] = 0
        yield from ((h, m, levels) for m, levels in ((7, 7), (40, 7), (96, 15)))


def divergence_by_loops(h, m, levels):
    p, q = h[:m].tolist(), [0.0] * m
    p[-1] += float(h[m:].sum())
    for level in range(levels):
        bins = [b for b in range(m) if b * levels // m == level]
        seen = [b for b in bins if h[b] > 0]
        for b in seen:
            q[b] = sum(float(h[i]) for i in bins) / len(seen)
    q = np.maximum(np.array(q) / float(h[:m].sum()), 1e-12)
    p = np.array(p) / float(h.sum())
    found = float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0])))
    if (q > 1e-12).all():  # then a divergence of distributions
        agree(found, entropy(p, q))
    return found


def activations():
    for bits in (2, 4):
        a = torch.randn(2, 400).relu() * torch.tensor([[1.0], [5.0]])
        a[:, 0] *= 9
        yield a, bits


def least_squares(a, bits):
    """Every value against every level of every grid."""
    tops = a.amax(1)[:, None] * torch.linspace(0.01, 1, 100)
    grids = tops[..., None] / (2**bits - 1) * torch.arange(2**bits)  # (2, 100, levels)
    errors = (a[:, None, :, None] - grids[:, :, None]).square().amin(3).mean(2)
    return tops.gather(1, errors.argmin(1, keepdim=True))[:, 0]


# --- counting --------------------------------------------------------------------------


def mobilenet_counts(code):
    """Equal to torch's own, on the other snippet's network."""
    net, values = load_functions("quantization/memory_footprint").mobilenet("meta"), []
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(lambda _, x, y: values.append(x[0].numel() + y.numel()))
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, 3, 224, 224, device="meta"))
    parameters = sum(p.numel() for p in net.parameters() if p.dim() > 1)
    want = counter.get_total_flops() / 2, parameters, sum(values)
    assert tuple(map(sum, zip(*code.mobilenet(224), strict=True))) == want


def mobilenet_network(code):
    net = code.mobilenet("meta")
    weights = sum(p.numel() for p in net.parameters() if p.dim() > 1)
    assert weights == 3_185_088 + 1024 * 1000  # Keras's MobileNet: its convolutions, its classifier
    assert code.peak_values(net, 224) == 112 * 112 * (32 + 64)  # the first pointwise layer


def int8_state(code):
    """It gives the weights back, to half a step."""
    state = nn.Conv2d(3, 8, 3).state_dict()
    state["weight"][0] = 0
    packed = code.as_int8(state)
    s = packed["weight.scale"].view(-1, 1, 1, 1)
    assert (packed["weight"].dtype, packed["bias"].dtype) == (torch.int8, torch.int32)
    assert ((s * packed["weight"] - state["weight"]).abs() <= s / 2 + 1e-9).all()


ORACLES = [
    Oracle(
        "affine_quantization",
        function="quantize",
        reference=quantize_linear,
        cases=values_and_grids,
        defects=[
            Defect("torch.round(x / s) + z", "torch.floor(x / s + 0.5) + z"),  # half up
            Defect("torch.round(x / s) + z", "torch.round(x / s + z)"),  # ties depend on z
            Defect("q.clamp(qmin, qmax).to(torch.int64)", "q.to(torch.int64)"),
        ],
    ),
    Oracle(
        "affine_quantization",
        function="dequantize",
        reference=dequantize_linear,
        cases=lambda: ((torch.arange(qmin, qmax + 1), s, z) for _, s, z, qmin, qmax in values_and_grids()),
        defects=[Defect("s * (q - z)", "s * q")],
    ),
    Oracle(
        "affine_quantization",
        function="parameters",
        reference=scale_and_zero,
        cases=ranges,
        defects=[
            Defect("lo, hi = min(lo, 0.0), max(hi, 0.0)", "pass"),
            Defect("qmin - round(lo / s)", "qmax - round(lo / s)"),
            Defect("(qmax - qmin)", "(qmax - qmin + 1)"),
        ],
    ),
    Oracle(
        "bits_and_accuracy",
        function="quantized",
        reference=fake,
        cases=weights,
        tolerance=1e-7,
        defects=weight_defects("quantized"),
    ),
    Oracle(
        ["per_channel_scales", "batch_norm_folding"],
        function="quantized",
        reference=lambda w, scales, bits: fake(w, bits, scales),
        cases=lambda: ((w, scales, bits) for w, bits, scales in weights()),
        tolerance=1e-7,
        defects=weight_defects("quantized"),
    ),
    Oracle(
        "quantization_aware_training",
        function="rounded",
        reference=lambda w, bits: fake(w, bits, len(w)),
        cases=lambda: ((w, bits) for w, bits, _ in weights()),
        tolerance=1e-7,
        defects=weight_defects("rounded"),
    ),
    Oracle(
        "quantization_aware_training",
        straight_through,
        defects=[
            Defect("w + (rounded(w) - w).detach()", new)
            for new in ("rounded(w)", "w + (rounded(w) - w)", "w")
        ],
    ),
    Oracle(
        "error_per_bit",
        function="quantized",
        reference=nearest_level,
        cases=clipped_noise,
        defects=[Defect("torch.floor", "torch.round"), Defect("-c + s / 2, c - s / 2", "-c, c")],
    ),
    Oracle(
        "batch_norm_folding",
        fold,
        defects=[
            Defect("bn.running_var + bn.eps", "bn.running_var"),
            Defect("gain * (bias - bn.running_mean)", "gain * bias - bn.running_mean"),
            Defect("bn.weight / ", "1 / "),
            Defect("conv.stride,", "1,"),
            Defect("0 if conv.bias is None else conv.bias", "0"),
        ],
    ),
    Oracle(
        "integer_convolution",
        function="integer_sums",
        reference=exact_sums,
        cases=integer_layers,
        defects=[
            Defect("value=zx", "value=0"),  # pads with a number that does not mean zero
            Defect("qb - shift", "qb + shift"),
        ],
    ),
    Oracle(
        "integer_convolution",
        requantize,
        defects=[
            Defect(" + (1 << (n - 1))", ""),  # rounds down
            Defect("(product >> n) + zy", "product >> n"),
            Defect("n = (n + 31)", "n = (n + 30)"),
        ],
    ),
    Oracle("integer_convolution", fixed_point, defects=[Defect("torch.round(m *", "torch.floor(m *")]),
    Oracle(
        "calibration",
        function="divergence",
        reference=divergence_by_loops,
        cases=histograms,
        defects=[
            Defect("p[-1] += h[m:].sum()", "pass"),
            Defect("used.clamp(min=1)", "1"),
            Defect("* seen / h", "/ h"),
            Defect("(p / q.clamp", "(q / p.clamp"),
        ],
    ),
    Oracle(
        "calibration",
        function="mse",
        reference=least_squares,
        cases=activations,
        tolerance=1e-12,
        defects=[Defect("argmin(0)", "argmax(0)"), Defect(".clamp(max=n)", "")],
    ),
    Oracle(
        "energy_model",
        mobilenet_counts,
        defects=[
            Defect("h * h * 9 * c, 9 * c", "h * h * 9 * c * c, 9 * c"),  # not depthwise
            Defect("read + h * h * c", "2 * h * h * c"),  # a stride reads more than it writes
            Defect("h * h * c * o, c * o", "h * h * c * o, c"),
            Defect("h, c = size // 2, 32", "h, c = size, 32"),
        ],
    ),
    Oracle(
        "memory_footprint",
        mobilenet_network,
        defects=[Defect(", groups=groups", ""), Defect("x.numel() + y.numel()", "2 * x.numel()")],
    ),
    Oracle(
        "memory_footprint",
        int8_state,
        defects=[
            Defect("/ 127", "/ 255"),
            Defect(".abs().amax(1)", ".amax(1)"),
            Defect("torch.round(w /", "torch.floor(w /"),
        ],
    ),
]
