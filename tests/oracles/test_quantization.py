"""Oracles for quantization: ONNX Runtime's operators, torch's fake quantization, brute force.

Each check says whether a snippet's functions agree with the oracle; planted defects must make it
disagree.
"""

import numpy as np
import pytest
import torch
from tests.oracles.onnx_operators import in_onnx
from onnxruntime.quantization.quant_utils import compute_scale_zp
from scipy.stats import entropy
from tests.snippet_functions import load_functions
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode


def load(technique, defect=None):
    return load_functions(f"quantization/{technique}", defect)


# --- Affine map ------------------------------------------------------------------------


def affine_agrees(code) -> bool:
    """Codes equal QuantizeLinear's, values DequantizeLinear's, also at ties and far outside."""
    for kind, dtype, qmin, qmax in (("int8", np.int8, -128, 127), ("uint8", np.uint8, 0, 255)):
        for s, z in ((0.25, 3), (0.5, -7 if qmin else 9), (2.0, 0)):
            x = torch.cat([torch.arange(-2000, 2000) * s / 4, 60 * torch.randn(500)])
            x = x.float().double()  # ORT's input type
            scale, zero = np.float32(s), dtype(z)
            graph = f"(float[N] x, float s, {kind} z) => ({kind}[N] y) {{ y = QuantizeLinear(x, s, z) }}"
            theirs = in_onnx(graph, x=x.float().numpy(), s=scale, z=zero)
            q = code.quantize(x, s, z, qmin, qmax)
            graph = f"({kind}[N] q, float s, {kind} z) => (float[N] y) {{ y = DequantizeLinear(q, s, z) }}"
            values = in_onnx(graph, q=theirs, s=scale, z=zero)
            if (q.numpy() != theirs).any() or (code.dequantize(q, s, z).numpy() != values).any():
                return False
    return True


def parameters_agree(code) -> bool:
    """Scale and zero point equal ONNX Runtime's; a range without zero is widened to it."""
    ranges = torch.randn(200, 2).sort(1).values + torch.randn(200, 1)
    for lo, hi in [*ranges.tolist(), (0.0, 1.0), (-3.0, -1.0), (2.0, 5.0)]:
        for qmin, qmax in ((-128, 127), (0, 255), (-8, 7)):
            s, z = code.parameters(lo, hi, qmin, qmax)
            theirs = compute_scale_zp(
                np.float64(min(lo, 0)), np.float64(max(hi, 0)), np.int64(qmin), np.int64(qmax)
            )
            if abs(s - theirs[1]) > 1e-9 or abs(z - theirs[0]) > 0 or not qmin <= z <= qmax:
                return False
    return True


def test_affine_map():
    assert affine_agrees(load("affine_quantization"))
    assert parameters_agree(load("affine_quantization"))


@pytest.mark.parametrize(
    "defect",
    [
        ("torch.round(x / s) + z", "torch.floor(x / s + 0.5) + z"),  # half up
        ("torch.round(x / s) + z", "torch.round(x / s + z)"),  # ties depend on z
        ("q.clamp(qmin, qmax).to(torch.int64)", "q.to(torch.int64)"),
        ("s * (q - z)", "s * q"),
    ],
)
def test_affine_defects_are_caught(defect):
    assert not affine_agrees(load("affine_quantization", defect))


@pytest.mark.parametrize(
    "defect",
    [
        ("lo, hi = min(lo, 0.0), max(hi, 0.0)", "pass"),
        ("qmin - round(lo / s)", "qmax - round(lo / s)"),
        ("(qmax - qmin)", "(qmax - qmin + 1)"),
    ],
)
def test_parameter_defects_are_caught(defect):
    assert not parameters_agree(load("affine_quantization", defect))


# --- Weights: one scale per tensor or per channel ----------------------------------------

WEIGHTS = {
    "bits_and_accuracy": lambda code, w, bits: code.quantized(w, bits, len(w)),
    "per_channel_scales": lambda code, w, bits: code.quantized(w, len(w), bits),
    "batch_norm_folding": lambda code, w, bits: code.quantized(w, len(w), bits),
    "quantization_aware_training": lambda code, w, bits: code.rounded(w, bits),
}


