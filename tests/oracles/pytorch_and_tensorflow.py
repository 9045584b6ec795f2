"""PyTorch and TensorFlow: Keras's convolution, scipy's correlation, finite differences, brute force."""

import os
import random

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import torch
from scipy.optimize import approx_fprime
from scipy.signal import correlate

from tests.oracles.oracle import Defect, Oracle, agree


def windows():
    """Every size, window and stride up to 12, 7, 4."""
    return ((n, k, s) for n in range(1, 13) for k in range(1, 8) for s in range(1, 5))


def searched_padding(n, k, s):
    """Zeros before and after by trying: the least total that gives ceil(n / s), extra one last."""
    outputs = len(range(0, n, s))
    total = next(t for t in range(n + k + s) if (n + t - k) // s + 1 == outputs and n + t >= k)
    return total // 2, (total + 1) // 2


def images_and_filters():
    for h, w, kh, kw, s in ((8, 9, 3, 3, 2), (7, 10, 5, 2, 2), (12, 6, 4, 3, 3), (5, 5, 3, 3, 1)):
        yield torch.randn(1, 2, h, w), torch.randn(3, 2, kh, kw), s


def same_convolution(x, f, s):
    """Scipy's full correlation, per channel, read at every s-th start; Keras's layer says the same."""
    (h, w), (kh, kw) = x.shape[2:], f.shape[2:]
    ch, cw = searched_padding(h, kh, s)[0], searched_padding(w, kw, s)[0]
    full = sum(np.stack([correlate(x[0, c], g[c]) for g in f]) for c in range(2))
    want = full[None, :, kh - 1 - ch :: s, kw - 1 - cw :: s][..., : -(-h // s), : -(-w // s)]
    layer = keras.layers.Conv2D(3, (kh, kw), strides=s, padding="same", use_bias=False)
    layer.build((1, h, w, 2))
    layer.set_weights([f.permute(2, 3, 1, 0).numpy()])
    agree(layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), want, 1e-5)
    return want


def keras_weights(kernel, matrix):
    """Every entry lies where its indices say."""
    k, m = torch.empty(3, 2, 3, 6), torch.empty(96, 5)
    for o, i, y, x in np.ndindex(*kernel.shape):
        k[y, x, i, o] = kernel[o, i, y, x]
    for c, h, w, out in np.ndindex(6, 4, 4, 5):
        m[(h * 4 + w) * 6 + c, out] = matrix[out, (c * 4 + h) * 4 + w]
    return k, m


def static_graph(code):
    """Random graphs with shared nodes: same values as computed at once, each node run once."""
    draw, operations = random.Random(0), [np.add, np.subtract, np.multiply, np.maximum]
    for _ in range(50):
        inputs, arrays = [code.placeholder() for _ in range(3)], list(torch.randn(3, 4).numpy())
        nodes, values, calls = list(inputs), list(arrays), []
        for step in range(8):
            operation, i, j = draw.choice(operations), draw.randrange(len(nodes)), draw.randrange(len(nodes))

            def op(a, b, operation=operation, step=step, calls=calls):
                calls.append(step)
                return operation(a, b)

            nodes.append(code.Node(op, nodes[i], nodes[j]))
            values.append(operation(values[i], values[j]))
        feed = dict(zip(inputs, arrays, strict=True))
        agree(code.run(nodes[-1], feed), values[-1], 0)
        assert len(calls) == len(set(calls)) and len(feed) == 3


def weights_and_samples():
    return ((torch.randn(4), torch.randn(9, 4), torch.randn(9).sign()) for _ in range(10))


def finite_differences(w, x, t):
    def loss(w):
        return np.log1p(np.exp(-t.numpy() * (x.numpy() @ w))).mean()

    return approx_fprime(w.numpy(), loss, 1e-7)


def count_nodes(code):
    """Known graphs: a chain of n steps, one shared node, no graph at all."""
    leaf = torch.ones(2, requires_grad=True)
    chain, shared = leaf, leaf.exp()
    for _ in range(7):
        chain = chain.sin()
    assert code.count_nodes(chain) == 8  # the accumulator of the leaf is a node, too
    assert code.count_nodes(shared * shared) == 3
    assert code.count_nodes(torch.ones(2)) == 0


ORACLES = [
    Oracle(
        "same_padding",
        function="same_padding",
        reference=searched_padding,
        cases=windows,
        defects=[
            Defect("return total // 2, total - total // 2", "return total - total // 2, total // 2"),
            Defect("(-(-n // s) - 1)", "(n // s - 1)"),
            Defect("+ k - n, 0)", "+ k - n, -9)"),
        ],
    ),
    Oracle(
        "same_padding",
        function="conv_same",
        reference=same_convolution,
        cases=images_and_filters,
        tolerance=1e-12,
        defects=[
            Defect("(left, right, top, bottom)", "(top, bottom, left, right)"),
            Defect("same_padding(x.shape[3], w.shape[3], s)", "same_padding(x.shape[2], w.shape[2], s)"),
        ],
    ),
    Oracle(
        "same_network",
        function="to_keras",
        reference=keras_weights,
        cases=lambda: [(torch.randn(6, 3, 3, 2), torch.randn(5, 96))],
        tolerance=0,
        defects=[
            Defect("permute(2, 3, 1, 0)", "permute(3, 2, 1, 0)"),
            Defect("permute(0, 2, 3, 1)", "permute(0, 3, 2, 1)", where="to_keras"),
            Defect("if reorder:", "if not reorder:"),
        ],
    ),
    Oracle(
        "static_graph",
        static_graph,
        defects=[
            Defect("if node not in values:", "if node not in values or node.op:"),
            Defect("values = dict(feed)", "values = feed"),
            Defect("map(value, node.inputs)", "map(value, node.inputs[::-1])"),
        ],
    ),
    Oracle(
        "functional_gradients",
        function="by_hand",
        reference=finite_differences,
        cases=weights_and_samples,
        tolerance=1e-6,
        defects=[Defect("-(t * torch", "(t * torch"), Defect("@ x / len(x)", "@ x", where="by_hand")],
    ),
    Oracle(
        "define_by_run",
        count_nodes,
        defects=[
            Defect("seen, todo = set()", "seen, todo = {1}"),
            Defect("return len(seen)", "return len(seen) - 1"),
        ],
    ),
]
