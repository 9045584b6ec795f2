"""Oracles for PyTorch and TensorFlow: Keras's convolution, scipy's correlation, brute force.

Each check says whether a snippet's functions agree with the oracle; planted defects must make it
disagree.
"""

import os
import random

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.signal import correlate
from tests.snippet_functions import load_functions

TOPIC = "pytorch-and-tensorflow"


def load(technique, defect=None):
    return load_functions(f"{TOPIC}/{technique}", defect)


# --- 'same' padding -------------------------------------------------------------------


def starts_by_search(n, k, s):
    """Zeros before and after by trying: the least total that gives ceil(n / s), extra one last."""
    outputs = len(range(0, n, s))
    for total in range(n + k + s):
        if (n + total - k) // s + 1 == outputs and n + total >= k:
            return total // 2, (total + 1) // 2
    raise AssertionError


def padding_agrees(code) -> bool:
    """The amounts equal the searched ones, for every size, window and stride up to 12, 7, 4."""
    cases = ((n, k, s) for n in range(1, 13) for k in range(1, 8) for s in range(1, 5))
    return all(code.same_padding(*case) == starts_by_search(*case) for case in cases)


def convolution_agrees(code) -> bool:
    """Equals Keras's layer and, per channel, scipy's full correlation read at every s-th start."""
    rng = np.random.default_rng(0)
    for h, w, kh, kw, s in ((8, 9, 3, 3, 2), (7, 10, 5, 2, 2), (12, 6, 4, 3, 3), (5, 5, 3, 3, 1)):
        x, f = rng.normal(size=(1, 2, h, w)), rng.normal(size=(3, 2, kh, kw))
        ours = code.conv_same(torch.tensor(x), torch.tensor(f), s).numpy()
        ch, cw = starts_by_search(h, kh, s)[0], starts_by_search(w, kw, s)[0]
        full = sum(np.stack([correlate(x[0, c], g[c]) for g in f]) for c in range(2))
        scipys = full[:, kh - 1 - ch :: s, kw - 1 - cw :: s][:, : -(-h // s), : -(-w // s)]
        layer = keras.layers.Conv2D(3, (kh, kw), strides=s, padding="same", use_bias=False)
        layer.build((1, h, w, 2))
        layer.set_weights([f.transpose(2, 3, 1, 0)])
        theirs = layer(x.transpose(0, 2, 3, 1)).detach().numpy().transpose(0, 3, 1, 2)
        for other, tolerance in ((scipys[None], 1e-12), (theirs, 1e-4)):
            if ours.shape != other.shape or not np.allclose(ours, other, atol=tolerance):
                return False
    return True


def test_same_padding():
    code = load("same_padding")
    assert padding_agrees(code)
    assert convolution_agrees(code)


@pytest.mark.parametrize(
    "defect",
    [
        ("return total // 2, total - total // 2", "return total - total // 2, total // 2"),
        ("(-(-n // s) - 1)", "(n // s - 1)"),
        ("+ k - n, 0)", "+ k - n, -9)"),
    ],
)
def test_same_padding_catches(defect):
    assert not padding_agrees(load("same_padding", defect))


@pytest.mark.parametrize(
    "defect",
    [
        ("(left, right, top, bottom)", "(top, bottom, left, right)"),
        ("same_padding(x.shape[3], w.shape[3], s)", "same_padding(x.shape[2], w.shape[2], s)"),
    ],
)
def test_conv_same_catches(defect):
    try:
        agrees = convolution_agrees(load("same_padding", defect))
    except RuntimeError:  # shapes that no longer fit count as caught
        agrees = False
    assert not agrees


# --- Weights from one layout to the other ---------------------------------------------


def port_agrees(code) -> bool:
    """Every entry lies where its indices say, by loops."""
    kernel, matrix = torch.randn(6, 3, 3, 2), torch.randn(5, 96)
    k, m = code.to_keras(kernel, matrix)
    if k.shape != (3, 2, 3, 6) or m.shape != (96, 5):
        return False
    for _ in range(300):
        o, i, y, x = (random.randrange(n) for n in kernel.shape)
        c, h, w, out = (random.randrange(n) for n in (6, 4, 4, 5))
        if k[y, x, i, o] != kernel[o, i, y, x]:
            return False
        if m[(h * 4 + w) * 6 + c, out] != matrix[out, (c * 4 + h) * 4 + w]:
            return False
    return True


def test_to_keras():
    assert port_agrees(load("same_network"))


@pytest.mark.parametrize(
    "defect",
    [
        ("permute(2, 3, 1, 0)", "permute(3, 2, 1, 0)"),
        ("permute(0, 2, 3, 1)", "permute(0, 3, 2, 1)"),
        ("if reorder:", "if not reorder:"),
    ],
)
def test_to_keras_catches(defect):
    assert not port_agrees(load("same_network", defect))


# --- The toy of a static graph --------------------------------------------------------


def graph_agrees(code) -> bool:
    """Random graphs with shared nodes: same values as computed at once, each node run once."""
    operations = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum}
    for _ in range(50):
        inputs = [code.placeholder() for _ in range(3)]
        arrays = list(np.random.randn(3, 4))
        nodes, values, calls = list(inputs), list(arrays), []
        for step in range(8):
            name = random.choice(list(operations))
            i, j = random.randrange(len(nodes)), random.randrange(len(nodes))

            def op(a, b, name=name, step=step):
                calls.append(step)
                return operations[name](a, b)

            nodes.append(code.Node(op, nodes[i], nodes[j]))
            values.append(operations[name](values[i], values[j]))
        feed = dict(zip(inputs, arrays, strict=True))
        if not np.array_equal(code.run(nodes[-1], feed), values[-1]):
            return False
        if len(calls) != len(set(calls)) or len(feed) != 3:
            return False
    return True


def test_static_graph():
    assert graph_agrees(load("static_graph"))


@pytest.mark.parametrize(
    "defect",
    [
        ("if node not in values:", "if node not in values or node.op:"),
        ("values = dict(feed)", "values = feed"),
        ("map(value, node.inputs)", "map(value, node.inputs[::-1])"),
    ],
)
def test_static_graph_catches(defect):
    assert not graph_agrees(load("static_graph", defect))


# --- Gradient by hand, nodes of a graph -----------------------------------------------


def gradient_agrees(code) -> bool:
    """The formula equals finite differences of an independent loss."""
    rng = np.random.default_rng(1)
    for _ in range(10):
        x, w, t = rng.normal(size=(9, 4)), rng.normal(size=4), rng.choice([-1.0, 1.0], 9)

        def loss(w, x=x, t=t):
            return np.log1p(np.exp(-t * (x @ w))).mean()

        ours = code.by_hand(*map(torch.tensor, (w, x, t)))
        if not np.allclose(ours, approx_fprime(w, loss, 1e-7), atol=1e-5):
            return False
    return True


def nodes_agree(code) -> bool:
    """Known graphs: a chain of n steps, one shared node, no graph at all."""
    leaf = torch.ones(2, requires_grad=True)
    chain = leaf
    for _ in range(7):
        chain = chain.sin()
    shared = leaf.exp()
    return (  # the accumulator of the leaf is a node, too
        code.count_nodes(chain) == 8
        and code.count_nodes(shared * shared) == 3
        and code.count_nodes(torch.ones(2)) == 0
    )


def test_gradient_and_nodes():
    assert gradient_agrees(load("functional_gradients"))
    assert nodes_agree(load("define_by_run"))


@pytest.mark.parametrize("defect", [("-(t * torch", "(t * torch"), ("@ x / len(x)", "@ x")])
def test_gradient_catches(defect):
    assert not gradient_agrees(load("functional_gradients", defect))


@pytest.mark.parametrize(
    "defect",
    [("seen, todo = set()", "seen, todo = {1}"), ("return len(seen)", "return len(seen) - 1")],
)
def test_nodes_catches(defect):
    assert not nodes_agree(load("define_by_run", defect))