def fake(w, bits):
    top = 2 ** (bits - 1) - 1
    s = w.detach().flatten(1).abs().amax(1) / top
    zero = torch.zeros(len(w), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(w, s.float(), zero, 0, -top, top)


def weights_agree(code, call) -> bool:
    for bits in (2, 3, 4, 8):
        w = torch.randn(12, 3, 3, 3) * torch.logspace(-2, 1, 12).view(-1, 1, 1, 1)
        step = w.flatten(1).abs().amax(1).view(-1, 1, 1, 1) / (2 ** (bits - 1) - 1)
        gap = (call(code, w, bits) - fake(w, bits)) / step
        if gap.abs().max() > 1e-4:
            return False
    return True


@pytest.mark.parametrize("technique", WEIGHTS)
def test_weights_equal_torch(technique):
    assert weights_agree(load(technique), WEIGHTS[technique])


@pytest.mark.parametrize("technique", WEIGHTS)
@pytest.mark.parametrize(
    "defect", [("bits - 1) - 1", "bits - 1)"), (".abs().amax(1)", ".amax(1)"), (".round()", ".floor()")]
)
def test_weight_defects_are_caught(technique, defect):
    assert not weights_agree(load(technique, defect), WEIGHTS[technique])


def straight_through_agrees(code) -> bool:
    """Value and gradient equal those of torch's fake quantization."""
    w = torch.randn(6, 2, 3, 3, requires_grad=True)
    g = torch.randn_like(w)
    ours, theirs = code.straight_through(w), fake(w, 2)
    grads = [torch.autograd.grad(y, w, g)[0] if y.requires_grad else 0 * g for y in (ours, theirs)]
    return torch.allclose(ours, theirs, atol=1e-5) and torch.allclose(*grads)


def test_straight_through():
    name = "quantization_aware_training"
    assert straight_through_agrees(load(name))
    for new in ("rounded(w)", "w + (rounded(w) - w)", "w"):
        assert not straight_through_agrees(load(name, ("w + (rounded(w) - w).detach()", new)))


# --- Rounding noise ----------------------------------------------------------------------


def nearest_agrees(code) -> bool:
    """Values go to the nearest of 2**bits midpoints, found by trying all."""
    for bits, c in ((2, 1.0), (3, 2.5), (6, 0.7)):
        x = torch.randn(1, 300)
        levels = -c + (torch.arange(2**bits) + 0.5) * 2 * c / 2**bits
        nearest = levels[(x[0, :, None] - levels).abs().argmin(1)]
        if not torch.allclose(code.quantized(x, c, bits)[0], nearest):
            return False
    return True


def test_rounding_to_the_nearest_level():
    assert nearest_agrees(load("error_per_bit"))
    for defect in (("torch.floor", "torch.round"), ("-c + s / 2, c - s / 2", "-c, c")):
        assert not nearest_agrees(load("error_per_bit", defect))


# --- Folding -----------------------------------------------------------------------------


def folding_agrees(code) -> bool:
    for options in ({}, {"bias": False}, {"groups": 4, "stride": 2, "padding": 1}, {"dilation": 2}):
        conv, bn = nn.Conv2d(4, 8, 3, **options), nn.BatchNorm2d(8, eps=0.1)
        with torch.no_grad():
            bn.weight.normal_(), bn.bias.normal_(), bn.running_mean.normal_()
            bn.running_var.uniform_(0.01, 4)
            ours, theirs = code.fold(conv, bn), fuse_conv_bn_eval(conv.eval(), bn.eval())
            x = torch.randn(2, 4, 9, 9)
            ours, theirs = ours(x), theirs(x)
            if ours.shape != theirs.shape or not torch.allclose(ours, theirs):
                return False
    return True


@pytest.mark.parametrize(
    "defect",
    [
        ("bn.running_var + bn.eps", "bn.running_var"),
        ("gain * (bias - bn.running_mean)", "gain * bias - bn.running_mean"),
        ("bn.weight / ", "1 / "),
        ("conv.stride,", "1,"),
        ("0 if conv.bias is None else conv.bias", "0"),
    ],
)
def test_folding(defect):
    assert folding_agrees(load("batch_norm_folding"))
    assert not folding_agrees(load("batch_norm_folding", defect))


# --- Integer convolution -----------------------------------------------------------------


def integers_agree(code) -> bool:
    """Sums equal a 64-bit convolution, outputs QLinearConv's up to a rare tie of one step."""
    for zx in (0, 11, 255):
        qx, qw = torch.randint(0, 256, (2, 5, 7, 6)), torch.randint(-127, 128, (4, 5, 3, 3))
        qx, qw, qb = qx.int(), qw.int(), torch.randint(-5000, 5000, (4,)).int()
        sums = code.integer_sums(qx, zx, qw, qb)
        exact = nn.functional.conv2d((qx - zx).double(), qw.double(), qb.double(), padding=1)
        if (sums != exact).any():
            return False
        sx, sw, sy, zy = np.float32(0.02), np.float32([0.01, 0.003, 0.1, 0.02]), np.float32(1.5), 120
        graph = """(uint8[N, 5, 7, 6] x, float sx, uint8 zx, int8[4, 5, 3, 3] w, float[4] sw, int8[4] zw,
            float sy, uint8 zy, int32[4] b) => (uint8[N, 4, 7, 6] y)
            { y = QLinearConv <pads = [1, 1, 1, 1]> (x, sx, zx, w, sw, zw, sy, zy, b) }"""
        theirs = in_onnx(
            graph, x=qx.numpy().astype(np.uint8), sx=sx, zx=np.uint8(zx), w=qw.numpy().astype(np.int8),
            sw=sw, zw=np.zeros(4, np.int8), sy=sy, zy=np.uint8(zy), b=qb.numpy(),
        )  # fmt: skip
        m = torch.from_numpy(sw.astype(float) * float(sx) / float(sy))
        step = (code.requantize(sums, *code.fixed_point(m), zy) - torch.from_numpy(theirs).int()).abs()
        if step.max() > 1 or (step > 0).double().mean() > 0.01:
            return False
    return True


def test_fixed_point_multiplier():
    """An int32 with its top bit used, and the real multiplier within 2**-31 of itself."""
    m = torch.cat([torch.logspace(-6, 0, 200)[:-1], 2.0 ** -torch.arange(1, 20)])
    m0, n = load("integer_convolution").fixed_point(m)
    assert (m0 >= 2**30).all() and (m0 < 2**31).all()
    assert ((m0 / 2.0 ** (n + 31) - m).abs() <= m * 2.0**-30).all()


@pytest.mark.parametrize(
    "defect",
    [
        ("value=zx", "value=0"),  # pads with a number that does not mean zero
        ("qb - shift", "qb + shift"),
        (" + (1 << (n - 1))", ""),  # rounds down
        ("(product >> n) + zy", "product >> n"),
        ("n = (n + 31)", "n = (n + 30)"),
    ],
)
def test_integer_convolution(defect):
    assert integers_agree(load("integer_convolution"))
    assert not integers_agree(load("integer_convolution", defect))


# --- Calibration -------------------------------------------------------------------------


def divergence_by_loops(h, m, levels):
    p = [float(v) for v in h[:m]]
    p[-1] += float(h[m:].sum())
    q = [0.0] * m
    for level in range(levels):
        bins = [b for b in range(m) if b * levels // m == level]
        seen = [b for b in bins if h[b] > 0]
        for b in seen:
            q[b] = sum(float(h[i]) for i in bins) / len(seen)
    q = np.maximum(np.array(q) / float(h[:m].sum()), 1e-12)
    p = np.array(p) / float(h.sum())
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0]))), p, q


