"""The explorables' arithmetic against the snippets, torch and SciPy, on fixtures that both sides share."""

import functools
import json
import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import norm
from torch import nn

from answerbook.explorables import fgsm_model
from answerbook.project import ROOT
from tests.oracles.oracle import load_functions

FOLDER = ROOT / "docs/assets/explorables"
load = functools.cache(load_functions)


@pytest.fixture
def arithmetic(open_page, address):
    """Call a function of a built script in the browser on many fixtures, also with a planted defect."""
    # A small page, which lets a script with a defect in; what the scripts do on theirs is tested elsewhere.
    page = open_page(f"{address}/404.html", bypass_csp=True)
    page.add_script_tag(url=f"{address}/assets/explorables/explorable.js")

    def call(name, function, fixtures, defect=None):
        if defect:
            source = (ROOT / f"docs/assets/explorables/{name}.js").read_text()
            assert defect[0] in source, f"{name}.js: no {defect[0]!r} to plant a defect in; update the test"
            page.add_script_tag(content=source.replace(*defect))
        else:
            page.add_script_tag(url=f"{address}/assets/explorables/{name}.js")
        return page.evaluate(
            "([name, f, all]) => all.map(one => explorables[name][f](...one))", [name, function, fixtures]
        )

    return call


@pytest.fixture(autouse=True)
def _double_precision():
    """JavaScript's numbers are doubles; the snippets choose their type at their top."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def same(found, expected) -> bool:
    """Numbers that agree to 1e-12; NaN agrees with NaN."""
    found, expected = torch.tensor(found).double(), torch.tensor(expected).double()
    return found.shape == expected.shape and torch.allclose(found, expected, 1e-12, 1e-12, equal_nan=True)


# --- Arithmetic: non-maximum suppression, IoU and anchors


def random_boxes(generator, n: int) -> torch.Tensor:
    """Boxes on a coarse grid: identical, touching, nested and empty ones are frequent."""
    corner = torch.randint(0, 12, (n, 2), generator=generator)
    size = torch.randint(0, 8, (n, 2), generator=generator)
    return torch.cat([corner, corner + size], 1).double()


def suppression_fixtures() -> list:
    generator = torch.Generator().manual_seed(0)
    fixtures = [[[], [], 0.5], [[[0, 0, 3, 3], [1, 0, 4, 3]], [0.9, 0.8], 0.5]]  # IoU exactly 0.5 stays
    for k in range(200):
        boxes = random_boxes(generator, k % 30)
        scores = torch.randint(0, 10, (len(boxes),), generator=generator) / 10  # with ties
        fixtures.append([boxes.tolist(), scores.tolist(), [0, 0.25, 0.5, 0.7, 1][k % 5]])
    return fixtures


def test_nms_keeps_what_the_snippet_keeps(arithmetic):
    nms = load_functions("object-detection/nms").nms
    fixtures = suppression_fixtures()
    expected = [nms(torch.tensor(b).reshape(-1, 4), torch.tensor(s), t) for b, s, t in fixtures]
    assert arithmetic("nms", "suppress", fixtures) == expected
    defects = [
        ("> threshold)", ">= threshold)"),
        ("!(iou(boxes[best], boxes[k]) > threshold)", "iou(boxes[best], boxes[k]) <= threshold"),
        ("scores[b] - scores[a]", "scores[a] - scores[b]"),
    ]
    for defect in defects:
        assert arithmetic("nms", "suppress", fixtures, defect) != expected, defect


def test_iou_is_the_snippets_and_giou_counts_pixels(arithmetic):
    generator = torch.Generator().manual_seed(1)
    a, b = random_boxes(generator, 400), random_boxes(generator, 400)
    continuous = 20 * torch.rand(100, 4, generator=generator)
    continuous[:, 2:] += continuous[:, :2]
    a, b = torch.cat([a, continuous]), torch.cat([b, continuous.flip(0)])
    fixtures = [list(pair) for pair in zip(a.tolist(), b.tolist())]
    expected = load_functions("object-detection/iou").iou(a, b).diagonal().tolist()
    assert any(map(math.isnan, expected))  # two empty boxes
    assert same(arithmetic("iou", "iou", fixtures), expected)

    x = torch.arange(20) + 0.5  # centers of pixels
    masks = [
        ((x > c[:, 0, None]) & (x < c[:, 2, None]))[:, :, None] & ((x > c[:, 1, None]) & (x < c[:, 3, None]))[:, None]
        for c in (a[:400], b[:400], torch.cat([torch.minimum(a, b)[:400, :2], torch.maximum(a, b)[:400, 2:]], 1))
    ]  # each (400, 20, 20)
    inter, union, hull = ((m.sum((1, 2)).double()) for m in (masks[0] & masks[1], masks[0] | masks[1], masks[2]))
    expected = (inter / union - (hull - union) / hull).tolist()
    assert same(arithmetic("iou", "giou", fixtures[:400]), expected)
    defect = ("(whole - union) / whole", "(whole - union) / union")
    assert not same(arithmetic("iou", "giou", fixtures[:400], defect), expected)


def test_anchors_and_their_labels_are_the_snippets(arithmetic):
    nine = load_functions("object-detection/nine_anchors").nine_anchors
    sizes = [(451, 300, 16), (64, 64, 64), (33, 90, 8), (100, 31, 32)]
    fixtures = [[*size, [64, 128, 256], [0.5, 1, 2]] for size in sizes]
    expected = [nine(*size).flatten(0, 1).tolist() for size in sizes]
    assert all(map(same, arithmetic("anchors", "anchors", fixtures), expected))

    grid = load_functions("object-detection/anchor_recall").grid_anchors
    families = [([32.0, 256.0], [0.25, 0.5, 1.0, 2.0, 4.0], 32, 451), ([128.0], [1.0], 16, 300)]
    found = arithmetic("anchors", "anchors", [[size, size, step, *some] for *some, step, size in families])
    for one, family in zip(found, families):
        assert same(sorted(one), sorted(grid(*family).tolist()))

    match = load_functions("object-detection/anchor_matching").match
    generator = torch.Generator().manual_seed(2)
    anchors = nine(200, 160)[::6].flatten(0, 1)
    objects = 120 * torch.rand(12, 4, generator=generator)
    objects[:, 2:] += objects[:, :2]
    objects = torch.cat([objects, anchors[5:7], torch.tensor([[900.0, 900, 910, 910]])])  # equal; far away
    fixtures = [[anchors.tolist(), one] for one in objects.tolist()]
    expected = [match(anchors, one[None])[0].tolist() for one in objects]
    assert {label for labels in expected for label in labels} == {1, 0, -1}
    assert [one["label"] for one in arithmetic("anchors", "match", fixtures)] == expected
    defects = [
        ("value === best && best > 0", "value === best"),
        (" || (value === best && best > 0)", ""),
        ("value < low", "value < high"),
    ]
    for defect in defects:
        found = arithmetic("anchors", "match", fixtures, defect)
        assert [one["label"] for one in found] != expected, defect


# --- Arithmetic: convolution


def test_output_size_is_the_snippets(arithmetic):
    output_size = load_functions("feature-extraction-and-pooling/output_size").output_size
    fixtures = [list(s) for s in product(range(1, 12), range(1, 6), range(1, 5), range(3), range(1, 4))]
    expected = [output_size(*setting) for setting in fixtures]
    assert min(expected) < 1  # a kernel that does not fit
    assert arithmetic("convolution", "outputSize", fixtures) == expected
    assert arithmetic("convolution", "outputSize", fixtures, ("Math.floor(", "Math.ceil(")) != expected


def test_inputs_read_are_those_that_conv2d_reads(arithmetic):
    """An image of its own column numbers, counted from 1, and kernels of one tap each: padding gives 0."""
    conv2d = load_functions("feature-extraction-and-pooling/patch_dot_products").conv2d
    settings = [
        (size, k, s, p, d)
        for size, k, s, p, d in product((3, 6, 7, 10), range(1, 6), range(1, 5), range(3), range(1, 4))
        if size + 2 * p > d * (k - 1)
    ]
    expected, unread, units = [], [], []
    for size, k, s, p, d in settings:
        x = torch.arange(1.0, size + 1).expand(1, 1, 20, size)  # high enough for a row of real inputs
        taps = torch.zeros(k, 1, k, k)
        taps[range(k), 0, k // 2, range(k)] = 1
        columns = conv2d(x, taps, torch.zeros(k), s, p, d)[0].amax(1).T.long()  # (outputs, k)
        for unit, row in enumerate(columns.tolist()):
            units.append([unit, k, s, p, d])
            expected.append([size, row])
        unread.append(sorted(set(range(size)) - {tap - 1 for tap in columns.flatten().tolist()}))

    def as_read(found):
        return [
            [size, [tap + 1 if 0 <= tap < size else 0 for tap in taps]]
            for (size, _), taps in zip(expected, found)
        ]

    assert as_read(arithmetic("convolution", "taps", units)) == expected
    assert arithmetic("convolution", "unread", [list(s) for s in settings]) == unread
    assert any(unread) and not all(unread)
    defect = ("index * stride - padding + k * dilation", "index * stride - padding + k")
    assert as_read(arithmetic("convolution", "taps", units, defect)) != expected
    assert arithmetic("convolution", "unread", [list(s) for s in settings], defect) != unread


# --- Quantization


def test_affine_map_is_the_snippets(arithmetic):
    snippet = load_functions("quantization/affine_quantization")
    ranges = torch.randn(100, 2).sort(1).values.tolist() + [(-1.0, 1.0), (0.0, 3.0), (2.0, 5.0), (-3.0, -1.0)]
    codes = [(-128, 127), (0, 255), (-8, 7), (-2, 1), (-7, 7)]
    fixtures = [[*some, *code] for some in ranges for code in codes]
    expected = [list(snippet.parameters(*one)) for one in fixtures]
    assert same(arithmetic("quantization", "parameters", fixtures), expected)

    values = torch.cat([torch.arange(-80, 80) / 4, 20 * torch.randn(200)])  # in steps of 0.5: with many ties
    settings = [(0.5, 0, -8, 7), (0.5, 3, -8, 7), (0.25, -5, 0, 255), (0.13, 0, -127, 127)]
    fixtures = [[x, *setting] for setting in settings for x in values.tolist()]
    expected = [q for setting in settings for q in snippet.quantize(values, *setting).tolist()]
    assert arithmetic("quantization", "quantize", fixtures) == expected
    for defect in [("up % 2 ? up - 1 : up", "up"), ("round(x / s) + z, qmin", "round(x / s + z), qmin"), ("qmin), qmax)", "qmin), qmax + 1)")]:
        assert arithmetic("quantization", "quantize", fixtures, defect) != expected, defect
    fixtures = [[q, s, z] for s, z, *_ in settings for q in range(-20, 20)]
    expected = [snippet.dequantize(*one) for one in fixtures]
    assert same(arithmetic("quantization", "dequantize", fixtures), expected)


def quantized_tensors():
    """Bell-shaped, lopsided, one-sided and with an outlier."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, generator=generator)
    return [x, x + 1, x.relu(), torch.cat([x, torch.tensor([9.0])])]


