"""Oracles for illumination: exposure tools against scikit-image, SciPy and plain loops."""

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from skimage import data, exposure
from tests.snippet_functions import load_functions

TOPIC = "illumination"
RNG = np.random.default_rng


def pictures(count=8, seed=0):
    """Random pictures of many sizes: few levels, many levels, a constant, one pixel."""
    rng = RNG(seed)
    yield np.full((4, 5), 0.3)
    yield np.array([[0.7]])
    for k in range(count):
        shape = rng.integers(2, 40, 2)
        yield rng.integers(0, 4, shape) / 4 if k % 2 else rng.random(shape)


def equalization_is_the_rank(code) -> None:
    for image in pictures():
        expected = stats.rankdata(image, method="max").reshape(image.shape) / image.size
        np.testing.assert_allclose(code.equalize(image), expected, rtol=0, atol=1e-12)
    photo = data.camera()[::2, ::2]  # for 8-bit pictures scikit-image's bins are exact too
    np.testing.assert_allclose(code.equalize(photo), exposure.equalize_hist(photo), atol=1e-12)


def stretching_agrees_with_rescale_intensity(code) -> None:
    for image in pictures(seed=1):
        if image.min() == image.max():
            continue
        for cut in (0, 1, 10):
            low, high = np.percentile(image, (cut, 100 - cut))
            if low == high:
                continue
            expected = exposure.rescale_intensity(
                image, in_range=(low, high), out_range=(0.0, 1.0)
            )
            np.testing.assert_allclose(code.stretch(image, cut), expected, atol=1e-12)


def slow_clahe(image, tiles, clip, bins):
    """Zuiderveld's recipe pixel by pixel, with np.histogram and np.interp's idea of blending."""
    size = len(image) // tiles
    level = np.floor(image * bins).clip(max=bins - 1)
    maps = {}
    for i in range(tiles):
        for j in range(tiles):
            block = level[i * size : (i + 1) * size, j * size : (j + 1) * size]
            share = np.histogram(block, bins=np.arange(bins + 1))[0] / block.size
            kept = np.minimum(share, clip / bins)
            maps[i, j] = np.cumsum(kept + (share - kept).sum() / bins)
    out = np.zeros(image.shape)
    for r, c in np.ndindex(image.shape):
        y, x = (min(max((k + 0.5) / size - 0.5, 0), tiles - 1) for k in (r, c))
        for i in range(tiles):
            for j in range(tiles):
                weight = max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j))
                out[r, c] += weight * maps[i, j][int(level[r, c])]
    return out


def clahe_agrees_with_the_slow_one(code) -> None:
    rng = RNG(2)
    for side, tiles, clip, bins in ((8, 1, 2, 8), (12, 3, 1.5, 16), (12, 2, np.inf, 4), (6, 6, 3, 8)):
        image = rng.random((side, side)) ** 2
        image[0, 0], image[0, 1] = 1, 0
        expected = slow_clahe(image, tiles, clip, bins)
        np.testing.assert_allclose(code.clahe(image, tiles, clip, bins), expected, atol=1e-12)


def clahe_agrees_with_scikit_image(code) -> None:
    photo = data.camera()[::2, ::2] / 255
    whole = code.clahe(photo, tiles=1, clip=np.inf)
    level = np.minimum(np.floor(photo * 256), 255).astype(np.uint8)
    np.testing.assert_allclose(whole, exposure.equalize_hist(level), atol=1e-12)
    # Its tiles are the same; its rounding, padding and clipping differ in detail.
    theirs = exposure.equalize_adapthist(photo, kernel_size=32, clip_limit=1.0)
    ours = code.clahe(photo, 8, np.inf)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97


def retinex_agrees_with_a_kernel(code) -> None:
    rng = RNG(3)
    for _ in range(4):
        image = rng.uniform(0.05, 1, rng.integers(30, 50, 2))
        x = np.arange(-8, 9)
        kernel = np.exp(-(x**2) / 8)
        kernel /= kernel.sum()
        z = np.log(image)
        blurred = ndimage.convolve(z, np.outer(kernel, kernel), mode="reflect")
        np.testing.assert_allclose(code.retinex(image, 2), z - blurred, atol=1e-3)
        change = code.retinex(image * 0.01, 2) - code.retinex(image, 2)
        assert np.abs(change).max() < 1e-12


def light_is_the_p_norm(code) -> None:
    rng = RNG(4)
    for _ in range(10):
        image = rng.uniform(0.01, 1, (*rng.integers(1, 20, 2), 3))
        n = image[..., 0].size
        for p in (1, 2, 6):
            norm = np.linalg.norm(image.reshape(-1, 3), ord=p, axis=0) if p == 2 else (
                (image.reshape(-1, 3) ** p).sum(0) ** (1 / p)
            )  # fmt: skip
            np.testing.assert_allclose(code.estimate_light(image, p), norm / n ** (1 / p))
        np.testing.assert_allclose(code.estimate_light(image, np.inf), image.max((0, 1)))
        light = rng.uniform(0.2, 1, 3)
        gray = code.correct(image * light, code.estimate_light(image * light)).mean((0, 1))
        np.testing.assert_allclose(gray, gray.mean())  # the world is gray now
        assert gray.mean() == pytest.approx((image * light).mean())
    assert code.angle(np.array([1.0, 0, 0]), np.array([0, 2.0, 0])) == pytest.approx(90)
    assert code.angle(np.array([1.0, 1, 0]), np.array([3.0, 0, 0])) == pytest.approx(45)