def calibration_agrees(code) -> bool:
    for _ in range(5):
        h = torch.poisson(30 * torch.exp(-torch.arange(96) / 12.0))
        for m, levels in ((7, 7), (40, 7), (96, 15)):
            expected, p, q = divergence_by_loops(h, m, levels)
            if (q > 1e-12).all():  # then a divergence of distributions
                assert abs(expected - entropy(p, q)) < 1e-9
            if abs(code.divergence(h, m, levels).item() - expected) > 1e-6:
                return False
        a = torch.randn(2, 400).relu() * torch.tensor([[1.0], [5.0]])
        a[:, 0] *= 9
        for bits in (2, 4):
            for v, top in zip(a, code.mse(a, bits)):
                levels = torch.arange(2**bits)
                tops = v.max() * torch.linspace(0.01, 1, 100)
                grids = tops[:, None] / (2**bits - 1) * levels  # (100, levels)
                errors = (v[None, :, None] - grids[:, None]).square().amin(2).mean(1)
                if abs(top - tops[errors.argmin()]) > 1e-12:
                    return False
    return True


@pytest.mark.parametrize(
    "defect",
    [
        ("p[-1] += h[m:].sum()", "pass"),
        ("used.clamp(min=1)", "1"),
        ("* seen / h", "/ h"),
        ("(p / q.clamp", "(q / p.clamp"),
        ("argmin(0)", "argmax(0)"),
        (".clamp(max=n)", ""),
    ],
)
def test_calibration(defect):
    assert calibration_agrees(load("calibration"))
    assert not calibration_agrees(load("calibration", defect))


