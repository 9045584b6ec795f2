"""A backward pass costs about two forward passes; freezing lower layers saves most.

A small VGG-like CNN on 32 x 32 color images, counted by PyTorch's own operation
counter (convolutions and matrix products, multiply and add counted separately).
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def block(inputs, outputs):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2))


def flops(net, x):
    """FLOPs of one forward pass and of one backward pass."""
    with FlopCounterMode(display=False) as forward:
        loss = net(x).square().mean()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    return forward.get_total_flops(), backward.get_total_flops()


net = nn.Sequential(
    block(3, 32),
    block(32, 64),
    block(64, 128),
    nn.Flatten(),
    nn.Linear(128 * 4 * 4, 10),
)
x = torch.randn(2, 3, 32, 32)
first = 2 * 2 * 32 * 32 * 32 * 27  # FLOPs of layer 1: 2 N H W K C k k

print("FLOPs, backward / forward")
forward, backward = flops(net, x)
assert backward == 2 * forward - first  # nobody asks for the image's own gradient
print(f"all layers trained:            {backward / forward:.2f}")

forward, with_input = flops(net, x.requires_grad_())
assert with_input == 2 * forward  # as for a saliency map: exactly twice
print(f"image needs a gradient too:    {with_input / forward:.2f}")

for layer in net[:3]:
    layer.requires_grad_(False)
forward, frozen = flops(net, x.requires_grad_(False))
assert frozen < 0.01 * forward  # it stops at the last trained layer
print("all convolutions frozen:       < 0.01")

net[0].requires_grad_(True)  # which layer is frozen matters: train only the first
forward, first_only = flops(net, x)
assert 0.9 < first_only / forward < 1.1
print(f"all but first and last frozen: {first_only / forward:.2f}")
