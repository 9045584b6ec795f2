"""Instance normalization cancels each image's gain and offset, unless zeros pad it;
batch normalization does not, and new statistics help only if a batch shares one
light.

Ulyanov and others, 2016; Schneider and others, NeurIPS 2020. Five CNNs side by side:
images (N, SEEDS, 8, 8).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
S = 5
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
split = torch.rand(len(X), S).argsort(0)
x, y = (0.1 + 0.8 * X / 16).view(-1, 8, 8)[split], Y[split]
test, truth = x[1200:], y[1200:]


def train(norm, padding=0):
    net = nn.Sequential(  # groups=S: the networks share no weight
        nn.Conv2d(S, 8 * S, 3, padding=padding, groups=S),
        norm,
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8 * S, 32 * S, 3 + padding, groups=S),
        nn.ReLU(),
        nn.Conv2d(32 * S, 10 * S, 1, groups=S),
        nn.Unflatten(1, (S, 10)),
        nn.Flatten(2),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for i in torch.randint(1200, (100, 80)):
        loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
        adam.zero_grad(), loss.backward(), adam.step()
    return net.eval().requires_grad_(False)


def accuracy(net, images, truth=truth, renew=False):
    net[1].train(renew)  # True: statistics of this batch, no labels
    return (net(images).argmax(2) == truth).double().mean(0)


gain = torch.empty(len(test), S, 1, 1).uniform_(0.2, 1)
lights = [
    test,
    0.3 * test + 0.5,  # unchanged; one new light; one for each image
    gain * test + (1 - gain) * torch.rand_like(gain),
]
bn = train(nn.BatchNorm2d(8 * S))
bn[1].momentum = 0.0  # forget nothing while testing
instance = [
    train(nn.InstanceNorm2d(8 * S, affine=True, eps=1e-12), padding)
    for padding in (0, 1)
]
rows = {
    "batch norm, eval": [accuracy(bn, z) for z in lights],
    "batch norm, renewed": [accuracy(bn, z, renew=True) for z in lights],
    "instance norm": [accuracy(instance[0], z) for z in lights],
    "instance norm, zero padding": [accuracy(instance[1], z) for z in lights],
}
print(f"mean accuracy (n={S})          same light  one new light  one for each image")
for name, row in rows.items():
    print(f"{name:27} " + "".join(f"{a.mean():12.2f}" for a in row))

alone = []  # batches with a single class, under the unchanged light
for digit in range(10):
    first = (truth == digit).long().argsort(0, descending=True)[:40]  # (40, S)
    z = test.gather(0, first[..., None, None].expand(-1, -1, 8, 8))
    t = truth.gather(0, first)
    alone.append(torch.stack([accuracy(bn, z, t), accuracy(bn, z, t, renew=True)]))
fixed, renewed = torch.stack(alone).mean(0)
print(f"batches of one digit: eval {fixed.mean():.2f}, renewed {renewed.mean():.2f}")
gap = (instance[0](lights[1]) - instance[0](test)).abs().max()
evaluated, new, inst, padded = map(torch.stack, rows.values())  # each (lights, SEEDS)
assert gap < 1e-6 and (inst[2] > new[2] + 0.02).all()
assert (new[1] > evaluated[1] + 0.15).all() and (new - evaluated)[2].mean() < 0.15
assert padded[1].mean() < 0.9 and (fixed - renewed).mean() > 0.01
print("instance norm: a new light changes the logits by < 1e-6")
