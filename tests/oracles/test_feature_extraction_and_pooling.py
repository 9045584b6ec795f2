"""Oracles for the convolution, the pooling and the arithmetic that this topic writes out."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import correlate2d
from skimage.measure import block_reduce
from tests.snippet_functions import load_functions

TOPIC = "feature-extraction-and-pooling"


def check_convolution(functions) -> None:
    """Against F.conv2d on random settings, and scipy's correlate2d channel by channel."""
    rng = random.Random(0)
    generator = torch.Generator().manual_seed(0)
    tried = 0
    while tried < 150:
        n, c, out = rng.randint(1, 3), rng.randint(1, 4), rng.randint(1, 5)
        k, stride, padding, dilation = (
            rng.choice(r) for r in ((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2, 3))
        )
        h, w = rng.randint(1, 14), rng.randint(1, 14)
        if min(h, w) + 2 * padding < dilation * (k - 1) + 1:
            continue
        tried += 1
        x = torch.randn(n, c, h, w, generator=generator, dtype=torch.float64)
        weight = torch.randn(out, c, k, k, generator=generator, dtype=torch.float64)
        bias = torch.randn(out, generator=generator, dtype=torch.float64)
        got = functions.conv2d(x, weight, bias, stride, padding, dilation)
        want = F.conv2d(x, weight, bias, stride, padding, dilation)
        assert got.shape == want.shape
        assert torch.allclose(got, want)
        if stride == dilation == 1:
            image = np.pad(x[0].numpy(), ((0, 0), (padding, padding), (padding, padding)))
            maps = sum(correlate2d(image[i], weight[0, i].numpy(), "valid") for i in range(c))
            assert np.allclose(got[0, 0].numpy(), maps + bias[0].item())


def check_output_size(functions) -> None:
    """Against counting: how many windows lie inside the padded input."""
    rng = random.Random(1)
    for _ in range(2000):
        size, k, s, p, d = (rng.randint(low, high) for low, high in ((1, 40), (1, 7), (1, 5), (0, 4), (1, 4)))
        starts = [i for i in range(0, size + 2 * p, s) if i + d * (k - 1) < size + 2 * p]
        if starts:
            assert functions.output_size(size, k, s, p, d) == len(starts)


def check_receptive_field(functions) -> None:
    """Against brute force on index sets: which input pixels lead to one unit, and to the next."""
    rng = random.Random(2)
    for _ in range(300):
        layers = [(rng.randint(1, 5), rng.randint(1, 3), rng.randint(1, 3)) for _ in range(rng.randint(0, 5))]

        def pixels(unit, layers=layers):
            seen = {unit}
            for kernel, stride, dilation in reversed(layers):
                seen = {i * stride + tap * dilation for i in seen for tap in range(kernel)}
            return min(seen), max(seen)

        (low, high), (following, _) = pixels(7), pixels(8)
        assert functions.receptive_field(layers) == (high - low + 1, following - low)


