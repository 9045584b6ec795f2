"""The same weights give the same outputs and gradients in PyTorch and Keras 3.

PyTorch: images NCHW, kernels OIHW, Linear (out, in). Keras: NHWC, HWIO, (in, out).
Keras runs here on its torch backend, in float32: both use the same autograd.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"  # before the import of keras
import keras
import torch
from torch import nn


def torch_net(pad):  # pad is left, right, top, bottom of a 3x3 window at stride 2
    conv = nn.Conv2d(3, 6, 3, stride=2)
    layers = nn.ZeroPad2d(pad), conv, nn.ReLU(), nn.Flatten(), nn.Linear(6 * 4 * 4, 5)
    return nn.Sequential(*layers)  # (N, 3, 8, 8) -> (N, 5)


def keras_net():
    conv = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")
    layers = keras.Input((8, 8, 3)), conv, keras.layers.Flatten(), keras.layers.Dense(5)
    return keras.Sequential(layers)


def to_keras(kernel, matrix, reorder=True):
    """Weights of the convolution and of the Linear layer, as Keras stores them."""
    kernel = kernel.permute(2, 3, 1, 0)  # OIHW -> HWIO
    if reorder:  # flattened features: from (c, h, w) to (h, w, c)
        matrix = matrix.unflatten(1, (6, 4, 4)).permute(0, 2, 3, 1).flatten(1)
    return kernel, matrix.T


ported = {"right": [], "padding 1": [], "features not reordered": []}
for seed in range(5):
    torch.manual_seed(seed)
    x = torch.randn(7, 3, 8, 8)
    for name, errors in ported.items():
        ours = torch_net((1, 1, 1, 1) if name == "padding 1" else (0, 1, 0, 1))
        conv, linear, theirs = ours[1], ours[-1], keras_net()
        order = name != "features not reordered"
        kernel, matrix = to_keras(conv.weight, linear.weight, order)
        weights = kernel, conv.bias, matrix, linear.bias
        theirs.set_weights([w.detach().numpy() for w in weights])
        a, b = ours(x), theirs(x.permute(0, 2, 3, 1))  # NCHW -> NHWC
        a.square().mean().backward()
        b.square().mean().backward()
        grads = to_keras(conv.weight.grad, linear.weight.grad, order)
        g_keras = [theirs.weights[i].value.grad for i in (0, 2)]
        slopes = [(g - h).abs().max() for g, h in zip(grads, g_keras)]
        errors.append(max((a - b).abs().max(), *slopes).item())

assert max(ported["right"]) < 1e-5
assert min(ported["padding 1"] + ported["features not reordered"]) > 0.1
print("outputs and gradients, right port: differ by < 1e-5 (5 seeds)")
print("padding=1, or features not reordered: no error raised, off by > 0.1")
