"""Oracles for data augmentation: boxes and crops against painted pixels, warps against SciPy."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage, stats
from skimage.measure import regionprops
from tests.snippet_functions import load_functions

TOPIC = "data-augmentation"


def painted(box, height, width):
    """A mask that is True inside x1, y1, x2, y2."""
    mask = np.zeros((height, width), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def boxes_agree_with_pixels(code) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width = rng.integers(1, 40, 2)
        x1, y1 = rng.integers(width), rng.integers(height)
        box = (x1, y1, rng.integers(x1, width) + 1, rng.integers(y1, height) + 1)
        mask = painted(box, height, width)
        top, left, bottom, right = regionprops(mask.astype(int))[0].bbox  # half-open
        assert code.mask_box(mask) == (left, top, right, bottom) == box
        assert code.mirror_box(box, width) == code.mask_box(mask[:, ::-1])
        assert code.mirror_box(code.mirror_box(box, width), width) == box


def turned_boxes_agree_with_scipy(code) -> None:
    rng = np.random.default_rng(1)
    for degrees in [0, 90, 180, -90, *rng.uniform(-180, 180, 12)]:
        x1, y1 = rng.integers(60, 90, 2)
        box = (x1, y1, x1 + rng.integers(10, 40), y1 + rng.integers(10, 40))
        mask = painted(box, 200, 200).astype(float)
        turned = ndimage.rotate(mask, degrees, order=1, reshape=False) > 0.25
        gap = np.subtract(code.rotate_box(box, degrees, 200, 200), code.mask_box(turned))
        assert np.abs(gap).max() < 1.5, degrees


@pytest.mark.parametrize("check", [boxes_agree_with_pixels, turned_boxes_agree_with_scipy])
def test_boxes(check):
    check(load_functions(f"{TOPIC}/joint_transform"))


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("columns[-1] + 1", "columns[-1]", boxes_agree_with_pixels),
        ("return width - x2, y1, width - x1, y2", "return width - x1, y1, width - x2, y2",
         boxes_agree_with_pixels),
        ("return width - x2,", "return width - 1 - x2,", boxes_agree_with_pixels),
        ("np.sin(a)], [-np.sin(a)", "-np.sin(a)], [np.sin(a)", turned_boxes_agree_with_scipy),
        ("(x2, y1), (x2, y2)]", "(x2, y2), (x2, y2)]", turned_boxes_agree_with_scipy),
    ],
)  # fmt: skip
def test_boxes_catch_defects(old, new, check):
    with pytest.raises(AssertionError):
        check(load_functions(f"{TOPIC}/joint_transform", defect=(old, new)))


def crops_follow_their_law(code) -> None:
    rng = np.random.default_rng(2)
    height, width = 4000, 6000
    crops = np.array([code.random_resized_crop(height, width, rng, (0.1, 0.5)) for _ in range(4000)])
    top, left, h, w = crops.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + h <= height).all() and (left + w <= width).all()
    share, aspect = h * w / (height * width), np.log(w / h)
    laws = [
        (share, stats.uniform(0.1, 0.4)),
        (aspect, stats.uniform(math.log(3 / 4), math.log(16 / 9))),
        (top / (height - h), stats.uniform()),
        (left / (width - w), stats.uniform()),
    ]
    for sample, law in laws:
        assert stats.kstest(sample, law.cdf).pvalue > 1e-4
    # A crop that can never fit falls back to the whole image.
    assert code.random_resized_crop(10, 1000, rng, (1.0, 1.0)) == (0, 0, 10, 1000)


def shares_agree_with_pixels(code) -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):
        box, crop = (np.r_[rng.integers(0, 20, 2), rng.integers(1, 15, 2)] for _ in range(2))
        masks = [painted((b[1], b[0], b[1] + b[3], b[0] + b[2]), 40, 40) for b in (box, crop)]
        expected = (masks[0] & masks[1]).sum() / masks[0].sum()
        assert code.share_inside(box, crop) == pytest.approx(expected)


@pytest.mark.parametrize("check", [crops_follow_their_law, shares_agree_with_pixels])
def test_crops(check):
    check(load_functions(f"{TOPIC}/random_resized_crop"))


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("math.exp(rng.uniform(*np.log(ratio)))", "rng.uniform(*ratio)", crops_follow_their_law),
        ("rng.integers(height - h + 1)", "rng.integers((height - h) // 2 + 1)",
         crops_follow_their_law),
        ("0 < w <= width and 0 < h <= height", "w > 0 and h > 0", crops_follow_their_law),
        ("max(0, min", "abs(min", shares_agree_with_pixels),
        ("/ (box[2] * box[3])", "/ (crop[2] * crop[3])", shares_agree_with_pixels),
    ],
)  # fmt: skip
def test_crops_catch_defects(old, new, check):
    # ValueError: a crop wider than the image leaves no place to draw its corner from
    with pytest.raises((AssertionError, ValueError)):
        check(load_functions(f"{TOPIC}/random_resized_crop", defect=(old, new)))


def cutmix_boxes_are_clipped_squares(code) -> None:
    """Brute force: the pixels within half a side of the same center, drawn from the same stream."""
    rows, columns = np.mgrid[:32, :48]
    for seed in range(300):
        lam = np.random.default_rng(seed + 1000).uniform()
        rng = np.random.default_rng(seed)
        y, x = rng.integers(32), rng.integers(48)
        h, w = (int(side * math.sqrt(1 - lam)) // 2 for side in (32, 48))
        expected = (rows >= y - h) & (rows < y + h) & (columns >= x - w) & (columns < x + w)
        top, bottom, left, right = code.cutmix_box(32, 48, lam, np.random.default_rng(seed))
        assert (painted((left, top, right, bottom), 32, 48) == expected).all()


def test_cutmix_box():
    cutmix_boxes_are_clipped_squares(load_functions(f"{TOPIC}/cutmix_area"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("np.sqrt(1 - lam)", "(1 - lam)"), ("np.sqrt(1 - lam)", "np.sqrt(lam)"),
     ("y + h // 2], 0, height", "y + h // 2], 1, height"), ("x - w // 2", "x - w")],
)  # fmt: skip
def test_cutmix_box_catches_defects(old, new):
    with pytest.raises(AssertionError):
        cutmix_boxes_are_clipped_squares(load_functions(f"{TOPIC}/cutmix_area", defect=(old, new)))


def warp_agrees_with_scipy(code) -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(20, 1, 10, 10, generator=generator, dtype=torch.float64)
    degrees = torch.rand(20, generator=generator, dtype=torch.float64) * 360 - 180
    pixels = torch.rand(20, generator=generator, dtype=torch.float64) * 6 - 3
    ours = code.warp(x, degrees, pixels)
    for image, a, shift, result in zip(x[:, 0], torch.deg2rad(degrees), pixels, ours[:, 0]):
        matrix = np.array([[a.cos(), a.sin()], [-a.sin(), a.cos()]])  # rows first
        center = np.full(2, 4.5)
        offset = center - matrix @ center - [0, shift]
        expected = ndimage.affine_transform(
            image.numpy(), matrix, offset, order=1, mode="grid-constant"
        )
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-10)
    quarter = code.warp(x, torch.full((20,), 90.0, dtype=torch.float64), torch.zeros(20).double())
    turned = [torch.rot90(x, k, (2, 3)) for k in (1, 3)]
    assert any(torch.allclose(quarter, t) for t in turned)


def test_warp():
    warp_agrees_with_scipy(load_functions(f"{TOPIC}/tolerance_range"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("-2 * pixels / x.shape[-1]", "-pixels / x.shape[-1]"), ("-2 * pixels", "2 * pixels"),
     ("-a.sin(), shift, a.sin()", "a.sin(), shift, a.sin()")],
)  # fmt: skip
def test_warp_catches_defects(old, new):
    with pytest.raises(AssertionError):
        warp_agrees_with_scipy(load_functions(f"{TOPIC}/tolerance_range", defect=(old, new)))


def squares_are_whole_and_everywhere(code) -> None:
    torch.manual_seed(5)
    for side in range(9):
        masks = code.square(torch.zeros(600, 1, 8, 8), side)
        assert masks.shape == (600, 1, 8, 8)
        assert (masks.sum((1, 2, 3)) == side**2).all()
        seen = {tuple(m[0].nonzero()[0].tolist()) for m in masks if side}
        assert len(seen) == ((9 - side) ** 2 if side else 0)  # every place that fits
        rows = masks.any(3).sum((1, 2))
        assert (rows == side).all()  # one block, not scattered pixels


def test_square():
    squares_are_whole_and_everywhere(load_functions(f"{TOPIC}/mixing_under_occlusion"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("torch.randint(9 - side", "torch.randint(10 - side"), ("(r < side)", "(r <= side)"),
     ("torch.randint(9 - side", "torch.randint(max(1, 8 - side)")],
)  # fmt: skip
def test_square_catches_defects(old, new):
    name = f"{TOPIC}/mixing_under_occlusion"
    with pytest.raises(AssertionError):
        squares_are_whole_and_everywhere(load_functions(name, defect=(old, new)))


def soft_losses_reduce_to_known_ones(code) -> None:
    torch.manual_seed(6)
    z = torch.randn(50, 7, dtype=torch.float64)
    labels = torch.randint(7, (50,))
    hard = F.one_hot(labels, 7).double()
    soft = torch.rand(50, 7, dtype=torch.float64).softmax(1)
    assert torch.allclose(code.cross_entropy(z, soft), F.cross_entropy(z, soft))
    expected = 7 * F.mse_loss(z.softmax(1), soft)  # that one averages over classes too
    assert torch.allclose(code.squared_error(z, soft), expected)
    p = z.softmax(1)[torch.arange(50), labels]
    assert torch.allclose(code.focal(z, hard), ((1 - p) ** 2 * -p.log()).mean())
    assert torch.allclose(code.focal(z, soft, gamma=0), F.cross_entropy(z, soft))


def test_losses():
    soft_losses_reduce_to_known_ones(load_functions(f"{TOPIC}/mixup_labels"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("z.log_softmax(1)", "z.log_softmax(0)"), ("square().sum(1)", "square().mean(1)"),
     ("(target - p).abs().pow(gamma)", "p.pow(gamma)")],
)  # fmt: skip
def test_losses_catch_defects(old, new):
    with pytest.raises(AssertionError):
        soft_losses_reduce_to_known_ones(load_functions(f"{TOPIC}/mixup_labels", defect=(old, new)))


def warped(images, angle, zoom, shift):
    """The affine map in SciPy's convention, rows first; shift (2, n) in pixels, x and y."""
    for image, a, s, move in zip(images[:, 0].numpy(), angle, zoom, np.transpose(shift)):
        matrix = s * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        center = (np.array(image.shape) - 1) / 2
        offset = center - matrix @ center + move[::-1]
        yield ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-constant")


