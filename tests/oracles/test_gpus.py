"""Oracles for GPUs: torch's own unfold, numpy's float16, an event queue, closed forms.

Each check says whether a snippet's functions agree with the oracle; planted defects must make it
disagree.
"""

import heapq
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.snippet_functions import load_functions
from torch import nn


def load(technique, defect=None):
    return load_functions(f"gpus/{technique}", defect)


# --- Patches ---------------------------------------------------------------------------


def patches_agree(code) -> bool:
    """The rows equal those of F.unfold, for several sizes, also 1 x 1 and no padding."""
    cases = ((1, 0, (2, 3, 4, 5)), (3, 1, (1, 2, 6, 7)), (5, 2, (3, 1, 5, 9)), (3, 0, (2, 2, 3, 4)))
    for k, pad, size in cases:
        x = torch.randn(size)
        theirs = F.unfold(x, k, padding=pad).transpose(1, 2).flatten(0, 1)
        ours = code.patches(x, k, pad)
        if ours.shape != theirs.shape or not torch.equal(ours, theirs):
            return False
    return True


def test_patches():
    assert patches_agree(load("convolution_as_matrix_product"))


@pytest.mark.parametrize(
    "defect",
    [
        ("permute(0, 2, 3, 1, 4, 5)", "permute(0, 2, 3, 4, 5, 1)"),  # channel last in a row
        ("permute(0, 2, 3, 1, 4, 5)", "permute(0, 3, 2, 1, 4, 5)"),  # rows and columns
        ("(pad,) * 4", "(0,) * 4"),
    ],
)
def test_patches_defects_are_caught(defect):
    assert not patches_agree(load("convolution_as_matrix_product", defect))


# --- Low-precision sums ----------------------------------------------------------------


def sums_agree(code) -> bool:
    """The running sum equals numpy's float16, added one by one; the other numpy's float32."""
    for seed in range(5):
        terms = torch.randn(3, 400, generator=torch.manual_seed(seed)) * 10**seed / 100
        half = terms.half().numpy()
        total = np.zeros(3, np.float16)
        for column in half.T:
            total = (total + column).astype(np.float16)
        if (code.running_sum(terms, torch.float16).numpy() != total).any():
            return False
        exact = half.astype(np.float64).sum(1)
        mixed = code.with_float32_sum(terms, torch.float16).numpy()
        if not np.allclose(mixed, exact, rtol=1e-5, atol=1e-5 * np.abs(half).max()):
            return False
    return True


def test_sums():
    assert sums_agree(load("low_precision_sums"))


@pytest.mark.parametrize(
    "defect",
    [
        ("dtype=dtype)\n    for column", "dtype=torch.float32)\n    for column"),  # float32 total
        ("terms.to(dtype).T", "terms.T"),
        ("terms.to(dtype).float().sum(1)", "terms.float().sum(1)"),  # terms not rounded
        ("terms.to(dtype).float().sum(1)", "terms.to(dtype).cumsum(1)[:, -1]"),
    ],
)
def test_sums_defects_are_caught(defect):
    assert not sums_agree(load("low_precision_sums", defect))


# --- Pipeline --------------------------------------------------------------------------


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


def pipeline_agrees(code) -> bool:
    rng = np.random.default_rng(0)
    for stages, ahead in itertools.product((1, 2, 3), (0, 1, 3)):
        costs = rng.integers(1, 9, (12, stages)).tolist()
        if code.finish_times(costs, ahead) != event_queue(costs, ahead):
            return False
    return True


def test_pipeline():
    code = load("data_loading_pipeline")
    assert pipeline_agrees(code)
    assert code.finish_times([(2, 3)] * 10, 99)[-1][-1] == 2 + 10 * 3  # the textbook formula


@pytest.mark.parametrize(
    "defect",
    [
        ("i - ahead - 1", "i - 1"),
        ("start = max(start, end[i - 1][s])", "pass"),
        ("row[s - 1] if s else 0", "0"),
        ("s + 1 < len(cost) and i > ahead", "False"),
    ],
)
def test_pipeline_defects_are_caught(defect):
    assert not pipeline_agrees(load("data_loading_pipeline", defect))


# --- Operations and bytes --------------------------------------------------------------


