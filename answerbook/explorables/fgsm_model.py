"""Train the small digit classifier of the FGSM explorable and write fgsm_model.js.

The network of snippets/adversarial-attacks/fgsm_and_pgd.py for one seed, in float64; the file holds
its weights in thousandths and two test images of each digit.
"""

import json
import re

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from answerbook.project import ROOT

TARGET = ROOT / "docs/assets/explorables/fgsm_model.js"
NAMES = {"0": "conv1", "2": "conv2", "5": "dense"}  # layers of the network, by their place in it


def train():
    """The network and its test images (N, 1, 8, 8) with values 0 to 16, and their digits (N,)."""
    torch.manual_seed(0)
    x, y = map(torch.from_numpy, load_digits(return_X_y=True))
    order = torch.rand(len(x), dtype=torch.float64).argsort()
    x, y = x.view(-1, 1, 8, 8)[order], y[order]
    net = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1, dtype=torch.float64),
        nn.ReLU(),  # (N, 8, 4, 4)
        nn.Conv2d(8, 16, 4, dtype=torch.float64),
        nn.ReLU(),
        nn.Flatten(),  # (N, 16)
        nn.Linear(16, 10, dtype=torch.float64),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for i in torch.randint(1200, (200, 100)):
        loss = F.cross_entropy(net(x[i] / 16), y[i])
        adam.zero_grad(), loss.backward(), adam.step()
    return net, x[1200:], y[1200:]


def model():
    """What the file holds, as plain lists."""
    net, x, y = train()
    layers = {}
    for name, values in net.named_parameters():
        number, kind = name.split(".")
        layers.setdefault(NAMES[number], {})[kind] = (1000 * values).round().int().flatten().tolist()
    chosen = sorted((digit, place) for digit in range(10) for place in (y == digit).nonzero()[:2, 0].tolist())
    images = [{"digit": d, "pixels": x[n].int().flatten().tolist()} for d, n in chosen]
    with torch.no_grad():
        accuracy = (net(x / 16).argmax(1) == y).double().mean().item()
    return {"accuracy": round(accuracy, 3), "layers": layers, "images": images}


def main():
    text = re.sub(r"(.{90,}?,)", r"\1\n", json.dumps(model(), separators=(",", ":")))
    lead = "// Written by `python -m answerbook fgsm-model`: weights in thousandths, test images with pixels 0 to 16.\n"
    TARGET.write_text(f"{lead}window.fgsmModel = {text}\n")
