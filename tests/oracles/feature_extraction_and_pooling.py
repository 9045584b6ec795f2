"""Feature extraction and pooling, and their arithmetic, against libraries and counting."""

import itertools
import random

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import correlate2d
from skimage.measure import block_reduce

from tests.oracles.oracle import Defect, Oracle, agree


def convolutions():
    rng, found = random.Random(0), 0
    while found < 150:
        n, c, out = rng.randint(1, 3), rng.randint(1, 4), rng.randint(1, 5)
        k, stride, padding, dilation = map(rng.choice, ((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2, 3)))
        h, w = rng.randint(1, 14), rng.randint(1, 14)
        if min(h, w) + 2 * padding >= dilation * (k - 1) + 1:
            found += 1
            tensors = torch.randn(n, c, h, w), torch.randn(out, c, k, k), torch.randn(out)
            yield *tensors, stride, padding, dilation


def library_convolution(x, weight, bias, stride, padding, dilation):
    """F.conv2d; scipy's correlate2d, channel by channel, says the same."""
    want = F.conv2d(x, weight, bias, stride, padding, dilation)
    if stride == dilation == 1:
        image = F.pad(x[0], (padding,) * 4)
        maps = sum(correlate2d(*pair, "valid") for pair in zip(image, weight[0], strict=True))
        agree(want[0, 0], maps + bias[0].item())
    return want


def sizes():
    rng = random.Random(1)
    limits = (1, 40), (1, 7), (1, 5), (0, 4), (1, 4)
    drawn = ([rng.randint(*limit) for limit in limits] for _ in range(2000))
    return (case for case in drawn if number_of_windows(*case))


def number_of_windows(size, kernel, stride, padding, dilation):
    """How many lie inside the padded input."""
    padded = size + 2 * padding
    return sum(start + dilation * (kernel - 1) < padded for start in range(0, padded, stride))


def stacks_of_layers():
    rng = random.Random(2)
    for _ in range(300):
        depth = range(rng.randint(0, 5))
        yield ([(rng.randint(1, 5), rng.randint(1, 3), rng.randint(1, 3)) for _ in depth],)


def field_and_jump(layers):
    """By index sets: which input pixels lead to one unit, and to the next."""

    def pixels(unit):
        seen = {unit}
        for kernel, stride, dilation in reversed(layers):
            seen = {i * stride + tap * dilation for i in seen for tap in range(kernel)}
        return min(seen), max(seen)

    (low, high), (following, _) = pixels(7), pixels(8)
    return high - low + 1, following - low


def merge(code):
    """One merged kernel against two convolutions, other channel counts than the snippet's."""
    for inputs, middle, outputs in ((1, 1, 1), (2, 7, 3), (5, 2, 4)):
        x, first = torch.randn(2, inputs, 9, 11), torch.randn(middle, inputs, 3, 3)
        second = torch.randn(outputs, middle, 3, 3)
        agree(F.conv2d(x, code.merge(first, second)), F.conv2d(F.conv2d(x, first), second))


def gradients_by_differences(depth, seed):
    """Central differences in every input value."""
    field = 2 * depth + 1
    torch.manual_seed(seed)
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
    return slope.view(8, field, field).square().sum(0)


RING = np.maximum(*np.abs(np.mgrid[-4:5, -4:5]))


def width_by_rings(m):
    """Rings of the map added one by one."""
    share = np.cumsum([m.numpy()[r == RING].sum() for r in range(5)]) / m.sum().item()
    return 2 * int((share < 0.95).sum()) + 1