def expected_errors(x: torch.Tensor, bits: int, symmetric: bool, clip: float) -> dict:
    """From the snippets' functions; a value is clipped if its code would leave the range."""
    snippet, sqnr = load("quantization/affine_quantization"), load("quantization/error_per_bit").sqnr
    lo, hi, qmin, qmax = clip * x.min().item(), clip * x.max().item(), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if symmetric:
        lo, hi, qmin = -max(-lo, hi), max(-lo, hi), -qmax
    s, z = snippet.parameters(lo, hi, qmin, qmax)
    y = snippet.dequantize(snippet.quantize(x, s, z, qmin, qmax), s, z)
    free = snippet.quantize(x, s, z, -(10**9), 10**9)
    clipped = (free < qmin) | (free > qmax)
    parts = [((y - x).square() * mask).mean().item() for mask in (~clipped, clipped)]
    return [{"s": s, "z": z, "qmin": qmin, "qmax": qmax},
            [*parts, clipped.double().mean().item(), sqnr(x[None], y[None]).item()]]


def test_quantization_errors_are_the_snippets(arithmetic):
    settings = [(x, b, sym, clip) for x in quantized_tensors() for b in (2, 3, 4, 8) for sym in (True, False) for clip in (0.1, 0.45, 1)]
    grids, expected = zip(*[expected_errors(*setting) for setting in settings])
    found = arithmetic("quantization", "grid", [[x.tolist(), *rest] for x, *rest in settings])
    assert same([list(one.values()) for one in found], [[g["s"], g["z"], g["qmin"], g["qmax"]] for g in grids])
    fixtures = [[x.tolist(), grid] for (x, *_), grid in zip(settings, grids)]

    def agrees(defect=None):
        names = ("rounding", "clipping", "clipped", "sqnr")
        return same([[one[n] for n in names] for one in arithmetic("quantization", "errors", fixtures, defect)], list(expected))

    assert agrees()
    assert not agrees(("code > qmax", "code >= qmax"))
    assert not agrees(("power += x * x", "power += Math.abs(x)"))

    quantized = load_functions("quantization/bits_and_accuracy").quantized  # symmetric, of weights
    for x in quantized_tensors():
        grid = arithmetic("quantization", "grid", [[x.tolist(), 4, True, 1]])[0]
        codes = arithmetic("quantization", "quantize", [[v, *grid.values()] for v in x.tolist()])
        assert same([grid["s"] * q for q in codes], quantized(x, 4, 1).tolist())


