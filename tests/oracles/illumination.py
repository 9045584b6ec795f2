"""Illumination: exposure tools against scikit-image, SciPy and plain loops."""

import numpy as np
import torch
from scipy import ndimage, stats
from skimage import data, exposure

from tests.oracles.oracle import Defect, Oracle, agree

RNG = np.random.default_rng


def pictures(count=8, seed=0):
    """Random pictures of many sizes: few levels, many levels, a constant, one pixel."""
    rng = RNG(seed)
    yield np.full((4, 5), 0.3)
    yield np.array([[0.7]])
    for k in range(count):
        shape = rng.integers(2, 40, 2)
        yield rng.integers(0, 4, shape) / 4 if k % 2 else rng.random(shape)


def rank(image):
    """For 8-bit pictures scikit-image's bins are exact too."""
    if image.dtype == np.uint8:
        return exposure.equalize_hist(image)
    return stats.rankdata(image, method="max").reshape(image.shape) / image.size


def cuts():
    for image in pictures(seed=1):
        for cut in (0, 1, 10):
            low, high = np.percentile(image, (cut, 100 - cut))
            if low < high:
                yield image, cut


def rescaled(image, cut):
    low_high = tuple(np.percentile(image, (cut, 100 - cut)))
    return exposure.rescale_intensity(image, in_range=low_high, out_range=(0.0, 1.0))


def slow_clahe(image, tiles, clip, bins):
    """Zuiderveld's recipe pixel by pixel, with np.histogram and np.interp's idea of blending."""
    size = len(image) // tiles
    level = np.floor(image * bins).clip(max=bins - 1)
    maps = {}
    for i, j in np.ndindex(tiles, tiles):
        block = level[i * size : (i + 1) * size, j * size : (j + 1) * size]
        share = np.histogram(block, bins=np.arange(bins + 1))[0] / block.size
        kept = np.minimum(share, clip / bins)
        maps[i, j] = np.cumsum(kept + (share - kept).sum() / bins)
    out = np.zeros(image.shape)
    for r, c in np.ndindex(image.shape):
        y, x = (min(max((k + 0.5) / size - 0.5, 0), tiles - 1) for k in (r, c))
        for i, j in maps:
            weight = max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j))
            out[r, c] += weight * maps[i, j][int(level[r, c])]
    return out


def clahe(code):
    """The slow one, and scikit-image's."""
    rng = RNG(2)
    for side, tiles, clip, bins in ((8, 1, 2, 8), (12, 3, 1.5, 16), (12, 2, np.inf, 4), (6, 6, 3, 8)):
        image = rng.random((side, side)) ** 2
        image[0, 0], image[0, 1] = 1, 0
        agree(code.clahe(image, tiles, clip, bins), slow_clahe(image, tiles, clip, bins), 1e-12)
    photo = data.camera()[::2, ::2] / 255
    level = np.minimum(np.floor(photo * 256), 255).astype(np.uint8)
    agree(code.clahe(photo, tiles=1, clip=np.inf), exposure.equalize_hist(level), 1e-12)
    # Its tiles are the same; its rounding, padding and clipping differ in detail.
    theirs = exposure.equalize_adapthist(photo, kernel_size=32, clip_limit=1.0)
    assert np.corrcoef(code.clahe(photo, 8, np.inf).ravel(), theirs.ravel())[0, 1] > 0.97


def retinex(code):
    """A kernel written out; a gain drops out."""
    rng = RNG(3)
    kernel = np.exp(-(np.arange(-8, 9) ** 2) / 8)
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    for _ in range(4):
        image = rng.uniform(0.05, 1, rng.integers(30, 50, 2))
        z, got = np.log(image), code.retinex(image, 2)
        agree(got, z - ndimage.convolve(z, kernel, mode="reflect"))
        agree(code.retinex(image * 0.01, 2), got, 1e-12)


def colors():
    rng = RNG(4)
    for _ in range(10):
        yield rng.uniform(0.01, 1, (*rng.integers(1, 20, 2), 3))


def p_norm(image, p):
    pixels = image.reshape(-1, 3)
    return np.linalg.norm(pixels, p, axis=0) / len(pixels) ** (1 / p)


def the_world_is_gray(code):
    for image in colors():
        lit = image * RNG(5).uniform(0.2, 1, 3)
        gray = code.correct(lit, code.estimate_light(lit))
        agree(gray.mean((0, 1)), np.full(3, lit.mean()))


def directions():
    for a, b in (
        ([1, 0, 0], [0, 2, 0]),
        ([1, 1, 0], [3, 0, 0]),
        ([1, 2, 2], [2, 4, 4]),
        *RNG(6).random((9, 2, 3)),
    ):
        yield np.array(a, float), np.array(b, float)


def angle(a, b):
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


def images():
    x = torch.randint(2, 20, (6, 2, 8, 8)) / 20  # with ties
    return [(x,), (3 * x + 2,), (0.1 * x**3,)]