# --- Counting ----------------------------------------------------------------------------


def counts_agree(energy, memory) -> bool:
    """The energy snippet's counts equal torch's, on the memory snippet's network."""
    net, values = memory.mobilenet("meta"), []
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(lambda _, x, y: values.append(x[0].numel() + y.numel()))
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, 3, 224, 224, device="meta"))
    expected = counter.get_total_flops() / 2, sum(p.numel() for p in net.parameters() if p.dim() > 1)
    counts = tuple(map(sum, zip(*energy.mobilenet(224))))
    return counts == (*expected, sum(values)) and (
        memory.peak_values(net, 224) == 112 * 112 * (32 + 64)  # the first pointwise layer
    )


@pytest.mark.parametrize(
    "defect",
    [
        ("h * h * 9 * c, 9 * c", "h * h * 9 * c * c, 9 * c"),  # not depthwise
        ("read + h * h * c", "2 * h * h * c"),  # a stride reads more than it writes
        ("h * h * c * o, c * o", "h * h * c * o, c"),
        ("h, c = size // 2, 32", "h, c = size, 32"),
    ],
)
def test_mobilenet_counts(defect):
    assert counts_agree(load("energy_model"), load("memory_footprint"))
    assert not counts_agree(load("energy_model", defect), load("memory_footprint"))


@pytest.mark.parametrize("defect", [(", groups=groups", ""), ("x.numel() + y.numel()", "2 * x.numel()")])
def test_mobilenet_network_defects_are_caught(defect):
    assert not counts_agree(load("energy_model"), load("memory_footprint", defect))


def int8_state_agrees(memory) -> bool:
    """It gives the weights back, to half a step."""
    state = nn.Conv2d(3, 8, 3).state_dict()
    packed = memory.as_int8(state)
    s = packed["weight.scale"].view(-1, 1, 1, 1)
    error = (s * packed["weight"] - state["weight"]).abs()
    dtypes = packed["weight"].dtype, packed["bias"].dtype
    return dtypes == (torch.int8, torch.int32) and (error <= s / 2 + 1e-9).all()


@pytest.mark.parametrize(
    "defect",
    [
        ("/ 127", "/ 255"),
        (".abs().amax(1)", ".amax(1)"),
        ("torch.round(w /", "torch.floor(w /"),
    ],
)
def test_int8_state(defect):
    assert int8_state_agrees(load("memory_footprint"))
    assert not int8_state_agrees(load("memory_footprint", defect))
