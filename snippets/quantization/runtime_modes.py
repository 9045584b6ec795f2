"""Small is not fast: all int8 variants have a quarter of the bytes; only the static one
gets integer kernels throughout, and the others take longer than float.

ONNX Runtime, one CPU thread. Images (N, 1, 8, 8), random convolutions (O, C, k, k).
"""

import tempfile
import timeit
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from sklearn.datasets import load_digits

X, Y = load_digits(return_X_y=True)
X = np.float32(X.reshape(-1, 1, 8, 8) / 16)
NET = """<ir_version: 10, opset_import: ["": 21]>
cnn (float[N, 1, 8, 8] x) => (float[N, 10, 1, 1] y) { UNPACK
r0 = Conv <pads = [1, 1, 1, 1]> (x, w0)  h0 = Relu (r0)
r1 = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (h0, w1)  h1 = Relu (r1)
r2 = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (h1, w2)  h2 = Relu (r2)
y = Conv (h2, w3) }"""


def fit(x, y):
    weights, f = [], torch.from_numpy(x)
    for c, o, stride in (1, 32, 1), (32, 64, 2), (64, 64, 2):
        weights.append(torch.randn(o, c, 3, 3) * (2 / (9 * c)) ** 0.5)
        f = torch.conv2d(f, weights[-1], stride=stride, padding=1).relu()
    a, target = f.flatten(1).double(), torch.eye(10)[y].double() - 0.1
    gram = a.T @ a + 1e-3 * a.square().sum() * torch.eye(a.shape[1])
    head = torch.linalg.solve(gram, a.T @ target).T
    return [*weights, head.float().reshape(10, 64, 2, 2)]


def save(weights, path, int8=False):
    unpack, tensors = "", {}
    for k, w in enumerate(weights):
        if int8:  # weight-only: int8 in the file, float in the arithmetic
            s = w.abs().amax((1, 2, 3)) / 127
            q = (w / s.view(-1, 1, 1, 1)).round().to(torch.int8)
            unpack += f"w{k} = DequantizeLinear <axis = 0> (q{k}, s{k})\n"
        tensors |= {f"q{k}": q, f"s{k}": s} if int8 else {f"w{k}": w}
    model = onnx.parser.parse_model(NET.replace("UNPACK", unpack))
    for name, v in tensors.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(v.numpy(), name))
    onnx.save(model, path)


class Sample(list, CalibrationDataReader):
    get_next = lambda self: self.pop() if self else None


def run(path, x, compiled=True):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.optimized_model_filepath = path + ".optimized"
    options.graph_optimization_level = ort.GraphOptimizationLevel(99 if compiled else 0)
    session = ort.InferenceSession(path, options)
    y = session.run(None, {"x": x})[0].reshape(len(x), 10).argmax(1)
    times = timeit.repeat(lambda: session.run(None, {"x": x}), number=1, repeat=7)
    ops = {node.op_type for node in onnx.load(path + ".optimized").graph.node}
    return y, min(times), (ops & {"ConvInteger", "QLinearConv"} or {"Conv"}).pop()


kinds = "float", "weight-only", "dynamic", "static", "simulated"
results, kernel = [], {}
for seed in range(5):
    order = torch.randperm(len(X), generator=torch.manual_seed(seed)).numpy()
    x, y, weights = X[order], Y[order], fit(X[order[:1200]], Y[order[:1200]])
    with tempfile.TemporaryDirectory() as folder:
        path = [str(Path(folder, name)) for name in kinds[:4]]
        save(weights, path[0]), save(weights, path[1], int8=True)
        quantize_dynamic(path[0], path[2], ["Conv"], weight_type=QuantType.QUInt8)
        quantize_static(path[0], path[3], Sample([{"x": x[:100]}]), per_channel=True)
        for k, file in enumerate(path + path[3:]):  # simulated: static, not compiled
            guess, t, kernel[k] = run(file, x[1200:], compiled=k < 4)
            results.append(((guess == y[1200:]).mean(), Path(file).stat().st_size, t))
accuracy, size, t = np.array(results).reshape(5, 5, 3).T  # each (kind, seed)
smaller, slower = (size[0] / size).min(1), np.median(t / t[0], 1)
for k, a in enumerate(accuracy):
    print(
        f"{kinds[k]:11} {kernel[k]:11} accuracy {a.mean():.2f} "
        f"({a.min():.2f}-{a.max():.2f}, n=5), bytes / {smaller[k]:.1f}"
    )
assert smaller[1:].min() > 3.5 and np.abs(accuracy - accuracy[0]).max() < 0.02
assert slower[[1, 2, 4]].min() > 1.1 and slower[4] > 1.5 * slower[3]
print("slower than float: weight-only, dynamic, simulated")