def test_best_range_is_the_best_of_all(arithmetic):
    cases = [(x, b, sym) for x in quantized_tensors() for b in (2, 4) for sym in (True, False)]
    best = [max(range(100, 9, -1), key=lambda c: expected_errors(x, b, sym, c / 100)[1][3]) for x, b, sym in cases]
    fixtures = [[x.tolist(), b, sym] for x, b, sym in cases]
    assert arithmetic("quantization", "bestClip", fixtures) == best
    assert len(set(best)) > 5


# --- Receptive field

STACKS = [[(3, 1, 1)] * 2, [(5, 1, 1)], [(3, 1, 1), (3, 1, 2), (3, 1, 4)], [(3, 1, 2)] * 3, [(7, 2, 1), (3, 2, 1), (3, 1, 1)],
          [(3, 1, 1), (2, 2, 1), (3, 1, 1), (2, 2, 1), (3, 1, 1)], [(1, 2, 1), (2, 3, 2)], [(2, 3, 1), (3, 2, 2)]]


def by_autograd(layers, size: int, padded: bool) -> list[torch.Tensor] | None:
    """Units of each level, and for each unit of the last level which of them get a gradient from it."""
    x = torch.ones(1, 1, size, requires_grad=True)
    levels = [x]
    for kernel, stride, dilation in layers:  # all-ones weights: nothing cancels
        padding = dilation * (kernel - 1) // 2 if padded else 0
        if levels[-1].shape[2] + 2 * padding < dilation * (kernel - 1) + 1:
            return None  # the kernel does not fit
        levels.append(F.conv1d(levels[-1], torch.ones(1, 1, kernel), None, stride, padding, dilation))
    reached = []
    for unit in levels[-1].flatten():
        gradients = torch.autograd.grad(unit, levels, retain_graph=True)
        reached.append([g.flatten().nonzero().flatten().tolist() for g in gradients])
    return [level.shape[2] for level in levels], reached


