"""Training memory goes to saved activations, not weights; checkpointing trades them
for a second forward pass, and the gradient stays the same.

Sixteen 3x3 convolutions (16 channels, ReLU) at 64 x 64 pixels. Chen and others, 2016.
"""

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

torch.set_default_dtype(torch.float64)


def build(seed):
    torch.manual_seed(seed)
    widths = [3] + [16] * 16
    return nn.ModuleList(
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU())
        for a, b in zip(widths, widths[1:])
    )


def train_step(net, x, segment):
    """Numbers kept between forward and backward, FLOPs, and the gradients."""
    kept = {}  # by address: one layer's output is the next one's input

    def pack(tensor):
        if not isinstance(tensor, nn.Parameter):
            kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with FlopCounterMode(display=False) as counter:
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            h = x
            for start in range(0, len(net), segment):
                part = nn.Sequential(*net[start : start + segment])
                if segment == 1:
                    h = part(h)
                else:
                    h = checkpoint(part, h, use_reentrant=False)
            loss = h.mean()
        loss.backward()
    grads = torch.cat([p.grad.flatten() for p in net.parameters()])
    return sum(kept.values()), counter.get_total_flops(), grads


weights = sum(p.numel() for p in build(0).parameters())
for batch, seed in [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (4, 0)]:
    x = torch.randn(batch, 3, 64, 64)
    plain, flops, grads = train_step(build(seed), x, segment=1)
    fewer, more, same = train_step(build(seed), x, segment=4)
    assert (grads - same).abs().max() < 1e-12 and grads.abs().max() > 1e-5
    peak = fewer + 4 * 16 * 64 * 64 * batch  # one segment at a time comes back
    assert plain > 25 * batch * weights and peak < plain / 2
    assert 1.3 < more / flops < 1.35  # three parts of work become four
    if seed == 0:
        print(
            f"batch {batch}: {weights} weights, {plain} saved numbers; "
            f"checkpoints: {fewer}, peak {peak}"
        )
print(f"FLOPs: {more / flops:.2f} times as many; gradients differ by < 1e-12 (5 seeds)")
