"""int8 cuts MobileNet's weights almost fourfold; at a high resolution the activations
are larger than the weights, and a weight-only scheme leaves them as they are.

Howard and others, 2017 (MobileNet), normalization folded. Activations (1, C, H, W).
"""

import io

import torch
from torch import nn


def mobilenet(device):
    def conv(i, o, k, stride=1, groups=1):
        return [nn.Conv2d(i, o, k, stride, k // 2, groups=groups), nn.ReLU()]

    plan = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]
    layers, c = conv(3, 32, 3, 2), 32
    for o, stride in plan:  # depthwise 3x3, then pointwise 1x1
        layers += conv(c, c, 3, stride, c) + conv(c, o, 1)
        c = o
    net = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1000)
    )
    return net.to(device)


def peak_values(net, size):  # input and output of a layer live at the same time
    x, peak = torch.empty(1, 3, size, size, device="meta"), 0  # shapes, no data
    for layer in net:
        y = layer(x)
        if not isinstance(layer, nn.ReLU):  # in place
            peak = max(peak, x.numel() + y.numel())
        x = y
    return peak


def as_int8(state):  # per output channel: int8 weights, float32 scales, int32 biases
    packed = {}
    for name, w in state.items():
        if w.dim() == 1:
            packed[name] = w.to(torch.int32)  # its scale is s_x s_w, known already
            continue
        s = w.flatten(1).abs().amax(1).clamp(min=1e-12) / 127
        q = torch.round(w / s.view(-1, *[1] * (w.dim() - 1)))
        packed[name], packed[name + ".scale"] = q.to(torch.int8), s
    return packed


def saved(state):
    torch.save(state, file := io.BytesIO())
    return file.tell()


torch.manual_seed(0)
state = mobilenet("cpu").state_dict()
ratio = saved(state) / saved(as_int8(state))
half = saved(state) / saved({k: w.half() for k, w in state.items()})
print(f"file, float32 over int8: {ratio:.1f}; over float16: {half:.1f}")
weights = sum(w.numel() for w in state.values())
meta, total = mobilenet("meta"), {}
for size in (224, 1024):
    a = peak_values(meta, size)
    print(
        f"{size} px: weights {4 * weights / 1e6:.0f} MB, "
        f"activations {4 * a / 1e6:.0f} MB"
    )
    for name, w_bytes, a_bytes in (("int8 weights only", 1, 4), ("all int8", 1, 1)):
        total[size, name] = 4 * (weights + a) / (w_bytes * weights + a_bytes * a)
        print(f"  {name:18} memory {total[size, name]:.1f} times smaller")
assert 3.5 < ratio < 4 and 1.9 < half < 2
assert total[224, "int8 weights only"] > 2 and total[1024, "int8 weights only"] < 1.3