def preprocessing_is_invariant_as_named(code) -> None:
    x = torch.randint(2, 20, (6, 2, 8, 8)) / 20  # with ties
    flat = x.flatten(2).numpy()
    ranks = stats.rankdata(flat, method="max", axis=2)
    expected = torch.from_numpy(stats.zscore(ranks, axis=2, ddof=1)).view_as(x)
    torch.testing.assert_close(code.equalize(x), expected)
    expected = torch.from_numpy(stats.zscore(flat, axis=2, ddof=1)).view_as(x)
    torch.testing.assert_close(code.standardize(x), expected)
    z = x.log().numpy()
    surround = ndimage.uniform_filter(z, (1, 1, 5, 5), mode="mirror")
    difference = (z - surround).reshape(6, 2, 64)
    expected = torch.from_numpy(stats.zscore(difference, axis=2, ddof=1)).view_as(x)
    torch.testing.assert_close(code.center_surround(x), expected)
    torch.testing.assert_close(code.standardize(3 * x + 2), code.standardize(x))
    torch.testing.assert_close(code.center_surround(0.1 * x**3), code.center_surround(x))
    bright = code.relight(torch.full((2000, 2, 1, 1), 1.0))
    assert 0.3 <= bright.min() < 0.31 and 0.99 < bright.max() <= 1  # gain alone shows on white


def standardized_is_the_z_score(code) -> None:
    x = torch.rand(4, 3, 5, 6)
    x[0, 0] = 0.5  # a constant image becomes 0, not nan
    expected = stats.zscore(x.flatten(2).numpy(), axis=2, ddof=1)
    expected[0, 0] = 0
    for gain in (1, 0.01):
        np.testing.assert_allclose(code.standardize(gain * x).flatten(2), expected, atol=1e-6)
    y = torch.randint(0, 4, (20, 3))
    images = torch.rand(20, 3, 5, 6)
    code.accuracy.__globals__["truth"] = y
    guess = code.standardize(images)[:, :, 0, :4].argmax(2)
    got = code.accuracy(lambda z: z[:, :, 0, :4], images)
    np.testing.assert_allclose(got, [np.mean((guess[:, s] == y[:, s]).numpy()) for s in range(3)])


CHECKS = {
    "equalization": [equalization_is_the_rank],
    "contrast_stretching": [stretching_agrees_with_rescale_intensity],
    "clahe": [clahe_agrees_with_the_slow_one, clahe_agrees_with_scikit_image],
    "retinex": [retinex_agrees_with_a_kernel],
    "gray_world": [light_is_the_p_norm],
    "remedies": [preprocessing_is_invariant_as_named],
    "photon_noise": [standardized_is_the_z_score],
}


@pytest.mark.parametrize("name", CHECKS)
def test_agrees(name):
    code = load_functions(f"{TOPIC}/{name}")
    for check in CHECKS[name]:
        check(code)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("equalization", "count.cumsum()", "(count.cumsum() - count)"),
        ("equalization", "/ image.size", "/ len(values)"),
        ("contrast_stretching", "100 - cut", "100 - 2 * cut"),
        ("contrast_stretching", "(image - low)", "image"),
        ("contrast_stretching", ", 0, 1)", ", -1, 2)"),
        ("clahe", "np.maximum(slope - clip, 0).mean", "0 * slope.mean"),
        ("clahe", "+ 0.5) / size - 0.5", ") / size"),
        ("clahe", "np.minimum(slope, clip) + excess", "slope + excess"),
        ("clahe", "(low[:, None], 1 - w[:, None])", "(low[:, None], w[:, None])"),
        ("clahe", "at.astype(int), max(tiles - 2, 0)", "at.round().astype(int), max(tiles - 2, 0)"),
        ("retinex", "np.log(image)", "np.log(1 + image)"),
        ("retinex", 'mode="reflect"', 'mode="constant"'),
        ("gray_world", "** (1 / p)", ""),
        ("gray_world", "top * ((image", "((image"),
        ("gray_world", "image * light.mean() / light", "image / light"),
        ("gray_world", "/ np.linalg.norm(b)", ""),
        ("remedies", "v[..., None, :] <= v[..., None]", "v[..., None, :] < v[..., None]"),
        ("remedies", "(2, 2, 2, 2), mode=\"reflect\"", "(2, 2, 2, 2)"),
        ("remedies", "x.std((2, 3)", "x.std((1, 2, 3)"),
        ("remedies", "uniform_(0.3, 1)", "uniform_(0.1, 1)"),
        ("photon_noise", ".clamp(min=1e-9)", ""),
        ("photon_noise", "x.std((2, 3)", "x.std((1, 2, 3)"),
        ("photon_noise", "net(standardize(images))", "net(images - standardize(images))"),
    ],
)  # fmt: skip
def test_catches_defects(name, old, new):
    code = load_functions(f"{TOPIC}/{name}", defect=(old, new))
    with pytest.raises(AssertionError):
        for check in CHECKS[name]:
            check(code)
