"""Define-and-run, as in TensorFlow 1: Python builds the graph once, a session runs it.

A toy of 15 lines: nodes, placeholders, and a `run` that evaluates what is asked for.
"""

import numpy as np


class Node:
    """An operation and its input nodes; holds no value."""

    def __init__(self, op, *inputs):
        self.op, self.inputs = op, inputs


def placeholder():
    return Node(None)


def run(fetch, feed):
    """Evaluate one node; `feed` maps placeholders to arrays. Each node runs once."""
    values = dict(feed)

    def value(node):
        if node not in values:
            values[node] = node.op(*map(value, node.inputs))
        return values[node]

    return value(fetch)


built = []  # records when Python code runs


def layer(x, w, negative):
    built.append("layer")  # a Python side effect
    y = Node(np.matmul, x, w)
    if negative:  # Python decides, once, while building
        y = Node(np.negative, y)
    return Node(lambda a: np.maximum(a, 0), y)


x, w = placeholder(), placeholder()
mode = True
y = layer(x, w, mode)
for seed in range(5):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    mode = seed % 2 == 0  # too late: the graph is built
    assert np.array_equal(run(y, {x: a, w: b}), np.maximum(-(a @ b), 0))
    assert not np.array_equal(run(y, {x: a, w: b}), np.maximum(a @ b, 0))

assert built == ["layer"]  # many runs, one build
try:
    bool(y > 0)  # the node has no value to compare
    raise SystemExit("a static node was compared")
except TypeError:
    runs = 2 * (seed + 1)
    print(runs, "runs, Python code of the layer executed:", len(built), "time")
print("changing the flag later has no effect; the branch is frozen")
print("`if y > 0` fails while building: a node has no value yet")
