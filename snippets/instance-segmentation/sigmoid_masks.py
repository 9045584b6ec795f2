"""Per-class sigmoid masks do not compete; a per-pixel softmax must also name the class.

Mask R-CNN's decoupling (He et al. 2017) on toy crops: a blob in noise, one of three
classes whose color may be hard to tell. The true class is given, as the box head would.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
SEEDS, N, SIDE, K = 5, 20, 10, 3


def crops(signal):  # -> patches (S, N * 100, 36), class (S, N * 100), mask (S, N * 100)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, SIDE)] * 2, indexing="ij")
    a, b = 0.5 + 0.4 * torch.rand(2, SEEDS, N, 1, 1)
    mask = (x / a) ** 2 + (y / b) ** 2 < 1  # (S, N, 10, 10)
    c = torch.randint(K, (SEEDS, N))
    color = torch.cat([torch.ones(SEEDS, N, 1), signal * F.one_hot(c, K)], 2)
    image = mask[:, :, None] * color[..., None, None]
    image = image + 0.5 * torch.randn(SEEDS, N, 1 + K, SIDE, SIDE)
    patches = F.unfold(image.flatten(0, 1), 3, padding=1).mT  # for a 3 x 3 filter
    pixels = c[..., None].expand(-1, -1, SIDE**2)
    return patches.reshape(SEEDS, -1, 36), pixels.flatten(1), mask.flatten(1)


def train(loss, signal, outputs):  # the five seeds side by side
    X, c, mask = crops(signal)
    w1, w2 = (torch.randn(SEEDS, a, b) / a**0.5 for a, b in ((36, 16), (16, outputs)))
    b1, b2 = torch.zeros(SEEDS, 1, 16), torch.zeros(SEEDS, 1, outputs)
    params = [p.requires_grad_() for p in (w1, b1, w2, b2)]
    head = lambda X: (X @ w1 + b1).relu() @ w2 + b2  # (S, pixels, outputs)
    adam = torch.optim.Adam(params, 0.03)
    for _ in range(70):
        adam.zero_grad()
        loss(head(X), c, mask).backward()
        adam.step()
    X, c, mask = crops(signal)
    return head(X).detach(), c, mask


def sigmoid_loss(z, c, mask):  # the true class's channel only
    z = z.gather(2, c[..., None])[..., 0]
    return F.binary_cross_entropy_with_logits(z, mask.double())


def softmax_loss(z, c, mask):  # channel K is the background
    return F.cross_entropy(z.flatten(0, 1), torch.where(mask, c, K).flatten())


def iou(a, b):
    return (a & b).sum(1) / (a | b).sum(1)  # (S,)


torch.manual_seed(0)
z, c, mask = torch.randn(1, 9, K + 1), torch.zeros(1, 9).long(), torch.ones(1, 9).bool()
more = z + torch.tensor([0.0, 5, 0, 0])  # another class becomes surer
assert sigmoid_loss(more, c, mask) == sigmoid_loss(z, c, mask)
assert softmax_loss(more, c, mask) > softmax_loss(z, c, mask) + 1
print("another class surer: sigmoid loss unchanged, softmax loss grows by more than 1")
print("color  sigmoid       softmax       softmax, any class   (mask IoU, 5 seeds)")
for signal in (0.0, 0.3, 3.0):
    z, c, mask = train(sigmoid_loss, signal, K)
    own = iou(z.gather(2, c[..., None])[..., 0] > 0, mask)
    z, c, mask = train(softmax_loss, signal, K + 1)
    named, any_class = iou(z.argmax(2) == c, mask), iou(z.argmax(2) != K, mask)
    spread = [f" {v.min():.2f} to {v.max():.2f}" for v in (own, named, any_class)]
    print(f"{signal:5}", *spread)
    if signal < 1:
        assert own.min() > named.max() + 0.1 and any_class.min() > named.max() + 0.1
    else:
        assert (own - named).max() < 0.15 and named.min() > 0.85