def test_receptive_field_is_the_snippets_and_autograds(arithmetic):
    name = "receptive-field"
    recursion = load_functions("feature-extraction-and-pooling/receptive_field").receptive_field
    assert arithmetic(name, "receptiveField", [[one] for one in STACKS]) == [list(recursion(one)) for one in STACKS]
    defect = ("dilation * (kernel - 1) * jump", "(kernel - 1) * jump")
    assert arithmetic(name, "receptiveField", [[one] for one in STACKS], defect) != [list(recursion(one)) for one in STACKS]

    size = load_functions("feature-extraction-and-pooling/output_size").output_size
    settings = [[n, k, s, p, d] for n in range(1, 12) for k in (1, 2, 3, 7) for s in (1, 2, 3) for p in (0, 1, 3) for d in (1, 2, 4)]
    assert arithmetic(name, "outputSize", settings) == [size(*one) for one in settings]

    cases = [(stack, n, padded) for stack in STACKS for n in (8, 13, 32) for padded in (False, True)]
    truth = {case: found for case in range(len(cases)) if (found := by_autograd(*cases[case]))}
    assert len(truth) < len(cases)
    assert arithmetic(name, "sizes", [list(cases[case]) for case in truth]) == [sizes for sizes, _ in truth.values()]
    fixtures = [[*cases[case], unit] for case, (sizes, _) in truth.items() for unit in range(sizes[-1])]
    expected = [levels for _, reached in truth.values() for levels in reached]
    assert arithmetic(name, "reached", fixtures) == expected
    for defect in [("+ tap * dilation", "+ tap"), ("place >= 0 && ", ""), ("u * stride -", "u -")]:
        assert arithmetic(name, "reached", fixtures, defect) != expected, defect

    # A unit is drawn above the middle of its field.
    middles = [(levels[0][0] + levels[0][-1]) / 2 for (*_, padded, unit), levels in zip(fixtures, expected) if not padded and not unit]
    stacks = [[stack, False] for stack, _, padded, unit in fixtures if not padded and not unit]
    assert same(arithmetic(name, "firstCenter", stacks), middles)


