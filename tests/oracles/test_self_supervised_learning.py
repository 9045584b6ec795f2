"""Oracles for self-supervised learning: NT-Xent by brute force, pretext labels by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.special import logsumexp
from tests.snippet_functions import load_functions

TOPIC = "self-supervised-learning"


def brute_force(a, b, tau):
    """The published sum in NumPy, one anchor at a time."""
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n, total = len(a), 0.0
    for i in range(2 * n):
        others = [z[i] @ z[k] / tau for k in range(2 * n) if k != i]
        total += logsumexp(others) - z[i] @ z[(i + n) % (2 * n)] / tau
    return total / (2 * n)


def loss_agrees(loss) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        n, d, tau = rng.integers(1, 9), rng.integers(1, 12), rng.uniform(0.05, 3)
        a, b = rng.normal(size=(2, n, d)) * rng.uniform(0.1, 10)
        assert loss(torch.tensor(a), torch.tensor(b), tau).item() == pytest.approx(
            brute_force(a, b, tau), abs=1e-9
        )
    same = torch.ones(5, 3, dtype=torch.float64)
    assert loss(same, same, 0.3).item() == pytest.approx(math.log(9))  # closed form
    axes = torch.eye(6, dtype=torch.float64)  # perfect and uniform
    closed = math.log(math.e**2 + 10) - 2
    assert loss(axes, axes, 0.5).item() == pytest.approx(closed)


def matrix_form(defect=None):
    return load_functions(f"{TOPIC}/nt_xent", defect).nt_xent


def double_loop(defect=None):
    code = load_functions(f"{TOPIC}/nt_xent", defect)
    return lambda *args: torch.tensor(code.by_the_formula(*args), dtype=torch.float64)


def stacked_form(defect=None):  # the one that trains
    loss = load_functions(f"{TOPIC}/simclr", defect).nt_xent
    return lambda a, b, tau: loss(torch.cat([a, b]), tau)


@pytest.mark.parametrize("form", [matrix_form, double_loop, stacked_form])
def test_nt_xent(form):
    loss_agrees(form())


@pytest.mark.parametrize(
    ("form", "old", "new"),
    [
        (matrix_form, "F.normalize(torch.cat([a, b]), dim=1)", "torch.cat([a, b])"),
        (matrix_form, "-torch.inf)  # not itself", "0.0)"),
        (matrix_form, "roll(len(a))", "roll(1)"),
        (matrix_form, "z.T / tau", "z.T * tau"),
        (double_loop, "if k != i", "if k != (i + n) % (2 * n)"),
        (double_loop, "if k != i", ""),
        (stacked_form, "F.normalize(z, dim=1)", "F.normalize(z, dim=0)"),
        (stacked_form, ".fill_diagonal_(-torch.inf)", ""),
        (stacked_form, "roll(len(z) // 2)", "roll(0)"),
    ],
)  # fmt: skip
def test_nt_xent_catches_defects(form, old, new):
    with pytest.raises(AssertionError):
        loss_agrees(form((old, new)))


class Spy(torch.nn.Module):
    """A network or head that keeps what it was given and answers with fixed numbers."""

    def __init__(self, out=None):
        super().__init__()
        self.seen, self.out = [], out

    def forward(self, x):
        self.seen.append(x.clone())
        return x.flatten(1) if self.out is None else torch.zeros(len(x), self.out).double()


def digits():
    """32 images in which every pixel has its own value."""
    pixels = torch.arange(32 * 64, dtype=torch.float64)
    return (pixels + 1).view(32, 1, 8, 8)


def rotation_labels_are_the_turns(code, monkeypatch) -> None:
    net, x = Spy(), digits()
    labels = capture_labels(monkeypatch, code)
    code.rotation(net, Spy(4), x)
    for before, after, label in zip(x, net.seen[0], labels[0]):
        expected = np.rot90(before[0].numpy(), label.item())  # counterclockwise, as torch
        np.testing.assert_array_equal(after[0].numpy(), expected)
    assert set(labels[0].tolist()) == {0, 1, 2, 3}


def capture_labels(monkeypatch, code):
    labels = []
    original = code.F.cross_entropy

    def spy(logits, target):
        labels.append(target)
        return original(logits, target)

    monkeypatch.setattr(code.F, "cross_entropy", spy)
    return labels


def position_labels_are_the_ways(code, monkeypatch) -> None:
    labels = capture_labels(monkeypatch, code)
    for seed in range(10):
        torch.manual_seed(seed)
        net, x = Spy(), digits()
        code.position(net, Spy(9), x)
        for image, a, b, label in zip(x, *net.seen, labels[-1]):
            corners = [np.argwhere(image[0].numpy() == part[0, 0, 0].item())[0] for part in (a, b)]
            for part, (r, c) in zip((a, b), corners):
                np.testing.assert_array_equal(part[0], image[0, r : r + 4, c : c + 4])
            down, right = (corners[1] - corners[0]) // 4
            assert label.item() == 3 * (down + 1) + right + 1 != 4
    assert set(torch.cat(labels).tolist()) == {0, 1, 2, 3, 5, 6, 7, 8}


def holes_are_squares_and_alone_count(code, monkeypatch) -> None:
    corners = set()
    for seed in range(20):
        torch.manual_seed(seed)
        net, x = Spy(), digits()
        loss = code.inpainting(net, Spy(64), x)
        holes = net.seen[0] == 0
        for hole in holes[:, 0]:
            labels, count = ndimage.label(hole.numpy())
            box = ndimage.find_objects(labels)[0]
            assert count == 1 and hole.sum() == 16
            assert [s.stop - s.start for s in box] == [4, 4]
            corners.add((box[0].start, box[1].start))
        assert loss.item() == pytest.approx(x[holes].square().mean().item())  # head says 0
    assert len(corners) == 25  # every place that fits


CHECKS = [rotation_labels_are_the_turns, position_labels_are_the_ways,
          holes_are_squares_and_alone_count]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_pretexts(check, monkeypatch):
    check(load_functions(f"{TOPIC}/pretexts"), monkeypatch)


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("torch.arange(32) // 8", "torch.arange(32) % 4", CHECKS[0]),
        ("torch.rot90(part, k,", "torch.rot90(part, -k,", CHECKS[0]),
        ("(b // 2 - a // 2 + 1)", "(a // 2 - b // 2 + 1)", CHECKS[1]),
        ("+ b % 2 - a % 2", "+ b // 2 - a // 2", CHECKS[1]),
        ("for n in (a, b)", "for n in (b, a)", CHECKS[1]),
        ("torch.randint(5,", "torch.randint(6,", CHECKS[2]),
        (") // 4  # 0 inside", ") // 3  # 0 inside", CHECKS[2]),
        (".view_as(x)[hole], x[hole]", ".view_as(x), x", CHECKS[2]),
    ],
)
def test_pretexts_catch_defects(old, new, check, monkeypatch):
    with pytest.raises(AssertionError):
        check(load_functions(f"{TOPIC}/pretexts", defect=(old, new)), monkeypatch)


def warped(image, angle, zoom, shift):
    """The affine map in SciPy's convention: rows first, sizes in pixels; shift is x, y."""
    sin, cos = np.sin(angle), np.cos(angle)
    matrix = zoom * np.array([[cos, sin], [-sin, cos]])
    center = np.full(2, 3.5)
    offset = center - matrix @ center + 4 * np.asarray(shift)[::-1]
    return ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-constant")


