"""Data augmentation: boxes and crops against painted pixels, warps against SciPy, draws against their
distributions, losses of soft labels against PyTorch's."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage, stats
from skimage.measure import regionprops

from tests.oracles.oracle import Defect, Oracle, agree

# --- boxes and crops -------------------------------------------------------------------


def painted(box, height, width):
    """A mask that is True inside x1, y1, x2, y2."""
    mask = np.zeros((height, width), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def tight_box(mask):
    top, left, bottom, right = regionprops(mask.astype(int))[0].bbox  # half-open
    return left, top, right, bottom


def boxes():
    """Also of one pixel, and the whole image."""
    yield (0, 0, 1, 1), 1, 1
    yield (0, 0, 7, 5), 5, 7
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width = rng.integers(1, 40, 2)
        x1, y1 = rng.integers(width), rng.integers(height)
        yield (x1, y1, rng.integers(x1, width) + 1, rng.integers(y1, height) + 1), height, width


def turned_boxes(code):
    rng = np.random.default_rng(1)
    for degrees in [0, 90, 180, -90, *rng.uniform(-180, 180, 12)]:
        x1, y1 = rng.integers(60, 90, 2)
        box = (x1, y1, x1 + rng.integers(10, 40), y1 + rng.integers(10, 40))
        mask = painted(box, 200, 200).astype(float)
        turned = ndimage.rotate(mask, degrees, order=1, reshape=False) > 0.25
        gap = np.subtract(code.rotate_box(box, degrees, 200, 200), tight_box(turned))
        assert np.abs(gap).max() < 1.5, degrees


def drawn_crops(code):
    rng = np.random.default_rng(2)
    height, width = 4000, 6000
    crops = [code.random_resized_crop(height, width, rng, (0.1, 0.5)) for _ in range(4000)]
    top, left, h, w = np.array(crops).T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + h <= height).all() and (left + w <= width).all()
    for sample, law in [
        (h * w / (height * width), stats.uniform(0.1, 0.4)),
        (np.log(w / h), stats.uniform(math.log(3 / 4), math.log(16 / 9))),
        (top / (height - h), stats.uniform()),
        (left / (width - w), stats.uniform()),
    ]:
        assert stats.kstest(sample, law.cdf).pvalue > 1e-4
    # A crop that can never fit falls back to the whole image.
    assert code.random_resized_crop(10, 1000, rng, (1.0, 1.0)) == (0, 0, 10, 1000)


def boxes_and_crops():
    """As top, left, height and width."""
    rng = np.random.default_rng(3)
    for _ in range(300):
        yield tuple(np.r_[rng.integers(0, 20, 2), rng.integers(1, 15, 2)] for _ in range(2))


def share_of_pixels(box, crop):
    inner, outer = (painted((b[1], b[0], b[1] + b[3], b[0] + b[2]), 40, 40) for b in (box, crop))
    return (inner & outer).sum() / inner.sum()


def cutmix_box(code):
    """Brute force: the pixels within half a side of the same center, drawn from the same stream."""
    rows, columns = np.mgrid[:32, :48]
    for seed in range(300):
        lam = np.random.default_rng(seed + 1000).uniform()
        rng = np.random.default_rng(seed)
        y, x = rng.integers(32), rng.integers(48)
        h, w = (int(side * math.sqrt(1 - lam)) // 2 for side in (32, 48))
        want = (rows >= y - h) & (rows < y + h) & (columns >= x - w) & (columns < x + w)
        top, bottom, left, right = code.cutmix_box(32, 48, lam, np.random.default_rng(seed))
        assert (painted((left, top, right, bottom), 32, 48) == want).all()


def squares(code):
    """Whole and everywhere."""
    for side in range(9):
        masks = code.square(torch.zeros(600, 1, 8, 8), side)
        assert masks.shape == (600, 1, 8, 8)
        assert (masks.sum((1, 2, 3)) == side**2).all()
        seen = {tuple(m[0].nonzero()[0].tolist()) for m in masks if side}
        assert len(seen) == ((9 - side) ** 2 if side else 0)  # every place that fits
        assert (masks.any(3).sum((1, 2)) == side).all()  # one block, not scattered pixels


# --- warps; a reference draws first, from a copy of the stream -------------------------


def warped(images, angle, zoom, shift):
    """The affine map in SciPy's convention, rows first; shift (2, n) in pixels, x and y."""
    result = []
    for image, a, s, move in zip(images[:, 0].numpy(), angle, zoom, np.transpose(shift), strict=True):
        matrix = s * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        center = (np.array(image.shape) - 1) / 2
        offset = center - matrix @ center + move[::-1]
        result.append(ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-constant"))
    return np.stack(result)[:, None]


def turns_and_shifts():
    x = torch.rand(20, 1, 10, 10)
    yield x, torch.rand(20) * 360 - 180, torch.rand(20) * 6 - 3
    yield x, torch.tensor([0.0, 90, 180, -90]).repeat(5), torch.zeros(20)


def warps():
    for limits in ((0.0, 0.0, 1.0), (30.0, 0.0, 1.0), (0.0, 1.5, 1.4), (70.0, 1.0, 1.2)):
        yield torch.rand(20, 1, 8, 8), *limits


def drawn_warp(x, degrees, pixels, zoom):
    with torch.random.fork_rng():
        angle, s, dx, dy = (torch.empty(len(x)).uniform_(-1, 1).numpy() for _ in range(4))
    return warped(x, np.deg2rad(degrees * angle), zoom**s, [pixels * dx, pixels * dy])


def drawn_shift(x, pixels):
    with torch.random.fork_rng():
        move = pixels * (2 * torch.rand(len(x), 2) - 1).T.numpy()
    return warped(x, np.zeros(len(x)), np.ones(len(x)), move)


# --- noise and losses ------------------------------------------------------------------


def is_normal(z, x):
    assert stats.kstest(z.numpy(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(z, x)[0, 1]) < 0.03


def gaussian_and_speckle_noise(code):
    x = torch.rand(20000) * 0.8 + 0.1
    is_normal((code.gaussian(x) - x) / 0.4, x)
    is_normal((code.speckle(x) / x - 1) / 0.8, x)
    assert (code.speckle(0 * x) == 0).all()


def salt_noise(code):
    x = torch.rand(20000) * 0.8 + 0.1
    y = code.salt(x)
    assert abs((y == 0).double().mean() - 0.1) < 0.01 and abs((y == 1).double().mean() - 0.1) < 0.01
    assert ((y == 0) | (y == 1) | (y == x)).all()


def targets():
    """Soft ones and hard ones."""
    yield torch.randn(50, 7), torch.rand(50, 7).softmax(1)
    yield torch.randn(50, 7), F.one_hot(torch.randint(7, (50,)), 7).double()


def focal_loss(code):
    """On hard targets the definition; with gamma 0 cross-entropy."""
    for z, target in targets():
        agree(code.focal(z, target, gamma=0), F.cross_entropy(z, target))
    p = (z.softmax(1) * target).sum(1)
    agree(code.focal(z, target), ((1 - p) ** 2 * -p.log()).mean())


ORACLES = [
    Oracle(
        "joint_transform",
        function="mask_box",
        reference=tight_box,
        cases=lambda: ((painted(*box),) for box in boxes()),
        defects=[Defect("columns[-1] + 1", "columns[-1]")],
    ),
    Oracle(
        "joint_transform",
        function="mirror_box",
        reference=lambda box, width: tight_box(painted(box, 40, width)[:, ::-1]),
        cases=lambda: ((box, width) for box, _, width in boxes()),
        defects=[
            Defect("return width - x2, y1, width - x1, y2", "return width - x1, y1, width - x2, y2"),
            Defect("return width - x2,", "return width - 1 - x2,"),
        ],
    ),
    Oracle(
        "joint_transform",
        turned_boxes,
        defects=[
            Defect("np.sin(a)], [-np.sin(a)", "-np.sin(a)], [np.sin(a)"),
            Defect("(x2, y1), (x2, y2)]", "(x2, y2), (x2, y2)]"),
        ],
    ),
    Oracle(
        "random_resized_crop",
        drawn_crops,
        defects=[
            Defect("math.exp(rng.uniform(*np.log(ratio)))", "rng.uniform(*ratio)"),
            Defect("rng.integers(height - h + 1)", "rng.integers((height - h) // 2 + 1)"),
            # a crop wider than the image leaves no place to draw its corner from
            Defect("0 < w <= width and 0 < h <= height", "w > 0 and h > 0", crashes=ValueError),
        ],
    ),
    Oracle(
        "random_resized_crop",
        function="share_inside",
        reference=share_of_pixels,
        cases=boxes_and_crops,
        defects=[
            Defect("max(0, min", "abs(min"),
            Defect("/ (box[2] * box[3])", "/ (crop[2] * crop[3])"),
        ],
    ),
    Oracle(
        "cutmix_area",
        cutmix_box,
        defects=[
            Defect("np.sqrt(1 - lam)", "(1 - lam)"),
            Defect("np.sqrt(1 - lam)", "np.sqrt(lam)"),
            Defect("y + h // 2], 0, height", "y + h // 2], 1, height"),
            Defect("x - w // 2", "x - w"),
        ],
    ),
    Oracle(
        "mixing_under_occlusion",
        squares,
        defects=[
            Defect("torch.randint(9 - side", "torch.randint(10 - side"),
            Defect("(r < side)", "(r <= side)"),
            Defect("torch.randint(9 - side", "torch.randint(max(1, 8 - side)"),
        ],
    ),
    Oracle(
        "tolerance_range",
        function="warp",
        reference=lambda x, a, pixels: warped(x, np.deg2rad(a), np.ones(20), [-pixels, 0 * pixels]),
        cases=turns_and_shifts,
        tolerance=1e-10,
        defects=[
            Defect("-2 * pixels / x.shape[-1]", "-pixels / x.shape[-1]"),
            Defect("-2 * pixels", "2 * pixels"),
            Defect("-a.sin(), shift, a.sin()", "a.sin(), shift, a.sin()"),
        ],
    ),
    Oracle(
        "what_each_buys",
        function="warp",
        reference=drawn_warp,
        cases=warps,
        defects=[
            Defect("-s * a.sin(), dx, s", "s * a.sin(), dx, s"),
            Defect("pixels) * 2 / x", "pixels) / x"),
            Defect("zoom ** u", "zoom * u"),
        ],
    ),
    Oracle(
        "labels_saved",
        function="shift",
        reference=drawn_shift,
        cases=lambda: ((torch.rand(20, 1, 8, 8), pixels) for pixels in (0.0, 1.0, 2.5)),
        defects=[Defect("* 2 - 1) * pixels", "* 2) * pixels"), Defect("pixels * 2 / x", "pixels / x")],
    ),
    Oracle(
        "overfitting_gap",
        function="push",
        reference=drawn_shift,
        cases=lambda: ((torch.rand(20, 1, 8, 8), pixels) for pixels in (0.0, 1.0, 2.5)),
        defects=[
            Defect("torch.rand(len(x), 2)", "torch.rand(1, 2)"),
            Defect("[:, :, 2]", "[:, :, 1]"),
        ],
    ),
    Oracle(
        "noise_transfer",
        gaussian_and_speckle_noise,
        defects=[
            Defect("0.4 * torch.randn_like(x)", "0.4 * torch.rand_like(x)"),
            Defect("x * (1 + 0.8", "x + (1 + 0.8"),
        ],
    ),
    Oracle("noise_transfer", salt_noise, defects=[Defect("r > 0.9", "r > 0.8")]),
    Oracle(
        "mixup_labels",
        function="cross_entropy",
        reference=F.cross_entropy,
        cases=targets,
        defects=[Defect("z.log_softmax(1)", "z.log_softmax(0)")],
    ),
    Oracle(
        "mixup_labels",
        function="squared_error",
        reference=lambda z, target: 7 * F.mse_loss(z.softmax(1), target),  # that averages over classes too
        cases=targets,
        defects=[Defect("square().sum(1)", "square().mean(1)")],
    ),
    Oracle("mixup_labels", focal_loss, defects=[Defect("(target - p).abs().pow(gamma)", "p.pow(gamma)")]),
]