# --- Threshold and prevalence


def test_metrics_are_the_snippets(arithmetic):
    generator = torch.Generator().manual_seed(0)
    scale, shift = torch.tensor([0.5, 3.5, 9.0]), torch.tensor([0.0005, 0.5, -3.0])
    fixtures = (torch.rand(300, 3, generator=generator) * scale + shift).tolist()
    tables = []
    for prior, distance, threshold in fixtures:
        recall, alarms = norm.sf(threshold - distance), norm.sf(threshold)
        tables.append([prior * recall, prior * (1 - recall), (1 - prior) * alarms, (1 - prior) * (1 - alarms)])
    found = arithmetic("threshold", "confusion", fixtures)
    assert all(
        math.isclose(one[name], value, abs_tol=2e-7)
        for one, table in zip(found, tables)
        for name, value in zip(("tp", "fn", "fp", "tn"), table)
    )

    metrics = load_functions("class-imbalance/accuracy_paradox").metrics
    tables = [*tables, [0.0, 0.1, 0.0, 0.9], [0.1, 0.0, 0.9, 0.0]]  # never an alarm, always one
    expected = []
    for tp, fn, fp, tn in tables:
        row = metrics(torch.tensor([[tn, fp], [fn, tp]]))
        expected.append([row["precision"], tp / (tp + fn), row["F1"], row["accuracy"]])
    fixtures = [[dict(zip(("tp", "fn", "fp", "tn"), table))] for table in tables]

    def agrees(defect=None):
        found = arithmetic("threshold", "metrics", fixtures, defect)
        return same([[one[n] for n in ("precision", "recall", "F1", "accuracy")] for one in found], expected)

    assert agrees()
    for defect in [("tp + fp ?", "true ?"), ("tp / (tp + fn)", "tp / (tp + fp)"), ("2 * tp + fp + fn", "tp + fp + fn")]:
        assert not agrees(defect), defect


# --- FGSM


@pytest.fixture(scope="module")
def model():
    text = (FOLDER / "fgsm_model.js").read_text()
    assert len(text) <= 25_000
    return json.loads(text.split("window.fgsmModel = ")[1])


