"""Transfer learning: weight surgery and batch-norm adaptation against first principles."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.oracles.oracle import Defect, Oracle, agree


def stems():
    """Weights, a photo, how to convolve, and a number of channels or frames."""
    for outputs, k, stride, padding, more in (
        (1, 1, 1, 0, 1),
        (4, 3, 1, 1, 2),
        (8, 7, 2, 3, 3),
        (5, 5, 3, 0, 8),
    ):
        yield torch.randn(outputs, 3, k, k), torch.randn(2, 3, 17, 19), (stride, padding), more


def gray_photo(code):
    for weight, photo, (stride, padding), _ in stems():
        gray = photo[:, :1]
        want = F.conv2d(torch.cat([gray] * 3, 1), weight, None, stride, padding)
        agree(F.conv2d(gray, code.to_gray(weight), None, stride, padding), want, 1e-11)


def more_channels(code):
    for weight, photo, (stride, padding), extra in stems():
        x = torch.cat([photo, torch.randn(2, extra, 17, 19)], 1)
        got = F.conv2d(x, code.add_channels(weight, extra), None, stride, padding)
        agree(got, F.conv2d(photo, weight, None, stride, padding), 1e-11)


def still_film(code):
    for weight, photo, (stride, padding), frames in stems():
        film = torch.stack([photo] * (frames + 1), 2)  # T + 1 frames give two outputs in time
        film = F.conv3d(film, code.inflate(weight, frames), None, (1, stride, stride), (0, padding, padding))
        agree(film, torch.stack([F.conv2d(photo, weight, None, stride, padding)] * 2, 2), 1e-11)


@torch.no_grad()
def statistics_of_the_new_images(code):
    """Running statistics after `adapt`, against means and variances taken by hand."""
    for n in range(16, 21):
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3)
        )
        net(torch.rand(8, 1, 9, 9))  # statistics of another domain
        net.eval()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        x = 5 * torch.rand(n, 1, 9, 9) - 1
        adapted = code.adapt(net, x)
        agree(dict(net.state_dict()), before)
        assert not adapted.training
        first = net[0](x)
        mean, spread = first.mean((0, 2, 3)), first.var((0, 2, 3), correction=0)
        hidden = (first - mean[:, None, None]) / (spread[:, None, None] + 1e-5).sqrt()
        for layer, values in ((adapted[1], first), (adapted[4], net[3](hidden.relu()))):
            want = values.mean((0, 2, 3)), values.var((0, 2, 3))
            agree((layer.running_mean, layer.running_var), want, 1e-11)


ORACLES = [
    Oracle(
        "input_surgery",
        gray_photo,
        defects=[Defect("weight.sum(dim=1, keepdim=True)", "weight.mean(dim=1, keepdim=True)")],
    ),
    Oracle("input_surgery", more_channels, defects=[Defect("weight.new_zeros(", "weight.new_ones(")]),
    Oracle("input_surgery", still_film, defects=[Defect("1, 1) / frames", "1, 1)")]),
    Oracle(
        "adapt_statistics",
        statistics_of_the_new_images,
        defects=[
            Defect("layer.momentum = None", "layer.momentum = 0.1"),
            Defect("copy.deepcopy(net)", "net"),
            Defect("net.train()(x)", "net.eval()(x)"),
            Defect("return net.eval()", "return net"),
            Defect("layer.reset_running_stats()", "pass"),
        ],
    ),
]