def check_pooling(functions) -> None:
    """Against F.max_pool2d and, where windows do not overlap, scikit-image's block_reduce."""
    rng = random.Random(3)
    generator = torch.Generator().manual_seed(3)
    tried = 0
    while tried < 400:
        k, stride, ceil = rng.randint(1, 5), rng.randint(1, 5), rng.random() < 0.5
        padding = rng.randint(0, k // 2)
        h, w = rng.randint(1, 16), rng.randint(1, 16)
        if min(h, w) + 2 * padding < k:
            continue
        tried += 1
        x = torch.randn(2, 3, h, w, generator=generator) - rng.choice((0, 5))
        want = F.max_pool2d(x, k, stride, padding, ceil_mode=ceil)
        got = functions.max_pool2d(x, k, stride, padding, ceil)
        assert got.shape == want.shape
        assert got.equal(want)
        if k == stride and padding == 0 and h % k == 0 == w % k:
            blocks = block_reduce(x.numpy(), (1, 1, k, k), np.max)
            assert np.array_equal(got.numpy(), blocks)


def check_blur(functions) -> None:
    """Against a double loop over the definition, with circular borders."""
    x = np.random.default_rng(4).normal(size=(8, 10))
    got = functions.blur_pool(torch.from_numpy(x)[None, None])[0, 0]
    height, width = x.shape
    dense = np.array(
        [
            [max(x[(i + a) % height, (j + b) % width] for a in (0, 1) for b in (0, 1)) for j in range(width)]
            for i in range(height)
        ]
    )
    taps = {-1: 0.25, 0: 0.5, 1: 0.25}
    for i in range(height // 2):
        for j in range(width // 2):
            want = sum(
                u * v * dense[(2 * i + a) % height, (2 * j + b) % width]
                for a, u in taps.items()
                for b, v in taps.items()
            )
            assert abs(got[i, j].item() - want) < 1e-12


def check_merge(functions) -> None:
    """One merged kernel against two convolutions, other channel counts than the snippet's."""
    generator = torch.Generator().manual_seed(5)
    for inputs, middle, outputs in ((1, 1, 1), (2, 7, 3), (5, 2, 4)):
        x = torch.randn(2, inputs, 9, 11, generator=generator, dtype=torch.float64)
        first = torch.randn(middle, inputs, 3, 3, generator=generator, dtype=torch.float64)
        second = torch.randn(outputs, middle, 3, 3, generator=generator, dtype=torch.float64)
        merged = functions.merge(first, second)
        assert torch.allclose(F.conv2d(x, merged), F.conv2d(F.conv2d(x, first), second))


def check_windows(functions) -> None:
    """The maximum of each window that NumPy slides over the padded image."""
    for rule, (size, stride, padding) in zip(functions.RULES, ((2, 2, 0), (3, 2, 1)), strict=True):
        for side in (4, 6, 8):
            x = torch.randn(side, side) - 2
            padded = np.pad(x.numpy(), padding, constant_values=-np.inf)
            windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
            want, got = windows[::stride, ::stride].max((2, 3)), functions.pool(x, rule).numpy()
            assert got.shape == want.shape and np.array_equal(got, want)


def check_influence(functions) -> None:
    """Central differences in every input value; rings of the map added one by one."""
    for depth in (1, 2):
        got, field = functions.influence(depth, 3), 2 * depth + 1
        torch.manual_seed(3)
        weights = []
        for _ in range(depth):
            torch.nn.Conv2d(8, 8, 3, bias=False)  # its own draws, before He's
            weights.append(torch.randn(8, 8, 3, 3) * (2 / 72) ** 0.5)
        x = torch.randn(1, 8, field, field)
        step = 1e-6 * torch.eye(x.numel()).view(-1, *x.shape[1:])
        there, back = x + step, x - step
        for weight in weights:
            there, back = (F.conv2d(v, weight).clamp(min=0) for v in (there, back))
        slope = (there - back).sum((1, 2, 3)) / 2e-6
        want = slope.view(8, field, field).square().sum(0)
        assert got.shape == want.shape and torch.allclose(got, want, rtol=1e-4, atol=1e-6)
    ring = np.maximum(*np.abs(np.mgrid[-4:5, -4:5]))
    for power in (0, 1, 2, 4):
        m = torch.rand(9, 9) * torch.from_numpy(np.exp(-power * ring))
        share = np.cumsum([m.numpy()[ring == r].sum() for r in range(5)]) / m.sum().item()
        assert functions.core_width(m) == 2 * int((share < 0.95).sum()) + 1


CASES = {
    "patch_dot_products": check_convolution,
    "output_size": check_output_size,
    "receptive_field": check_receptive_field,
    "overlapping_windows": check_pooling,
    "linear_collapse": check_merge,
    "blur_pool": check_blur,
    "window_invariance": check_windows,
    "effective_receptive_field": check_influence,
}


def functions_of(snippet: str, defect: tuple[str, str] | None = None):
    functions = load_functions(f"{TOPIC}/{snippet}", defect)
    if snippet == "blur_pool":  # its kernel is computed, so the loader leaves it out
        taps = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
        functions.blur_pool.__globals__["KERNEL"] = (taps[:, None] * taps)[None, None]
    return functions


@pytest.mark.parametrize("snippet", CASES)
def test_snippet_agrees_with_its_oracle(snippet):
    CASES[snippet](functions_of(snippet))


DEFECTS = [
    ("patch_dot_products", "dilation, padding, stride)", "dilation, padding, 1)"),
    ("patch_dot_products", "weight.flatten(1) @", "weight.flip(2, 3).flatten(1) @"),
    ("patch_dot_products", "+ bias[:, None]", ""),
    ("patch_dot_products", "reach = dilation * (k - 1) + 1", "reach = k"),
    ("output_size", "// stride + 1", "/ stride + 1"),  # the floor dropped
    ("output_size", "// stride + 1", "// stride"),
    ("output_size", "2 * padding", "padding"),
    ("output_size", "dilation * (kernel - 1) + 1", "dilation * kernel"),
    ("receptive_field", "jump *= stride", "jump += stride - 1"),
    ("receptive_field", "dilation * (kernel - 1) * jump", "(kernel - 1) * jump"),
    ("receptive_field", "(kernel - 1) * jump", "(kernel - 1) * jump * stride"),
    ("overlapping_windows", "value=-torch.inf", "value=0"),
    ("overlapping_windows", "        out -= 1", "        pass"),
    ("overlapping_windows", ">= size + padding", "> size + padding"),
    ("overlapping_windows", ".unfold(3, kernel, stride)", ".unfold(3, kernel, kernel)"),
    ("overlapping_windows", "(stride - 1 if ceil else 0)", "0"),
    ("linear_collapse", ".flip(2, 3)", ""),
    ("blur_pool", "(0, 1, 0, 1)", "(1, 0, 1, 0)"),
    ("blur_pool", "KERNEL, stride=2", "KERNEL[:, :, :2, :2], stride=2"),
    ("window_invariance", "F.max_pool2d", "F.avg_pool2d"),
    ("window_invariance", "(3, 2, 1)}", "(3, 2, 0)}"),
    ("effective_receptive_field", ".square().sum(0)", ".abs().sum(0)"),
    ("effective_receptive_field", "2 * depth + 1  #", "2 * depth + 3  #"),
    ("effective_receptive_field", "0.95 * m", "0.9 * m"),
    ("effective_receptive_field", "return 2 * r + 1", "return 2 * r"),
]  # fmt: skip


@pytest.mark.parametrize(("snippet", "old", "new"), DEFECTS)
def test_oracle_catches_a_planted_defect(snippet, old, new):
    functions = functions_of(snippet, (old, new))
    with pytest.raises((AssertionError, RuntimeError)):
        CASES[snippet](functions)
