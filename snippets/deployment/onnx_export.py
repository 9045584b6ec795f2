"""An exported graph answers like the eager CNN, at batch sizes it has never seen, if
the batch axis is declared dynamic; exporting before eval() freezes something else.

torch.export's graph and its ONNX form in ONNX Runtime. x (N, 3, 16, 16) -> (N, 10).
"""

import copy
import io
import warnings
import onnxruntime
import torch
from torch import nn


def network(seed):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8 * 64, 10),
    )
    net(2 + 3 * torch.randn(64, 3, 16, 16))  # moves the batch-norm statistics
    return net


def difference(a, b):
    return (a - torch.as_tensor(b)).abs().max().item()


batch = ({0: torch.export.Dim("batch", min=1, max=64)},)
net = network(0).eval()
example = torch.randn(2, 3, 16, 16)
graph = torch.export.export(net, (example,), dynamic_shapes=batch)
with warnings.catch_warnings(action="ignore"):  # of the exporter about itself
    program = torch.onnx.export(graph, dynamo=True, verbose=False)
file = io.BytesIO()
program.save(file)
session = onnxruntime.InferenceSession(file.getvalue())
name = session.get_inputs()[0].name

worst = 0.0
with torch.inference_mode():
    for seed in range(5):
        for size in (1, 2, 7, 64):
            torch.manual_seed(seed)
            x = 2 + 3 * torch.randn(size, 3, 16, 16)
            eager = net(x)
            onnx = session.run(None, {name: x.numpy()})[0]
            worst = max(
                worst, difference(eager, graph.module()(x)), difference(eager, onnx)
            )
    assert worst < 1e-4 < eager.abs().mean()
    print("batches of 1, 2, 7, 64: largest difference < 1e-4")

    fixed = torch.export.export(net, (example,)).module()  # no dynamic axis
    try:
        fixed(x)
        refused = False
    except AssertionError:  # the guard: the size was 2 in the example
        refused = True
    assert refused
    print("exported without a dynamic axis: a batch of 64 is refused")

    forgot = torch.export.export(copy.deepcopy(net).train(), (x,)).module()
    gap = difference(eager, forgot(x))
    assert gap > 0.1
    print("exported in training mode: outputs differ by more than 0.1")
