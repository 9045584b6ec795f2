"""Self-supervised learning: NT-Xent by brute force, pretext labels by hand, views by SciPy."""

import math

import numpy as np
import torch
from scipy import ndimage
from scipy.special import logsumexp
from torch import nn

from tests.oracles.oracle import Defect, Oracle, agree

# --- NT-Xent ---------------------------------------------------------------------------


def by_anchors(a, b, tau):
    """The published sum in NumPy, one anchor at a time."""
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n, total = len(a), 0.0
    for i in range(2 * n):
        others = [z[i] @ z[k] / tau for k in range(2 * n) if k != i]
        total += logsumexp(others) - z[i] @ z[(i + n) % (2 * n)] / tau
    return total / (2 * n)


def embeddings():
    rng = np.random.default_rng(0)
    for _ in range(60):
        n, d, tau = rng.integers(1, 9), rng.integers(1, 12), rng.uniform(0.05, 3)
        a, b = rng.normal(size=(2, n, d)) * rng.uniform(0.1, 10)
        yield torch.tensor(a), torch.tensor(b), tau
    same, axes = torch.ones(5, 3), torch.eye(6)  # collapsed; perfect and uniform: closed forms
    agree(by_anchors(same, same, 0.3), math.log(9))
    agree(by_anchors(axes, axes, 0.5), math.log(math.e**2 + 10) - 2)
    yield same, same, 0.3
    yield axes, axes, 0.5


# --- pretexts --------------------------------------------------------------------------


class Spy(nn.Module):
    """A network that keeps what it was given, or a head that answers with zeros."""

    def __init__(self, out=None):
        super().__init__()
        self.seen, self.out = [], out

    def forward(self, x):
        self.seen.append(x.clone())
        if self.out is None:
            return x.flatten(1)
        self.answer = torch.zeros(len(x), self.out, requires_grad=True)
        return self.answer

    def labels(self, loss):
        """Of equal scores, cross-entropy raises the label's alone."""
        agree(loss, math.log(self.out))
        return torch.autograd.grad(loss, self.answer)[0].argmin(1)


def digits():
    """32 images in which every pixel has its own value."""
    return (torch.arange(32 * 64.0) + 1).view(32, 1, 8, 8)


def rotation(code):
    """The labels are the turns."""
    net, head, x = Spy(), Spy(4), digits()
    labels = head.labels(code.rotation(net, head, x))
    for before, after, label in zip(x, net.seen[0], labels, strict=True):
        agree(after[0], np.rot90(before[0].numpy(), label.item()))  # counterclockwise, as torch
    assert set(labels.tolist()) == {0, 1, 2, 3}


def position(code):
    """The labels are the ways."""
    seen = set()
    for _ in range(10):
        net, head, x = Spy(), Spy(9), digits()
        labels = head.labels(code.position(net, head, x))
        for image, *parts, label in zip(x, *net.seen, labels, strict=True):
            corners = [(image[0] == part[0, 0, 0]).nonzero()[0] for part in parts]
            for part, (r, c) in zip(parts, corners, strict=True):
                agree(part, image[:, r : r + 4, c : c + 4])
            down, right = (corners[1] - corners[0]) // 4
            assert label == 3 * (down + 1) + right + 1 != 4
        seen |= set(labels.tolist())
    assert seen == {0, 1, 2, 3, 5, 6, 7, 8}


def inpainting(code):
    """The holes are squares, and they alone count."""
    corners = set()
    for _ in range(20):
        net, x = Spy(), digits()
        loss = code.inpainting(net, Spy(64), x)
        holes = net.seen[0] == 0
        for hole in holes[:, 0]:
            labels, count = ndimage.label(hole.numpy())
            box = ndimage.find_objects(labels)[0]
            assert count == 1 and hole.sum() == 16
            assert [s.stop - s.start for s in box] == [4, 4]
            corners.add((box[0].start, box[1].start))
        agree(loss, x[holes].square().mean())  # head says 0
        agree(net.seen[0][~holes], x[~holes])
    assert len(corners) == 25  # every place that fits


# --- views: a reference draws first, from a copy of the stream -------------------------


