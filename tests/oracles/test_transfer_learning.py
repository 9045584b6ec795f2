"""Weight surgery and batch-norm adaptation of the transfer learning page, against first principles."""

import pytest
import torch
from tests.snippet_functions import load_functions
from torch import nn
from torch.nn import functional as F

SURGERY = "transfer-learning/input_surgery"
ADAPT = "transfer-learning/adapt_statistics"


def surgery_errors(functions) -> list[float]:
    """Largest differences on random stems, kernel sizes and inputs, in float64."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    errors = []
    for outputs, k, stride, padding, extra, frames in (
        (1, 1, 1, 0, 1, 1), (4, 3, 1, 1, 1, 2), (8, 7, 2, 3, 2, 3), (5, 5, 3, 0, 4, 8),
    ):  # fmt: skip
        weight, photo = random(outputs, 3, k, k), random(2, 3, 17, 19)
        gray, more = random(2, 1, 17, 19), random(2, extra, 17, 19)
        expected = F.conv2d(photo, weight, stride=stride, padding=padding)
        rgb_gray = torch.cat([gray] * 3, 1)
        got = [
            (
                F.conv2d(gray, functions.to_gray(weight), stride=stride, padding=padding),
                F.conv2d(rgb_gray, weight, stride=stride, padding=padding),
            ),
            (
                F.conv2d(
                    torch.cat([photo, more], 1),
                    functions.add_channels(weight, extra),
                    stride=stride,
                    padding=padding,
                ),
                expected,
            ),
            (
                F.conv3d(
                    torch.stack([photo] * (frames + 1), 2),
                    functions.inflate(weight, frames),
                    stride=(1, stride, stride),
                    padding=(0, padding, padding),
                ),
                torch.stack([expected] * 2, 2),  # T + 1 frames give two outputs in time
            ),
        ]
        errors += [
            float("inf") if a.shape != b.shape else (a - b).abs().max().item() for a, b in got
        ]
    return errors


def test_surgery_keeps_the_output():
    assert max(surgery_errors(load_functions(SURGERY))) < 1e-10


@pytest.mark.parametrize(
    "defect",
    [
        ("weight.sum(dim=1, keepdim=True)", "weight.mean(dim=1, keepdim=True)"),
        ("weight.new_zeros(", "weight.new_ones("),
        ("1, 1) / frames", "1, 1)"),
    ],
)
def test_surgery_defects_are_caught(defect):
    assert max(surgery_errors(load_functions(SURGERY, defect=defect))) > 0.1


def adapt_errors(functions) -> list[float]:
    """Running statistics after `adapt`, against means and variances taken by hand."""
    errors = []
    for seed in range(5):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3)
        ).double()
        net(torch.rand(8, 1, 9, 9, dtype=torch.float64))  # statistics of another domain
        net.eval()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        x = 5 * torch.rand(16 + seed, 1, 9, 9, dtype=torch.float64) - 1
        adapted = functions.adapt(net, x)
        first = net[0](x)
        mean, spread = first.mean((0, 2, 3)), first.var((0, 2, 3), correction=0)
        hidden = (first - mean[:, None, None]) / (spread[:, None, None] + 1e-5).sqrt()
        second = net[3](hidden.relu())
        for layer, values in ((adapted[1], first), (adapted[4], second)):
            errors.append((layer.running_mean - values.mean((0, 2, 3))).abs().max().item())
            errors.append((layer.running_var - values.var((0, 2, 3))).abs().max().item())
        untouched = all(torch.equal(before[name], value) for name, value in net.state_dict().items())
        errors.append(0.0 if untouched and not adapted.training else float("inf"))
    return errors


def test_adapt_takes_the_statistics_of_the_new_images():
    with torch.no_grad():
        assert max(adapt_errors(load_functions(ADAPT))) < 1e-10


@pytest.mark.parametrize(
    "defect",
    [
        ("layer.momentum = None", "layer.momentum = 0.1"),
        ("copy.deepcopy(net)", "net"),
        ("net.train()(x)", "net.eval()(x)"),
        ("return net.eval()", "return net"),
        ("layer.reset_running_stats()", "pass"),
    ],
)
def test_adapt_defects_are_caught(defect):
    with torch.no_grad():
        assert max(adapt_errors(load_functions(ADAPT, defect=defect))) > 0.01