def counts_agree(code) -> bool:
    """Operations and bytes equal the closed forms."""
    for n, c, o, k, h, groups in ((2, 4, 6, 3, 7, 2), (1, 8, 8, 1, 5, 1), (3, 6, 6, 3, 4, 6)):
        conv = nn.Conv2d(c, o, k, padding=k // 2, groups=groups, bias=False)
        ops = 2 * k * k * (c // groups) * o * n * h * h
        size = 2 * (n * c * h * h + n * o * h * h + o * (c // groups) * k * k)
        if code.count(conv, n, c, h, h) != (ops, size):
            return False
    linear = code.count(nn.Linear(30, 20, bias=False), 7, 30)
    relu = code.count(nn.ReLU(), 4, 5, per_output=1)
    return linear == (2 * 7 * 30 * 20, 2 * (210 + 140 + 600)) and relu == (20, 80)


def test_counts():
    assert counts_agree(load("roofline"))


@pytest.mark.parametrize(
    "defect",
    [
        ("2 * values", "4 * values"),
        ("x.numel() + y.numel() + sum", "x.numel() + sum"),
        ("per_output * y.numel()", "0"),
    ],
)
def test_counts_defects_are_caught(defect):
    assert not counts_agree(load("roofline", defect))


# --- Waves -----------------------------------------------------------------------------


def waves_agree(code) -> bool:
    for m, n in itertools.product((1, 127, 128, 129, 3366, 16896, 16897), (1, 256, 600)):
        tiles = sum(1 for _ in range(0, m, 128)) * sum(1 for _ in range(0, n, 128))
        rounds = len(range(0, tiles, 132))
        share = m * n / (rounds * 132 * 128 * 128)
        if not code.waves(m, n) == code.simulated(m, n) == rounds or code.busy(m, n) != share:
            return False
    return True


def test_waves():
    assert waves_agree(load("tile_waves"))


@pytest.mark.parametrize(
    "defect",
    [
        ("return math.ceil(math.ceil(m / TILE) *", "return math.ceil(m / TILE *"),
        ("/ SMS)", "/ SMS) + 1"),
        ("free[0] + 1", "free[-1] + 1"),
        ("SMS * TILE * TILE", "SMS * TILE"),
    ],
)
def test_waves_defects_are_caught(defect):
    assert not waves_agree(load("tile_waves", defect))


# --- Saved activations -----------------------------------------------------------------


def saved_agree(code) -> bool:
    """Known cases: what conv, ReLU and linear keep, each storage once, parameters never."""
    x = torch.randn(2, 3, 8, 8)
    conv = nn.Conv2d(3, 5, 3, padding=1)
    size = x.element_size() * 2 * 8 * 8  # bytes of one channel
    chain = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(5, 1, 1))  # ReLU's result: one storage
    return (
        code.saved_bytes(conv, x, False) == 3 * size
        and code.saved_bytes(chain, x, False) == (3 + 5) * size
        and code.saved_bytes(nn.Flatten(), x, False) == 0
    )


def test_saved_activations():
    code = load("training_memory")
    assert saved_agree(code)
    with torch.device("meta"):
        assert sum(p.numel() for p in code.resnet50().parameters()) == 25_557_032


@pytest.mark.parametrize(
    "defect",
    [
        ("if not isinstance(t, nn.Parameter)", "if True"),
        ("storages[storage._cdata] = storage", "storages[len(storages)] = storage"),
    ],
)
def test_saved_activations_defects_are_caught(defect):
    assert not saved_agree(load("training_memory", defect))


# --- Rounded gradients -----------------------------------------------------------------


def rounding_agrees(code) -> bool:
    """numpy's float16 and bfloat16 from the bits; a linear layer's gradient as an outer product."""

    def brain(v):  # 8 bits, half to even
        mantissa, exponent = np.frexp(v)
        return np.ldexp(np.round(mantissa * 256), exponent - 8)

    rounded = {torch.float16: lambda v: v.astype(np.float16).astype(np.float32), torch.bfloat16: brain}
    net, x, y = nn.Sequential(nn.Linear(6, 4)).float(), torch.randn(1, 6).float(), torch.tensor([2])
    code.gradient.__globals__.update(x=x, y=y)
    error = net(x).softmax(1).detach() - F.one_hot(y, 4)
    exact = torch.cat([(error.T @ x).flatten(), error[0]]).numpy()
    for dtype, expected in rounded.items():
        value = (torch.randn(500) * 2.0 ** torch.randint(-30, 20, (500,))).float()
        there = torch.randn(500).float().requires_grad_()
        out = code.Round.apply(there, dtype)
        (back,) = torch.autograd.grad(out, there, value)
        if not torch.equal(out, there) or not np.array_equal(back, expected(value.numpy())):
            return False
        for scale in (1.0, 256.0):
            got = code.gradient(net, dtype, scale).numpy()
            same = np.array_equal(expected(got * scale), got * scale)
            if not same or not np.allclose(got, exact, rtol=0.02, atol=1e-5):
                return False
        lost = code.gradient(net, torch.float16, 2.0**-40)
    return bool((lost == 0).all())


def test_rounded_gradients():
    assert rounding_agrees(load("gradient_underflow"))


@pytest.mark.parametrize(
    "defect",
    [
        ("grad.to(ctx.dtype).float()", "grad"),
        ("g.to(dtype).float()", "g"),
        ("scale * nn.functional", "nn.functional"),
        ("flatten() / scale", "flatten()"),
    ],
)
def test_rounded_gradients_defects_are_caught(defect):
    assert not rounding_agrees(load("gradient_underflow", defect))
