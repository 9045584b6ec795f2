"""torch.export gives one whole graph that equals eager, or it refuses.

A small classifier on (N, 1, 8, 8); batch size left open.
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)


class Net(nn.Module):
    def __init__(self, branch=None):
        super().__init__()
        self.conv, self.fc, self.branch = nn.Conv2d(1, 4, 3), nn.Linear(4, 10), branch

    def forward(self, x):
        h = torch.relu(self.conv(x)).mean((2, 3))  # (N, 4)
        if self.branch == "python":
            h = h * 2 if h.sum() > 1 else h - 1
        elif self.branch == "cond":  # both branches go into the graph
            h = torch.cond(h.sum() > 1, lambda t: t * 2, lambda t: t - 1, (h,))
        return self.fc(h)


def export(net):
    shapes = ({0: torch.export.Dim("batch")},)
    return torch.export.export(net, (torch.randn(4, 1, 8, 8),), dynamic_shapes=shapes)


torch.manual_seed(0)
plain, choosing, python = Net().eval(), Net("cond").eval(), Net("python").eval()
python.load_state_dict(choosing.state_dict())
program, with_cond = export(plain), export(choosing)
sides = set()
for n in (1, 4, 9):  # batch sizes not seen at export, too
    for scale in (0.1, 5.0):
        x = scale * torch.randn(n, 1, 8, 8)
        assert torch.allclose(program.module()(x), plain(x), atol=1e-12)
        h = torch.relu(python.conv(x)).mean((2, 3)).sum()
        sides.add(bool(h > 1))
        assert torch.allclose(with_cond.module()(x), python(x), atol=1e-12)
assert sides == {True, False}  # both branches were taken

try:
    export(python)
    raise SystemExit("a branch on data was exported")
except Exception as error:  # its class differs between versions
    assert "data-dependent" in str(error).lower(), error

operations = [n.target.__name__ for n in program.graph.nodes if n.op == "call_function"]
assert "conv2d.default" in operations and "linear.default" in operations
print("operations:", ", ".join(operations))
print("equals eager: < 1e-12, batches of 1, 4 and 9")
print("`if` on data: refused; torch.cond: accepted, both branches right")
