"""GPUs: torch's own unfold, numpy's float16, an event queue, closed forms."""

import heapq
import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.oracles.oracle import Defect, Oracle, agree

# --- patches, sums ---------------------------------------------------------------------


def images():
    """Several sizes, also 1 x 1 and no padding."""
    for k, pad, size in (
        (1, 0, (2, 3, 4, 5)),
        (3, 1, (1, 2, 6, 7)),
        (5, 2, (3, 1, 5, 9)),
        (3, 0, (2, 2, 3, 4)),
    ):
        yield torch.randn(size), k, pad


def sums():
    for power in range(5):
        yield torch.randn(3, 400) * 10**power / 100, torch.float16
    yield torch.full((2, 3), 4e4), torch.float16  # overflows
    yield torch.zeros(2, 0), torch.float16


def added_one_by_one(terms, _):
    total = np.zeros(len(terms), np.float16)
    for column in terms.half().numpy().T:
        total = (total + column).astype(np.float16)
    return total


def with_float32_sum(code):
    for terms, dtype in sums():
        half = terms.half().double()
        size = half.abs().max() if half.numel() else 1
        agree(code.with_float32_sum(terms, dtype) / size, half.sum(1) / size, 1e-5)


# --- pipeline --------------------------------------------------------------------------


def event_queue(costs, ahead):
    """The pipeline by events on a clock: a stage waits while `ahead` batches ahead."""
    n, stages = len(costs), len(costs[0])
    waiting = [n] + [0] * stages  # batches in front of each stage; the last entry: finished
    started, working, end = [0] * stages, [False] * stages, [[0] * stages for _ in costs]
    events, now = [], 0
    while waiting[-1] < n:
        moved = True
        while moved:
            moved = False
            for s in reversed(range(stages)):
                i = started[s]
                if working[s] or i == n or not waiting[s]:
                    continue
                if s + 1 < stages:
                    unfinished = i - sum(1 for j in range(n) if 0 < end[j][s + 1] <= now)
                    if unfinished > ahead:
                        continue
                waiting[s] -= 1
                started[s], working[s], moved = i + 1, True, True
                end[i][s] = now + costs[i][s]
                heapq.heappush(events, (end[i][s], s))
        now = events[0][0]
        while events and events[0][0] == now:
            _, s = heapq.heappop(events)
            working[s] = False
            waiting[s + 1] += 1
    return end


def pipelines():
    for stages, ahead in itertools.product((1, 2, 3), (0, 1, 3)):
        yield torch.randint(1, 9, (12, stages)).tolist(), ahead
    yield [(2, 3)] * 10, 99


# --- operations, bytes, waves ----------------------------------------------------------