def poolings():
    rng, found = random.Random(3), 0
    while found < 400:
        k, stride, ceil = rng.randint(1, 5), rng.randint(1, 5), rng.random() < 0.5
        padding, h, w = rng.randint(0, k // 2), rng.randint(1, 16), rng.randint(1, 16)
        if min(h, w) + 2 * padding >= k:
            found += 1
            x = torch.randn(2, 3, h, w) - rng.choice((0, 5))
            x[0, 0, 0, 0] = rng.choice((0, torch.nan, -torch.inf))
            yield x, k, stride, padding, ceil


def library_pooling(x, k, stride, padding, ceil):
    """F.max_pool2d; scikit-image's block_reduce says the same where windows do not overlap."""
    want = F.max_pool2d(x, k, stride, padding, ceil_mode=ceil)
    if k == stride and padding == 0 and x.shape[2] % k == 0 == x.shape[3] % k:
        agree(want, block_reduce(x.numpy(), (1, 1, k, k), np.max), 0)
    return want


def blur_by_loops(x):
    """The definition, with circular borders."""
    h, w = x.shape[2:]
    dense, want = torch.zeros(h, w), torch.zeros(1, 1, h // 2, w // 2)
    for i, j in np.ndindex(h, w):
        dense[i, j] = max(x[0, 0, (i + a) % h, (j + b) % w] for a in (0, 1) for b in (0, 1))
    taps = {-1: 0.25, 0: 0.5, 1: 0.25}
    for (a, u), (b, v) in itertools.product(taps.items(), taps.items()):
        for i, j in np.ndindex(h // 2, w // 2):
            want[0, 0, i, j] += u * v * dense[(2 * i + a) % h, (2 * j + b) % w]
    return want


def pool(code):
    """The maximum of each window that NumPy slides over the padded image."""
    for rule, (size, stride, padding) in zip(code.RULES, ((2, 2, 0), (3, 2, 1)), strict=True):
        for side in (4, 6, 8):
            x = torch.randn(side, side) - 2
            padded = np.pad(x.numpy(), padding, constant_values=-np.inf)
            windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
            agree(code.pool(x, rule), windows[::stride, ::stride].max((2, 3)), 0)


TAP = torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.float64)
ORACLES = [
    Oracle(
        "patch_dot_products",
        function="conv2d",
        reference=library_convolution,
        cases=convolutions,
        defects=[
            Defect("dilation, padding, stride)", "dilation, padding, 1)", crashes=RuntimeError),
            Defect("weight.flatten(1) @", "weight.flip(2, 3).flatten(1) @"),
            Defect("+ bias[:, None]", ""),
            Defect("reach = dilation * (k - 1) + 1", "reach = k", crashes=RuntimeError),
        ],
    ),
    Oracle(
        "output_size",
        function="output_size",
        reference=number_of_windows,
        cases=sizes,
        defects=[
            Defect("// stride + 1", "/ stride + 1"),  # the floor dropped
            Defect("// stride + 1", "// stride"),
            Defect("2 * padding", "padding"),
            Defect("dilation * (kernel - 1) + 1", "dilation * kernel"),
        ],
    ),
    Oracle(
        "receptive_field",
        function="receptive_field",
        reference=field_and_jump,
        cases=stacks_of_layers,
        defects=[
            Defect("jump *= stride", "jump += stride - 1"),
            Defect("dilation * (kernel - 1) * jump", "(kernel - 1) * jump"),
            Defect("(kernel - 1) * jump", "(kernel - 1) * jump * stride"),
        ],
    ),
    Oracle("linear_collapse", merge, defects=[Defect(".flip(2, 3)", "")]),
    Oracle(
        "effective_receptive_field",
        function="influence",
        reference=gradients_by_differences,
        cases=lambda: [(1, 3), (2, 3)],
        tolerance=1e-6,
        defects=[Defect(".square().sum(0)", ".abs().sum(0)"), Defect("2 * depth + 1  #", "2 * depth + 3  #")],
    ),
    Oracle(
        "effective_receptive_field",
        function="core_width",
        reference=width_by_rings,
        cases=lambda: ((torch.rand(9, 9) * torch.from_numpy(np.exp(-p * RING)),) for p in (0, 1, 2, 4)),
        defects=[Defect("0.95 * m", "0.9 * m"), Defect("return 2 * r + 1", "return 2 * r")],
    ),
    Oracle(
        "overlapping_windows",
        function="max_pool2d",
        reference=library_pooling,
        cases=poolings,
        tolerance=0,
        defects=[
            Defect("value=-torch.inf", "value=0"),
            Defect("        out -= 1", "        pass"),
            Defect(">= size + padding", "> size + padding"),
            Defect(".unfold(3, kernel, stride)", ".unfold(3, kernel, kernel)"),
            Defect("(stride - 1 if ceil else 0)", "0"),
        ],
    ),
    Oracle(
        "blur_pool",
        function="blur_pool",
        reference=blur_by_loops,
        cases=lambda: [(torch.randn(1, 1, 8, 10),)],
        tolerance=1e-13,
        data=lambda: {"KERNEL": (TAP.T * TAP)[None, None]},
        defects=[
            Defect("(0, 1, 0, 1)", "(1, 0, 1, 0)"),
            Defect("KERNEL, stride=2", "KERNEL[:, :, :2, :2], stride=2"),
        ],
    ),
    Oracle(
        "window_invariance",
        pool,
        defects=[Defect("F.max_pool2d", "F.avg_pool2d"), Defect("(3, 2, 1)}", "(3, 2, 0)}")],
    ),
]
