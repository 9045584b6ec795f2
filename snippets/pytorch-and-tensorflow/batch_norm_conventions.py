"""Batch normalization: PyTorch's momentum 0.1 is Keras's 0.9, and eps differ too.

Both see the same batch ten times; the running values start at 0 and 1.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"  # before the import of keras
import keras
import torch
from torch import nn


def after(layer, x, steps=10):
    """Running mean and variance after some training steps."""
    if isinstance(layer, nn.BatchNorm1d):
        for _ in range(steps):
            layer(x)
        return layer.running_mean, layer.running_var
    for _ in range(steps):
        layer(x, training=True)
    return layer.moving_mean.value, layer.moving_variance.value


default = nn.BatchNorm1d(3), keras.layers.BatchNormalization()
print("defaults: torch momentum", default[0].momentum, "eps", default[0].eps)
print("          keras momentum", default[1].momentum, "eps", default[1].epsilon)
for seed in range(5):
    torch.manual_seed(seed)
    x = 0.2 + 0.03 * torch.randn(16, 3)  # (N, C), so small that eps matters
    mean, var = x.mean(0), x.var(0, unbiased=False)
    ours = after(nn.BatchNorm1d(3), x)
    mate = after(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5), x)
    lazy = after(keras.layers.BatchNormalization(), x)
    share = 1 - 0.9**10  # closed form: what ten steps take over from the batch
    assert torch.allclose(ours[0], share * mean) and torch.allclose(mate[0], ours[0])
    assert torch.allclose(lazy[0], (1 - 0.99**10) * mean)
    # PyTorch stores the unbiased variance (n - 1), Keras the biased one (n)
    assert torch.allclose(ours[1], 0.9**10 + share * var * 16 / 15)
    assert torch.allclose(mate[1], 0.9**10 + share * var)
    scale = ((var + 1e-3) / (var + 1e-5)).sqrt()  # training mode: batch statistics
    a = nn.BatchNorm1d(3)(x)
    b = keras.layers.BatchNormalization()(x, training=True)
    assert torch.allclose(a, b * scale, atol=1e-4) and (scale > 1.1).all()

print(
    f"batch mean taken over in 10 steps: {share:.2f} (momentum 0.1 or 0.9),",
    f"{1 - 0.99**10:.2f} (Keras default)",
)
print("eps 1e-3 shrinks outputs of small variance by more than 10 % (5 seeds)")
