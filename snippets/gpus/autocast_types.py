"""Autocast picks a type per operator; weights, gradients and loss stay float32.

torch.amp on the CPU with bfloat16, and the rule of its loss scaler for float16.
Shapes: x (8, 3, 8, 8), 5 classes.
"""

import torch
from torch import nn

torch.manual_seed(0)
conv, norm, head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 5)
x, y = torch.randn(8, 3, 8, 8), torch.randint(5, (8,))

with torch.autocast("cpu", dtype=torch.bfloat16):
    h = conv(x)
    z = head(norm(h).relu().flatten(1))
    loss = nn.functional.cross_entropy(z, y)
loss.backward()
assert h.dtype == z.dtype == torch.bfloat16  # products in 16 bits
assert loss.dtype == conv.weight.dtype == conv.weight.grad.dtype == torch.float32
print("convolution, linear:", h.dtype)
print("loss, weights, gradients of weights:", loss.dtype)

# The scaler multiplies the loss, divides the gradients, and reacts to overflow.
weight = nn.Parameter(torch.ones(()))
sgd = torch.optim.SGD([weight], lr=0.5)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=2)
scales, values = [], []
for overflow in (False, False, True, False):
    sgd.zero_grad()
    scaler.scale(weight * 1.0).backward()  # true gradient: 1
    if overflow:
        weight.grad.fill_(float("inf"))  # what float16 would have given
    scaler.step(sgd)  # unscales; skips the step if a gradient is not finite
    scaler.update()
    scales.append(int(scaler.get_scale()))
    values.append(weight.item())
assert values == [0.5, 0.0, 0.0, -0.5]  # the third step was skipped
assert scales == [2**16, 2**17, 2**16, 2**16]  # doubled, then halved
print("weight after each step:", values)
print("scale after each step: ", scales)
