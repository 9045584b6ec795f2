"""The attention of docs/robustness/attention.md against oracles.

Oracles: torch's own attention, MONAI's squeeze-and-excitation layer, scikit-image's non-local
means, scipy's Gaussian, and loops over every place.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.networks.blocks import ChannelSELayer
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_nl_means
from tests.snippet_functions import load_functions
from torch import nn

TOPIC = "attention"


def load(name, defect=None):
    return load_functions(f"{TOPIC}/{name}", defect)


def close(a, b, atol=1e-10) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, atol=atol)


# --- scaled dot products -----------------------------------------------------------------


def attention_agrees(functions) -> bool:
    """Equals the library's for many shapes, and loops; the weights are a softmax of each row."""
    for lead, length, keys, d in [((), 1, 1, 1), ((3,), 4, 7, 5), ((2, 3), 6, 2, 16)]:
        q, k = 3 * torch.randn(*lead, length, d), 3 * torch.randn(*lead, keys, d)
        v = torch.randn(*lead, keys, 3)
        y, a = functions.attention(q, k, v)
        if not close(y, F.scaled_dot_product_attention(q, k, v)):
            return False
        for place in np.ndindex(*lead, length):
            scores = [float(q[place] @ key) / d**0.5 for key in k[place[:-1]]]
            weights = np.exp(np.array(scores) - max(scores))
            if not np.allclose(a[place].numpy(), weights / weights.sum()):
                return False
    for heads in (1, 2, 8):
        library = nn.MultiheadAttention(16, heads, batch_first=True)
        nn.init.normal_(library.in_proj_bias), nn.init.normal_(library.out_proj.bias)
        x = torch.randn(3, 5, 16)
        y, a = functions.multi_head(x, *library.parameters(), heads)
        want_y, want_a = library(x, x, x, average_attn_weights=False)
        if not (close(y, want_y) and close(a, want_a)):
            return False
    return True


def test_attention_equals_the_library_and_loops():
    assert attention_agrees(load("scaled_dot_product"))


@pytest.mark.parametrize(
    "defect",
    [
        (" / q.shape[-1] ** 0.5", ""),  # the scale forgotten
        ("/ q.shape[-1] ** 0.5", "/ q.shape[-1]"),
        ("scores.softmax(-1)", "scores.softmax(-2)"),  # over queries
        ("scores.softmax(-1)", "torch.sigmoid(scores)"),
        ("3, heads, width // heads", "heads, 3, width // heads"),
        ("y.transpose(1, 2).reshape", "y.reshape"),  # heads not gathered
        (" + b_out", ""),
    ],
)
def test_the_oracle_catches_wrong_attention(defect):
    try:
        assert not attention_agrees(load("scaled_dot_product", defect))
    except (RuntimeError, ValueError):  # shapes no longer fit
        pass


# --- gates and the non-local block ---------------------------------------------------------