def z_score(x):
    """Of each image; a constant image becomes 0, not nan."""
    flat = np.reshape(x, (*x.shape[:2], -1))
    return np.nan_to_num(stats.zscore(flat, axis=2, ddof=1)).reshape(x.shape)


def equalized(x):
    return z_score(stats.rankdata(x.flatten(2), method="max", axis=2).reshape(x.shape))


def surround_removed(x):
    z = x.log().numpy()
    return z_score(z - ndimage.uniform_filter(z, (1, 1, 5, 5), mode="mirror"))


def relighting(code):
    """On white the gain alone shows, on gray the curve too."""
    white, gray = code.relight(torch.tensor([1.0, 0.5]).expand(2000, 2, 1, 2))[..., 0, :].unbind(2)
    gamma = (gray / white).log() / np.log(0.5)
    for values, low, high in ((white, 0.3, 1), (gamma.log(), -0.7, 0.7)):
        assert low <= values.min() < low + 0.01 and high - 0.01 < values.max() <= high


def noisy_images():
    x = torch.rand(4, 3, 5, 6)
    x[0, 0] = 0.5
    return [(x,), (0.01 * x,)]


def accuracy(code):
    pictures = torch.rand(20, 3, 5, 6)
    guess = z_score(pictures)[:, :, 0, :4].argmax(2)
    got = code.accuracy(lambda z: z[:, :, 0, :4], pictures)
    agree(got, (guess == code.truth.numpy()).mean(0))


ORACLES = [
    Oracle(
        "equalization",
        function="equalize",
        reference=rank,
        cases=lambda: [(image,) for image in (*pictures(), data.camera()[::2, ::2])],
        tolerance=1e-12,
        defects=[
            Defect("count.cumsum()", "(count.cumsum() - count)"),
            Defect("/ image.size", "/ len(values)"),
        ],
    ),
    Oracle(
        "contrast_stretching",
        function="stretch",
        reference=rescaled,
        cases=cuts,
        tolerance=1e-12,
        defects=[
            Defect("(cut, 100 - cut)", "(cut, 100 - 2 * cut)"),
            Defect("(image - low)", "image"),
            Defect(", 0, 1)", ", -1, 2)"),
        ],
    ),
    Oracle(
        "clahe",
        clahe,
        defects=[
            Defect("np.maximum(slope - clip, 0).mean", "0 * slope.mean"),
            Defect("+ 0.5) / size - 0.5", ") / size"),
            Defect("np.minimum(slope, clip) + excess", "slope + excess"),
            Defect("(low[:, None], 1 - w[:, None])", "(low[:, None], w[:, None])"),
            Defect("at.astype(int), max(tiles - 2, 0)", "at.round().astype(int), max(tiles - 2, 0)"),
        ],
    ),
    Oracle(
        "retinex",
        retinex,
        defects=[Defect("np.log(image)", "np.log(1 + image)"), Defect('mode="reflect"', 'mode="constant"')],
    ),
    Oracle(
        "gray_world",
        function="estimate_light",
        reference=p_norm,
        cases=lambda: [(image, p) for image in colors() for p in (1, 2, 6, np.inf)],
        defects=[Defect("** (1 / p)", ""), Defect("top * ((image", "((image")],
    ),
    Oracle(
        "gray_world", the_world_is_gray, defects=[Defect("image * light.mean() / light", "image / light")]
    ),
    Oracle(
        "gray_world",
        function="angle",
        reference=angle,
        cases=directions,
        defects=[Defect("/ np.linalg.norm(b)", "")],
    ),
    Oracle(
        "remedies",
        function="equalize",
        reference=equalized,
        cases=images,
        defects=[Defect("v[..., None, :] <= v[..., None]", "v[..., None, :] < v[..., None]")],
    ),
    Oracle(
        "remedies",
        function="standardize",
        reference=z_score,
        cases=images,
        defects=[Defect("x.std((2, 3)", "x.std((1, 2, 3)")],
    ),
    Oracle(
        "remedies",
        function="center_surround",
        reference=surround_removed,
        cases=images,
        defects=[Defect('(2, 2, 2, 2), mode="reflect"', "(2, 2, 2, 2)")],
    ),
    Oracle(
        "remedies",
        relighting,
        defects=[Defect("uniform_(0.3, 1)", "uniform_(0.1, 1)"), Defect("(-0.7, 0.7)", "(0, 0.7)")],
    ),
    Oracle(
        "photon_noise",
        function="standardize",
        reference=z_score,
        cases=noisy_images,
        defects=[Defect(".clamp(min=1e-9)", ""), Defect("x.std((2, 3)", "x.std((1, 2, 3)")],
    ),
    Oracle(
        "photon_noise",
        accuracy,
        data=lambda: {"truth": torch.randint(0, 4, (20, 3))},
        defects=[Defect("net(standardize(images))", "net(images - standardize(images))")],
    ),
]
