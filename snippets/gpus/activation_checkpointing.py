"""Checkpointing stores fewer activations for one more forward pass, gradients equal.

Chen and others 2016. A chain of 16 equal blocks in k segments, batch (8, 8, 16, 16).
"""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint_sequential

torch.set_default_dtype(torch.float64)
BLOCKS = 16


class Block(nn.Module):
    """Counts its forward passes."""

    runs = 0

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        Block.runs += 1
        return x + torch.tanh(self.conv(x))


def saved_values(run, x):
    """Run, and count the values that autograd keeps, without the parameters."""
    storages = {}

    def pack(t):
        if not isinstance(t, nn.Parameter):
            storages[t.untyped_storage().data_ptr()] = t  # held: no address twice
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = run(x)
    return out, sum(t.numel() for t in storages.values())


def train(net, x, segments=None):
    """Gradients, saved maps of the size of x, and block passes."""

    def run(x):
        if segments is None:
            return net(x)
        return checkpoint_sequential(net, segments, x, use_reentrant=False)

    Block.runs = 0
    out, values = saved_values(run, x)
    grads = torch.autograd.grad(out.square().sum(), list(net.parameters()))
    return grads, values // x.numel(), Block.runs


for seed in range(5):
    torch.manual_seed(seed)
    net = nn.Sequential(*[Block() for _ in range(BLOCKS)])
    x = torch.randn(8, 8, 16, 16)
    exact, plain, runs = train(net, x)
    assert plain == 2 * BLOCKS and runs == BLOCKS  # conv input, tanh output
    table = {}
    for k in (2, 4, 8, 16):
        grads, maps, runs = train(net, x, k)
        for a, b in zip(exact, grads, strict=True):
            assert (a - b).abs().max() < 1e-12
        # The last segment is not checkpointed: its backward comes at once.
        assert maps == (k - 1) + 2 * BLOCKS // k  # segment inputs, last segment
        assert runs == BLOCKS + BLOCKS * (k - 1) // k
        table[k] = maps, runs
    assert min(table, key=table.get) == 4  # near the square root of the depth

print(f"no checkpoints: {plain} maps saved, {BLOCKS} block passes")
for k, (maps, runs) in table.items():
    print(f"{k:2d} segments: {maps} maps saved, {runs} block passes")
print("gradients differ by less than 1e-12, 5 seeds")