def network(layers: dict) -> nn.Sequential:
    """In the form that the snippet's functions want: images (N, 1, 8, 8), logits (N, 1, 10)."""
    net = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 4), nn.ReLU(),
        nn.Conv2d(16, 10, 1), nn.Unflatten(1, (1, 10)), nn.Flatten(2))
    for module, name in zip(net[:5:2], ("conv1", "conv2", "dense")):
        for kind in ("weight", "bias"):
            values = getattr(module, kind).data
            values.copy_(torch.tensor(layers[name][kind]).view_as(values) / 1000)
    return net


def test_fgsm_is_the_snippets_and_torchs(arithmetic, model):
    snippet, net = load_functions("adversarial-attacks/fgsm_and_pgd"), network(model["layers"])
    generator = torch.Generator().manual_seed(0)
    digits = torch.tensor([one["pixels"] for one in model["images"]]) / 16
    x = torch.cat([digits, torch.rand(20, 64, generator=generator)])
    y = torch.cat([torch.tensor([one["digit"] for one in model["images"]]), torch.arange(20) % 10])
    images, labels = x.view(-1, 1, 8, 8).requires_grad_(), y[:, None]
    logits = net(images)
    gradient = torch.autograd.grad(snippet.loss(net, images, labels), images)[0].flatten(1)
    sure = gradient.abs() > 1e-14  # rounding may turn the sign of what is nearly zero
    assert sure.double().mean() > 0.99

    weights = arithmetic("fgsm", "decode", [[model["layers"]]])[0]
    fixtures = [[weights, one] for one in x.tolist()]
    found = arithmetic("fgsm", "forward", fixtures)
    assert same([one["logits"] for one in found], logits[:, 0].tolist())
    fixtures = [[*one, label] for one, label in zip(fixtures, y.tolist())]
    assert same(arithmetic("fgsm", "gradient", fixtures), gradient.tolist())
    defects = [("p - (k === y)", "p"), ("sum > 0 ?", "true ?"), ("2 * row - 1 + u", "2 * row + u"), ("[16 * map + tap] })\n    return dx", "[tap] })\n    return dx")]
    for defect in defects:
        assert not same(arithmetic("fgsm", "gradient", fixtures, defect), gradient.tolist()), defect
    arithmetic("fgsm", "decode", [], ("/ 1000", "/ 1000"))  # the right source again

    for eps in (0, 0.04, 0.3):
        attacked = snippet.fgsm(net, images, labels, eps).flatten(1)
        some = [[*one, eps] for one in fixtures]
        off = (torch.tensor(arithmetic("fgsm", "fgsm", some)) - attacked).abs()
        assert off[sure].max() < 1e-12 and off.max() <= 2 * eps + 1e-12
        if eps:
            off = torch.tensor(arithmetic("fgsm", "fgsm", some, ("Math.min(1, ", "Math.min(2, "))) - attacked
            assert off.abs().max() > 0.01
            arithmetic("fgsm", "decode", [], ("/ 1000", "/ 1000"))


def test_fgsm_model_is_what_its_program_trains(model, tmp_path, monkeypatch):
    monkeypatch.setattr(fgsm_model, "TARGET", tmp_path / "fgsm_model.js")
    fgsm_model.main()
    again = json.loads(fgsm_model.TARGET.read_text().split("window.fgsmModel = ")[1])
    assert again["images"] == model["images"]
    assert again["accuracy"] == pytest.approx(model["accuracy"], abs=0.002)
    assert round(model["accuracy"], 2) == 0.96  # as the page says
    count = 0
    for name, layer in model["layers"].items():
        for kind, values in layer.items():
            count += len(values)
            off = [abs(a - b) for a, b in zip(values, again["layers"][name][kind], strict=True)]
            assert max(off) <= 1, f"{name}.{kind}: other weights; run `python -m answerbook fgsm-model`"
    assert count == 2370
