"""torch.compile captures one graph, splits it where Python looks at a value.

The backend here only counts graphs and runs them as they are: no code is generated.
"""

import torch
from torch import nn

torch.manual_seed(0)
conv1, conv2 = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)


def clean(x):
    return conv2(torch.relu(conv1(x))).mean((2, 3))


def looks_at_a_value(x):
    h = torch.relu(conv1(x))
    if h.mean() > 0.1:  # the branch needs a number: the graph ends here
        h = h / h.mean()
    return conv2(h).mean((2, 3))


def masked(x):  # the same decision, as arithmetic on tensors
    h = torch.relu(conv1(x))
    h = torch.where(h.mean() > 0.1, h / h.mean(), h)
    return conv2(h).mean((2, 3))


def graphs(f, batches=(4,), **options):
    """Graphs compiled while f runs on batches of these sizes, cumulated."""
    torch._dynamo.reset()
    sizes, counts = [], []

    def backend(module, inputs):
        sizes.append(len(module.graph.nodes))
        return module.forward

    compiled = torch.compile(f, backend=backend, **options)
    with torch.no_grad():
        for n in batches:
            x = torch.randn(n, 3, 8, 8)
            assert torch.allclose(compiled(x), f(x), atol=1e-6)
            counts.append(len(sizes))
    return counts


one, two, three = (graphs(f)[0] for f in (clean, looks_at_a_value, masked))
assert one == three == 1 and two > 1
print("graphs: clean", one, "| if on a value", two, "| torch.where", three)
try:
    graphs(looks_at_a_value, fullgraph=True)
    raise SystemExit("fullgraph=True let the break pass")
except torch._dynamo.exc.TorchDynamoException:
    print("fullgraph=True refuses the function with the break")
static = graphs(clean, (4, 4, 5, 6, 7), dynamic=False)
automatic = graphs(clean, (4, 4, 5, 6, 7))
assert static == [1, 1, 2, 3, 4] and automatic == [1, 1, 2, 2, 2]
print("batches of 4, 4, 5, 6, 7: graphs", static, "static shapes")
print("                          graphs", automatic, "dynamic from the second shape")
