"""A pickled checkpoint can run any code when it is loaded. weights_only=True refuses,
safetensors stores only tensors, and neither notices a flipped bit: a digest does.

The planted payload is harmless: it creates an empty file.
"""

import hashlib
import pathlib
import pickle
import tempfile
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):  # pickle calls this function with these arguments on loading
        return pathlib.Path.touch, (pathlib.Path(self.marker),)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
weights = net.state_dict()
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    marker, planted = folder / "executed", folder / "planted.pt"
    torch.save({**weights, "extra": Payload(str(marker))}, planted)
    try:
        torch.load(planted)  # weights_only=True is the default since torch 2.6
        refused = False
    except pickle.UnpicklingError:
        refused = True
    assert refused and not marker.exists()
    torch.load(planted, weights_only=False)
    assert marker.exists()
    print("planted checkpoint: refused by default, executed with weights_only=False")

    clean, tensors = folder / "clean.pt", folder / "clean.safetensors"
    torch.save(weights, clean)
    save_file(weights, tensors)
    for loaded in (torch.load(clean), load_file(tensors)):
        assert loaded.keys() == weights.keys()
        assert all(torch.equal(loaded[key], weights[key]) for key in weights)
    try:
        load_file(planted)
        refused = False
    except SafetensorError:
        refused = True
    assert refused
    print("clean weights: both loaders return them bit for bit")

    published = digest(tensors)
    raw = bytearray(tensors.read_bytes())
    raw[-1] ^= 0x40  # one bit of the last value
    tensors.write_bytes(raw)
    changed = sum((load_file(tensors)[key] != weights[key]).sum() for key in weights)
    assert changed == 1 and digest(tensors) != published
    print("one bit flipped: safetensors loads it, the SHA-256 digest differs")