def warped(x, angle, zoom, shift):
    """The affine maps in SciPy's convention: rows first, sizes in pixels; shift (2, n) is x, y."""
    result = []
    for image, a, s, move in zip(x[:, 0].numpy(), angle.numpy(), zoom, shift.T.numpy(), strict=True):
        matrix = s.item() * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        center = np.full(2, 3.5)
        offset = center - matrix @ center + 4 * move[::-1]
        result.append(ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-constant"))
    return np.stack(result)[:, None]


def simclr_view(x, upside_down):
    """With half turns, 6 becomes 9."""
    n = len(x)
    with torch.random.fork_rng():
        degrees = torch.rand(n) * 50 - 25 + 180 * upside_down * torch.randint(2, (n,))
        zoom, shift = torch.rand(n) * 0.5 + 0.75, torch.rand(2, n) * 0.5 - 0.25
    return warped(x, degrees.deg2rad(), zoom, shift)


def collapse_view(x):
    n = len(x)
    with torch.random.fork_rng():
        degrees, shift = torch.empty(n).uniform_(-25, 25), torch.empty(2, n).uniform_(-0.25, 0.25)
    return warped(x, degrees.deg2rad(), torch.ones(n), shift)


# --- collapse --------------------------------------------------------------------------


def mean_cosine(a, b):
    pairs = zip(a.numpy(), b.numpy(), strict=True)
    return -np.mean([p @ q / np.linalg.norm(p) / np.linalg.norm(q) for p, q in pairs])


def hinge(z):
    return np.maximum(0, 1 - np.sqrt(np.var(z.numpy(), axis=0, ddof=1) + 1e-4)).mean()


ORACLES = [
    Oracle(
        "nt_xent",
        function="nt_xent",
        reference=by_anchors,
        cases=embeddings,
        defects=[
            Defect("F.normalize(torch.cat([a, b]), dim=1)", "torch.cat([a, b])"),
            Defect("-torch.inf)  # not itself", "0.0)"),
            Defect("roll(len(a))", "roll(1)"),
            Defect("z.T / tau", "z.T * tau"),
        ],
    ),
    Oracle(
        "nt_xent",
        function="by_the_formula",
        reference=by_anchors,
        cases=embeddings,
        defects=[Defect("if k != i", "if k != (i + n) % (2 * n)"), Defect("if k != i", "")],
    ),
    Oracle(
        "simclr",  # the form that trains
        function="nt_xent",
        reference=lambda z, tau: by_anchors(*z.chunk(2), tau),
        cases=lambda: ((torch.cat([a, b]), tau) for a, b, tau in embeddings()),
        defects=[
            Defect("F.normalize(z, dim=1)", "F.normalize(z, dim=0)"),
            Defect(".fill_diagonal_(-torch.inf)", ""),
            Defect("roll(len(z) // 2)", "roll(0)"),
        ],
    ),
    Oracle(
        "simclr",
        function="view",
        reference=simclr_view,
        cases=lambda: [(torch.rand(40, 1, 8, 8), 0), (torch.rand(40, 1, 8, 8), 1)],
        defects=[
            Defect("cos, -sin, dx, sin", "cos, sin, dx, sin"),
            Defect("180 * upside_down", "90 * upside_down"),
            Defect("dx, sin, cos, dy", "dy, sin, cos, dx"),
            Defect("n) * 50 - 25", "n) * 50"),
        ],
    ),
    Oracle(
        "pretexts",
        rotation,
        defects=[
            Defect("torch.arange(32) // 8", "torch.arange(32) % 4"),
            Defect("torch.rot90(part, k,", "torch.rot90(part, -k,"),
        ],
    ),
    Oracle(
        "pretexts",
        position,
        defects=[
            Defect("(b // 2 - a // 2 + 1)", "(a // 2 - b // 2 + 1)"),
            Defect("+ b % 2 - a % 2", "+ b // 2 - a // 2"),
            Defect("for n in (a, b)", "for n in (b, a)"),
        ],
    ),
    Oracle(
        "pretexts",
        inpainting,
        defects=[
            Defect("torch.randint(5,", "torch.randint(6,"),
            Defect(") // 4  # 0 inside", ") // 3  # 0 inside"),
            Defect(".view_as(x)[hole], x[hole]", ".view_as(x), x"),
        ],
    ),
    Oracle(
        "collapse",
        function="cosine",
        reference=mean_cosine,
        cases=lambda: [torch.randn(2, 9, 5), torch.randn(2, 1, 1)],
        defects=[Defect("-F.cosine_similarity(a, b)", "F.cosine_similarity(a, b)")],
    ),
    Oracle(
        "collapse",
        function="low_variance",
        reference=hinge,
        cases=lambda: [(torch.randn(9, 5) * torch.tensor([0.0, 0.3, 0.9, 2, 5]),), (torch.ones(4, 2),)],
        defects=[
            Defect("(z.var(0) + 1e-4).sqrt()", "z.var(0)"),
            Defect(".relu().mean()", ".mean()"),
        ],
    ),
    Oracle(
        "collapse",
        function="view",
        reference=collapse_view,
        cases=lambda: [(torch.rand(20, 1, 8, 8),)],
        defects=[Defect("-a.sin(), dx, a.sin()", "a.sin(), dx, a.sin()")],
    ),
]