def draws_warp_as_in_scipy(code) -> None:
    x = torch.rand(20, 1, 8, 8, dtype=torch.float64)
    draw = lambda: torch.empty(20, 1, 1, 1).uniform_(-1, 1).flatten().numpy()
    for degrees, pixels, zoom in ((0.0, 0.0, 1.0), (30.0, 0.0, 1.0), (0.0, 1.5, 1.4), (70.0, 1.0, 1.2)):
        torch.manual_seed(1)
        ours = code.warp(x, degrees, pixels, zoom)
        torch.manual_seed(1)
        angle, s, dx, dy = (draw() for _ in range(4))
        expected = warped(x, np.deg2rad(degrees * angle), zoom**s, [pixels * dx, pixels * dy])
        np.testing.assert_allclose(ours[:, 0], list(expected), atol=1e-9)


def shifts_as_in_scipy(code) -> None:
    function = getattr(code, "shift", None) or code.push
    x = torch.rand(20, 1, 8, 8, dtype=torch.float64)
    for pixels in (0.0, 1.0, 2.5):
        torch.manual_seed(1)
        ours = function(x, pixels)
        torch.manual_seed(1)
        move = pixels * (2 * torch.rand(20, 2) - 1).T.numpy()
        expected = list(warped(x, np.zeros(20), np.ones(20), move))
        np.testing.assert_allclose(ours[:, 0], expected, atol=1e-9)