def views_agree_with_scipy(code) -> None:
    """Replay the random draws and warp with SciPy; with half turns, 6 becomes 9."""
    torch.manual_seed(0)
    x = torch.rand(40, 1, 8, 8).double()
    for upside_down in (0, 1):
        torch.manual_seed(1)
        ours = code.view(x, upside_down)
        torch.manual_seed(1)
        degrees = torch.rand(40) * 50 - 25 + 180 * upside_down * torch.randint(2, (40,))
        zoom, shift = torch.rand(40) * 0.5 + 0.75, torch.rand(2, 40) * 0.5 - 0.25
        a = degrees.deg2rad().numpy()
        for n in range(40):
            expected = warped(x[n, 0].numpy(), a[n], zoom[n].item(), shift[:, n])
            np.testing.assert_allclose(ours[n, 0].numpy(), expected, atol=1e-9)


def test_view():
    views_agree_with_scipy(load_functions(f"{TOPIC}/simclr"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("cos, -sin, dx, sin", "cos, sin, dx, sin"), ("180 * upside_down", "90 * upside_down"),
     ("dx, sin, cos, dy", "dy, sin, cos, dx"), ("n) * 50 - 25", "n) * 50")],
)  # fmt: skip
def test_view_catches_defects(old, new):
    with pytest.raises(AssertionError):
        views_agree_with_scipy(load_functions(f"{TOPIC}/simclr", defect=(old, new)))


def collapse_agrees(code) -> None:
    """Cosine and hinge in NumPy; the views' draws again, warped with SciPy."""
    a, b = torch.randn(2, 9, 5)
    alike = [p @ q / np.linalg.norm(p) / np.linalg.norm(q) for p, q in zip(a.numpy(), b.numpy())]
    np.testing.assert_allclose(code.cosine(a, b), -np.mean(alike))
    z = torch.randn(9, 5) * torch.tensor([0.0, 0.3, 0.9, 2, 5])
    std = np.sqrt(np.var(z.numpy(), axis=0, ddof=1) + 1e-4)
    np.testing.assert_allclose(code.low_variance(z), np.maximum(0, 1 - std).mean())
    x = torch.rand(20, 1, 8, 8)
    torch.manual_seed(1)
    ours = code.view(x)
    torch.manual_seed(1)
    angle = np.deg2rad(torch.empty(20).uniform_(-25, 25).numpy())
    shift = torch.empty(2, 20).uniform_(-0.25, 0.25)
    expected = [warped(x[n, 0].numpy(), angle[n], 1, shift[:, n]) for n in range(20)]
    np.testing.assert_allclose(ours[:, 0], expected, atol=1e-9)


def test_collapse():
    collapse_agrees(load_functions(f"{TOPIC}/collapse"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-F.cosine_similarity(a, b)", "F.cosine_similarity(a, b)"),
        ("(z.var(0) + 1e-4).sqrt()", "z.var(0)"),
        (".relu().mean()", ".mean()"),
        ("-a.sin(), dx, a.sin()", "a.sin(), dx, a.sin()"),
    ],
)
def test_collapse_catches_defects(old, new):
    with pytest.raises(AssertionError):
        collapse_agrees(load_functions(f"{TOPIC}/collapse", defect=(old, new)))