def se_agrees(functions, *arguments) -> bool:
    """Equals MONAI's layer with the same weights."""
    for n, h, w in [(1, 1, 1), (2, 5, 3), (4, 8, 8)]:
        mine = functions.SE(*arguments)
        hidden, c = mine.mlp[0].weight.shape
        oracle = ChannelSELayer(2, c, r=c // hidden)
        oracle.fc[0].load_state_dict(mine.mlp[0].state_dict())
        oracle.fc[2].load_state_dict(mine.mlp[2].state_dict())
        x = torch.randn(n, c, h, w)
        if not close(mine(x), oracle(x)):
            return False
    return True


def cbam_agrees(functions) -> bool:
    """Equals loops over channels and places."""
    block, x = functions.CBAM(8, 2), torch.randn(2, 8, 5, 4)
    for image, got in zip(x, block(x)):
        gate = torch.sigmoid(
            sum(
                block.mlp(t)
                for t in (torch.stack([c.mean() for c in image]), torch.stack([c.max() for c in image]))
            )
        )
        y = torch.stack([g * c for g, c in zip(gate, image)])
        both = F.pad(torch.stack([y.mean(0), y.amax(0)]), [3] * 4)
        bias = 0 if block.conv.bias is None else block.conv.bias[0]
        for i in range(5):
            for j in range(4):
                window = (both[:, i : i + 7, j : j + 7] * block.conv.weight[0]).sum() + bias
                if not close(got[:, i, j], y[:, i, j] * torch.sigmoid(window)):
                    return False
    return True


def nonlocal_agrees(functions) -> bool:
    """Equals a loop over queries and keys."""
    block, x = functions.NonLocal(6), 3 * torch.randn(2, 6, 3, 4)
    for image, got in zip(x, block(x)):
        q, k, v = block.qkv(image[None])[0].flatten(1).T.chunk(3, 1)
        for place in range(12):
            scores = torch.stack([q[place] @ key for key in k]) / 3**0.5
            mixed = sum(w * value for w, value in zip(scores.softmax(0), v))
            back = block.out(mixed[None, :, None, None])[0, :, 0, 0]
            if not close(got.flatten(1)[:, place], image.flatten(1)[:, place] + back):
                return False
    return True


def test_blocks_equal_monai_and_loops():
    assert se_agrees(load("se_gate"), 4, 2)
    assert se_agrees(load("cost_and_view"), 8, 4)
    for name in ("cost_and_view", "fetch_by_content"):
        assert cbam_agrees(load(name)) and nonlocal_agrees(load(name))


@pytest.mark.parametrize(
    "defect",
    [
        ("torch.sigmoid(self.mlp(x.mean((2, 3))))", "self.mlp(x.mean((2, 3)))"),  # no sigmoid
        ("torch.sigmoid(self.mlp(x.mean", "torch.softmax(self.mlp(x.mean"),
        ("torch.sigmoid(self.mlp(x.mean((2, 3))))", "torch.sigmoid(self.mlp(x.amax((2, 3))))"),
    ],
)
def test_the_oracle_catches_wrong_gates(defect):
    try:
        assert not se_agrees(load("se_gate", defect), 4, 2)
    except TypeError:  # softmax without a dimension
        pass


@pytest.mark.parametrize("name", ["cost_and_view", "fetch_by_content"])
@pytest.mark.parametrize(
    "agrees, defect",
    [
        (cbam_agrees, ("torch.sigmoid(self.conv(", "(self.conv(")),
        (cbam_agrees, ("x.mean(1), x.amax(1)", "x.amax(1), x.mean(1)")),
        (cbam_agrees, (" + self.mlp(x.amax((2, 3)))", "")),
        (nonlocal_agrees, (".softmax(-1)", ".softmax(1)")),
        (nonlocal_agrees, (" / q.shape[1] ** 0.5", "")),
        (nonlocal_agrees, ("v @ a.mT", "v @ a")),
        (nonlocal_agrees, ("return x + self.out", "return self.out")),
    ],
)
def test_the_oracle_catches_wrong_blocks(name, agrees, defect):
    assert not agrees(load(name, defect))


# --- non-local means -----------------------------------------------------------------------


def denoising_agrees(functions) -> bool:
    """Loops over all pairs; scikit-image's pixels nearly; a blur is a normalized Gaussian."""
    rng = np.random.default_rng(0)
    clean = np.zeros((14, 14))
    clean[:, 7:] = 0.7
    x, sigma = clean + rng.normal(0, 0.1, clean.shape), 0.1
    a = functions.content_weights(torch.from_numpy(x), sigma)
    padded = np.pad(x, 2, mode="reflect")
    patches = np.array([padded[i : i + 5, j : j + 5].ravel() for i in range(14) for j in range(14)])
    for p in range(0, 196, 5):
        unlike = ((patches[p] - patches) ** 2).mean(1) - 2 * sigma**2
        weights = np.exp(-np.maximum(unlike, 0) / (0.55 * sigma) ** 2)
        if not np.allclose(a[p].numpy(), weights / weights.sum(), atol=1e-8):
            return False
    library = denoise_nl_means(x, 5, 14, h=0.55 * sigma, sigma=sigma, fast_mode=True)
    mine = (a.numpy() @ x.ravel()).reshape(x.shape)
    if peak_signal_noise_ratio(library, mine, data_range=1) < 35:
        return False
    for s in (0.4, 1.3):
        i, j = np.mgrid[:14, :14].reshape(2, -1, 1)
        weights = np.exp(-((i - i.T[0]) ** 2 + (j - j.T[0]) ** 2) / (2 * s**2))
        want = (weights / weights.sum(1, keepdims=True) @ x.ravel()).reshape(x.shape)
        if not np.allclose(functions.blur(torch.from_numpy(x), s).numpy(), want):
            return False
    return abs(functions.psnr(torch.from_numpy(x), torch.from_numpy(clean))
               - peak_signal_noise_ratio(clean, x, data_range=1)) < 1e-9  # fmt: skip


def test_non_local_means_equals_loops_and_scikit_image():
    assert denoising_agrees(load("non_local_means"))


@pytest.mark.parametrize(
    "defect",
    [
        (").softmax(1)\n\n\ndef blur", ").softmax(0)\n\n\ndef blur"),
        (" - 2 * sigma**2", ""),
        ('mode="reflect"', 'mode="constant"'),
        ("(2 * s**2)", "s**2"),
        ("a @ x @ a.T", "a @ x"),
        ("-10 *", "-20 *"),
    ],
)
def test_the_oracle_catches_wrong_denoising(defect):
    assert not denoising_agrees(load("non_local_means", defect))


# --- patches and statistics ------------------------------------------------------------------


def patches_agree(functions) -> bool:
    """Tokens are the patches, row by row, and the picture of the tokens is the photo."""
    x = torch.randn(1, 1, 64, 64)
    tokens = functions.patches(x)
    places = [(slice(r, r + 8), slice(c, c + 8)) for r in range(0, 64, 8) for c in range(0, 64, 8)]
    return close(functions.picture(tokens), x) and all(
        close(tokens[0, p], x[0, 0][place].flatten()) for p, place in enumerate(places)
    )


def statistics_agree(functions) -> bool:
    """Equal scores: all 64 keys, sum a (1 - a) = 63 / 64; large ones: one key wins."""
    _, mixed, slope = functions.statistics(16, 0.0)
    if abs(mixed - 64) > 1e-9 or abs(slope - 63 / 64) > 1e-9:
        return False
    _, mixed, slope = functions.statistics(16, 1e6)
    return abs(mixed - 1) < 1e-6 and slope < 1e-6


SMALL_CHECKS = {"permutation": patches_agree, "scale_by_root_d": statistics_agree}


@pytest.mark.parametrize("name", SMALL_CHECKS)
def test_patches_and_statistics(name):
    assert SMALL_CHECKS[name](load(name))


@pytest.mark.parametrize(
    ("name", "defect"),
    [
        ("permutation", ("stride=8).mT", "stride=8)")),
        ("permutation", ("fold(tokens.mT", "fold(tokens")),
        ("scale_by_root_d", ("a * (1 - a)", "a * (1 + a)")),
        ("scale_by_root_d", (".sum(1).exp()", ".sum(1)")),
        ("scale_by_root_d", (".softmax(1)", ".softmax(0)")),
    ],
)
def test_wrong_patches_and_statistics_are_caught(name, defect):
    assert not SMALL_CHECKS[name](load(name, defect))