def noise_is_distributed_as_named(code) -> None:
    torch.manual_seed(2)
    x = torch.rand(20000, dtype=torch.float64) * 0.8 + 0.1
    for z in ((code.gaussian(x) - x) / 0.4, (code.speckle(x) / x - 1) / 0.8):
        assert stats.kstest(z.numpy(), "norm").pvalue > 0.01
        assert abs(np.corrcoef(z, x)[0, 1]) < 0.03
    assert (code.speckle(0 * x) == 0).all()
    y = code.salt(x)
    assert abs((y == 0).double().mean() - 0.1) < 0.01 and abs((y == 1).double().mean() - 0.1) < 0.01
    assert ((y == 0) | (y == 1) | (y == x)).all()


DRAWN = {
    "what_each_buys": (draws_warp_as_in_scipy, [("-s * a.sin(), dx, s", "s * a.sin(), dx, s"),
                                                ("pixels) * 2 / x", "pixels) / x"),
                                                ("zoom ** u", "zoom * u")]),
    "labels_saved": (shifts_as_in_scipy, [("* 2 - 1) * pixels", "* 2) * pixels"),
                                          ("pixels * 2 / x", "pixels / x")]),
    "overfitting_gap": (shifts_as_in_scipy, [("torch.rand(len(x), 2)", "torch.rand(1, 2)"),
                                             ("[:, :, 2]", "[:, :, 1]")]),
    "noise_transfer": (noise_is_distributed_as_named, [
        ("0.4 * torch.randn_like(x)", "0.4 * torch.rand_like(x)"),
        ("x * (1 + 0.8", "x + (1 + 0.8"),
        ("r > 0.9", "r > 0.8"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("technique", DRAWN)
def test_drawn_changes(technique):
    DRAWN[technique][0](load_functions(f"{TOPIC}/{technique}"))


@pytest.mark.parametrize(
    ("technique", "old", "new"), [(t, *d) for t, (_, ds) in DRAWN.items() for d in ds]
)
def test_drawn_changes_catch_defects(technique, old, new):
    with pytest.raises(AssertionError):
        DRAWN[technique][0](load_functions(f"{TOPIC}/{technique}", defect=(old, new)))