def count(code):
    """Operations and bytes equal the closed forms."""
    for n, c, o, k, h, groups in ((2, 4, 6, 3, 7, 2), (1, 8, 8, 1, 5, 1), (3, 6, 6, 3, 4, 6)):
        conv = nn.Conv2d(c, o, k, padding=k // 2, groups=groups, bias=False)
        ops = 2 * k * k * (c // groups) * o * n * h * h
        size = 2 * (n * c * h * h + n * o * h * h + o * (c // groups) * k * k)
        assert code.count(conv, n, c, h, h) == (ops, size)
    linear = code.count(nn.Linear(30, 20, bias=False), 7, 30)
    assert linear == (2 * 7 * 30 * 20, 2 * (210 + 140 + 600))
    assert code.count(nn.ReLU(), 4, 5, per_output=1) == (20, 80)


def outputs():
    return itertools.product((1, 127, 128, 129, 3366, 16896, 16897), (1, 256, 600))


def rounds(m, n):
    return len(range(0, len(range(0, m, 128)) * len(range(0, n, 128)), 132))


# --- training: saved activations, rounded gradients ------------------------------------


def saved_bytes(code):
    """Known cases: what conv, ReLU and linear keep, each storage once, parameters never."""
    x = torch.randn(2, 3, 8, 8)
    conv = nn.Conv2d(3, 5, 3, padding=1)
    size = x.element_size() * 2 * 8 * 8  # bytes of one channel
    chain = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(5, 1, 1))  # ReLU's result: one storage
    for net, channels in (conv, 3), (chain, 3 + 5), (nn.Flatten(), 0):
        assert code.saved_bytes(net, x, False) == channels * size


def resnet50(code):
    with torch.device("meta"):
        assert sum(p.numel() for p in code.resnet50().parameters()) == 25_557_032  # as in torchvision


def float16(v):
    return v.astype(np.float16).astype(np.float32)


def bfloat16(v):
    """8 bits, half to even."""
    mantissa, exponent = np.frexp(v)
    return np.ldexp(np.round(mantissa * 256), exponent - 8)


ROUNDED = {torch.float16: float16, torch.bfloat16: bfloat16}


def rounded_gradient(code):
    """The value as it is, its gradient to 16 bits."""
    for dtype, expected in ROUNDED.items():
        value = torch.randn(500) * 2.0 ** torch.randint(-30, 20, (500,))
        value = torch.cat([value, torch.tensor([0.0, torch.inf, -torch.inf, torch.nan])]).float()
        there = torch.randn(504).float().requires_grad_()
        out = code.Round.apply(there, dtype)
        (back,) = torch.autograd.grad(out, there, value)
        agree((out, back), (there, expected(value.numpy())), 0)


def gradient(code):
    """A linear layer's gradient as an outer product, rounded after scaling."""
    net = nn.Sequential(nn.Linear(6, 4)).float()
    error = net(code.x).softmax(1).detach() - F.one_hot(code.y, 4)
    exact = torch.cat([(error.T @ code.x).flatten(), error[0]]).numpy()
    for (dtype, expected), scale in itertools.product(ROUNDED.items(), (1.0, 256.0)):
        got = code.gradient(net, dtype, scale).numpy()
        agree(got * scale, expected(got * scale), 0)
        assert np.allclose(got, exact, rtol=0.02, atol=1e-5)
    assert (code.gradient(net, torch.float16, 2.0**-40) == 0).all()


ORACLES = [
    Oracle(
        "convolution_as_matrix_product",
        function="patches",
        reference=lambda x, k, pad: F.unfold(x, k, padding=pad).transpose(1, 2).flatten(0, 1),
        cases=images,
        tolerance=0,
        defects=[
            Defect("permute(0, 2, 3, 1, 4, 5)", "permute(0, 2, 3, 4, 5, 1)"),  # channel last in a row
            Defect("permute(0, 2, 3, 1, 4, 5)", "permute(0, 3, 2, 1, 4, 5)"),  # rows and columns
            Defect("(pad,) * 4", "(0,) * 4"),
        ],
    ),
    Oracle(
        "low_precision_sums",
        function="running_sum",
        reference=added_one_by_one,
        cases=sums,
        tolerance=0,
        defects=[
            Defect("dtype=dtype)", "dtype=torch.float32)", where="running_sum"),  # float32 total
            Defect("terms.to(dtype).T", "terms.T"),
        ],
    ),
    Oracle(
        "low_precision_sums",
        with_float32_sum,
        defects=[
            Defect("terms.to(dtype).float().sum(1)", "terms.float().sum(1)"),  # terms not rounded
            Defect("terms.to(dtype).float().sum(1)", "terms.to(dtype).cumsum(1)[:, -1]"),
        ],
    ),
    Oracle(
        "data_loading_pipeline",
        function="finish_times",
        reference=event_queue,
        cases=pipelines,
        defects=[
            Defect("i - ahead - 1", "i - 1"),
            Defect("start = max(start, end[i - 1][s])", "pass"),
            Defect("row[s - 1] if s else 0", "0"),
            Defect("s + 1 < len(cost) and i > ahead", "False"),
        ],
    ),
    Oracle(
        "roofline",
        count,
        defects=[
            Defect("2 * values", "4 * values"),
            Defect("x.numel() + y.numel() + sum", "x.numel() + sum"),
            Defect("per_output * y.numel()", "0"),
        ],
    ),
    Oracle(
        "tile_waves",
        function="waves",
        reference=rounds,
        cases=outputs,
        defects=[
            Defect("return math.ceil(math.ceil(m / TILE) *", "return math.ceil(m / TILE *"),
            Defect("/ SMS)", "/ SMS) + 1"),
        ],
    ),
    Oracle(
        "tile_waves",
        function="simulated",
        reference=rounds,
        cases=outputs,
        defects=[Defect("free[0] + 1", "free[-1] + 1")],
    ),
    Oracle(
        "tile_waves",
        function="busy",
        reference=lambda m, n: m * n / (rounds(m, n) * 132 * 128 * 128),
        cases=outputs,
        tolerance=0,
        defects=[Defect("SMS * TILE * TILE", "SMS * TILE")],
    ),
    Oracle(
        "training_memory",
        saved_bytes,
        defects=[
            Defect("if not isinstance(t, nn.Parameter)", "if True"),
            Defect("storages[storage._cdata] = storage", "storages[len(storages)] = storage"),
        ],
    ),
    Oracle("training_memory", resnet50, defects=[Defect("c_in == 4 * c", "True")]),
    Oracle("gradient_underflow", rounded_gradient, defects=[Defect("grad.to(ctx.dtype).float()", "grad")]),
    Oracle(
        "gradient_underflow",
        gradient,
        data=lambda: {"x": torch.randn(1, 6).float(), "y": torch.tensor([2])},
        defects=[
            Defect("g.to(dtype).float()", "g"),
            Defect("scale * nn.functional", "nn.functional"),
            Defect("flatten() / scale", "flatten()"),
        ],
    ),
]
