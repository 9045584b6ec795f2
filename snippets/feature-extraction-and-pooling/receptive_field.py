"""The receptive-field recursion is exact: autograd finds the same box.

Source: Araujo, Norris, Sim, Distill (2019), doi 10.23915/distill.00021.
Shapes: x (1, 1, S, S); a layer is (kernel, stride, dilation) on both axes.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def receptive_field(layers):
    field, jump = 1, 1  # jump: input pixels between neighboring units
    for kernel, stride, dilation in layers:
        field += dilation * (kernel - 1) * jump
        jump *= stride
    return field, jump


def field_by_autograd(layers, size):
    """Width of the box of input pixels with a gradient from one unit."""
    x = torch.zeros(1, 1, size, size, requires_grad=True)
    y = x
    for kernel, stride, dilation in layers:  # all-ones weights: nothing cancels
        weight = torch.ones(1, 1, kernel, kernel) / kernel**2
        y = F.conv2d(y, weight, stride=stride, dilation=dilation)  # no padding
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    rows = x.grad[0, 0].sum(1).nonzero()
    return (rows.max() - rows.min() + 1).item()


conv, pool = (3, 1, 1), (2, 2, 1)


def resnet50(strided_kernel):  # layers of the longest path
    layers = [(7, 2, 1), (3, 2, 1)]  # stem and max pooling
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            s = 2 if stage > 0 and block == 0 else 1
            first, middle = (s, 1) if strided_kernel == 1 else (1, s)
            layers += [(1, first, 1), (3, middle, 1), (1, 1, 1)]
    return layers


vgg16 = [conv, conv, pool] * 2 + [conv, conv, conv, pool] * 3
networks = {
    "two 3x3": [conv] * 2,
    "one 5x5": [(5, 1, 1)],
    "3x3 dilated 1, 2, 4": [(3, 1, 1), (3, 1, 2), (3, 1, 4)],
    "VGG-16 to its last pooling": vgg16,
    "ResNet-50, stride in the 1x1": resnet50(1),
    "ResNet-50, stride in the 3x3": resnet50(3),
}
for name, layers in networks.items():
    field, jump = receptive_field(layers)
    assert field_by_autograd(layers, field + 2 * jump) == field
    print(f"{name}: field {field} px, a new unit every {jump} px")
