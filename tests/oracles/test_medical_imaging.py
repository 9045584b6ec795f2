"""Oracles for medical imaging: MONAI, scikit-image, scikit-learn, PyTorch and brute force.

Each check takes a snippet's functions and says whether they agree with the oracle; planted defects
must make it disagree.
"""

import builtins

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
)
from skimage.metrics import hausdorff_distance
from sklearn.metrics import f1_score, jaccard_score
from tests.snippet_functions import load_functions

TOPIC = "medical-imaging"


def close(a, b, atol=1e-6):
    return np.allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=atol)


def masks(n, shape=(14, 18)):
    """Pairs of masks that are neither empty nor full: blobs, single pixels, touching the border."""
    rng = np.random.default_rng(0)
    for i in range(n):
        a, b = rng.random((2, *shape)) < (0.05, 0.4, 0.9)[i % 3]
        a[i % shape[0], 0] = b[-1, i % shape[1]] = True
        yield a, b
    blob = np.zeros(shape, bool)
    blob[3:9, 4:11] = True
    yield blob, blob
    yield blob, np.roll(blob, 3, 0)


def batch(mask):
    return torch.tensor(mask)[None, None].float()


# --- metrics -----------------------------------------------------------------------------


def overlap_agrees(code) -> bool:
    for a, b in masks(12):
        flat = a.ravel(), b.ravel()
        if not close(code.dice(a, b), [f1_score(*flat), compute_dice(batch(a), batch(b)).item()]):
            return False
        if not close(code.iou(a, b), [jaccard_score(*flat), compute_iou(batch(a), batch(b)).item()]):
            return False
    return True


def boundary_agrees(code) -> bool:
    for a, b in masks(9):
        for spacing in ((1.0, 1.0), (2.5, 0.7)):
            found = code.boundary_metrics(a, b, spacing)
            kwargs = {"include_background": True, "spacing": spacing}
            pair = batch(a), batch(b)
            if not close(found["HD"], compute_hausdorff_distance(*pair, **kwargs).item(), 1e-5):
                return False
            hd95 = compute_hausdorff_distance(*pair, percentile=95, **kwargs).item()
            if not close(found["HD95"], hd95, 1e-5):
                return False
            assd = compute_average_surface_distance(*pair, symmetric=True, **kwargs).item()
            if not close(found["ASSD"], assd, 1e-5):
                return False
        plain = hausdorff_distance(code.surface(a), code.surface(b))
        if not close(code.boundary_metrics(a, b)["HD"], plain):
            return False
    return True


# --- losses ------------------------------------------------------------------------------


def vnet_loss_agrees(code) -> bool:
    oracle = DiceLoss(squared_pred=True, smooth_nr=1.0, smooth_dr=1.0)
    for n, share in ((1, 0.5), (3, 0.02), (4, 0.0), (2, 1.0)):
        p, g = torch.rand(n, 1, 5, 6, 7), (torch.rand(n, 1, 5, 6, 7) < share).double()
        if not close(code.soft_dice_loss(p, g), oracle(p, g)):
            return False
    return True


def pixel_losses_agree(code) -> bool:
    oracle = DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
    for n, share in ((1, 0.5), (3, 0.02), (4, 0.0)):
        z, g = 2 * torch.randn(n, 1, 40), (torch.rand(n, 1, 40) < share).double()
        if not close(code.soft_dice_loss(z, g), oracle(z, g)):
            return False
        p = z.sigmoid()
        by_hand = -(7 * g * p.log() + (1 - g) * (1 - p).log()).mean()
        if not close(code.cross_entropy(z, g, 7.0), by_hand):
            return False
    return True


def weight_map_agrees(code) -> bool:
    rng = np.random.default_rng(1)
    for n in (0, 1, 2, 4):
        cells = np.zeros((11, 13), int)
        for k in range(n):
            i, j = rng.integers(0, (9, 11))
            cells[i : i + 2, j : j + 2] = k + 1
        if n == 0:
            cells[4, 5] = 3  # one cell of one pixel
        found, numbers = code.weight_map(cells), np.unique(cells[cells > 0])
        share = (cells == 0).mean()
        for i, j in np.ndindex(cells.shape):
            if cells[i, j]:
                want = 0.5 / (1 - share)
            else:
                d = sorted(np.hypot(*(np.argwhere(cells == m) - (i, j)).T).min() for m in numbers)
                gap = 10 * np.exp(-((d[0] + d[1]) ** 2) / 50) if len(d) > 1 else 0
                want = 0.5 / share + gap
            if not close(found[i, j], want):
                return False
    return True


# --- layers ------------------------------------------------------------------------------


def conv3d_agrees(code) -> bool:
    for c, o, k, size in ((1, 1, 1, (2, 3, 4)), (2, 3, 3, (5, 4, 6)), (3, 2, 2, (2, 2, 5))):
        x, w = torch.randn(c, *size), torch.randn(o, c, k, k, k)
        y = F.conv3d(x[None], w)[0]
        if not (close(code.conv3d_loop(x, w), y) and close(code.conv3d_from_2d(x, w), y)):
            return False
    return True


def dense_block_agrees(code) -> bool:
    for c_in, growth, layers in ((3, 2, 1), (5, 4, 3)):
        block = code.DenseBlock(c_in, growth, layers).eval()
        maps = [torch.randn(2, c_in, 6, 6)]
        y = block(maps[0])
        for norm, _, conv in block.layers:
            x = torch.cat(maps, 1) / (1 + norm.eps) ** 0.5  # evaluation, fresh statistics
            maps.append(F.conv2d(x.clamp(min=0), conv.weight, padding=1))
        if y.shape[1] != c_in + layers * growth or not close(y.detach(), torch.cat(maps, 1).detach()):
            return False
    return True


def attention_gate_agrees(code) -> bool:
    gate = code.AttentionGate(3, 5, 4)
    skip, coarse = torch.randn(2, 3, 8, 6), torch.randn(2, 5, 4, 3)
    out, alpha = gate(skip, coarse)
    w = gate.theta.weight  # (4, 3, 2, 2)
    windows = skip.unfold(2, 2, 2).unfold(3, 2, 2)  # (N, C, 4, 3, 2, 2)
    x = torch.einsum("ncijab,ocab->noij", windows, w)
    g = torch.einsum("ncij,oc->noij", coarse, gate.phi.weight[..., 0, 0])
    h = (x + g + gate.phi.bias[:, None, None]).clamp(min=0)
    a = 1 / (1 + (-torch.einsum("ncij,c->nij", h, gate.psi.weight[0, :, 0, 0]) - gate.psi.bias).exp())
    a = F.interpolate(a[:, None], size=(8, 6), mode="bilinear")
    return close(alpha.detach(), a.detach()) and close(out.detach(), (a * skip).detach())


def tiling_agrees(code) -> bool:
    """A pixelwise network: any tiling is the identity; a blur without padding: the whole blur."""
    image = torch.randn(1, 1, 20, 20)
    blurred = F.avg_pool2d(image, 5, 1)  # 20 -> 16
    same = code.predict_tiled(lambda x: x, image, 4, 2)
    valid = code.predict_tiled(lambda x: F.avg_pool2d(x, 5, 1), image, 8, 2)
    return close(same, image[..., 2:-2, 2:-2]) and close(valid, blurred)


def half_dice_agrees(code) -> bool:
    """The F1 score of the columns from 64 on; what lies left of them must not matter."""
    for share in (0.1, 0.5, 0.9):
        mask, g = (torch.rand(9, 100) < share).double(), (torch.rand(9, 36) < 0.5).double()
        if not close(code.test_dice(mask, g), f1_score(g.flatten(), mask[:, 64:].flatten())):
            return False
    return True


def unet_sizes_agree(code) -> bool:
    """Two pixels lost a convolution, on every level; one level written out, cropped by negative padding."""
    net = code.UNet((1, 2, 4))
    for n in range(44, 60):
        fits = (n - 4) % 2 == 0 and ((n - 4) // 2 - 4) % 2 == 0
        try:
            side = net(torch.zeros(1, 1, n, n)).shape[-1]
        except ValueError:
            side = None
        if side != (n - 40 if fits else None):
            return False
    net, x = code.UNet((3, 6)), torch.randn(2, 1, 28, 28)
    skip = net.down[0](x)
    up = net.up[0](net.down[1](F.max_pool2d(skip, 2)))
    y = net.head(net.merge[0](torch.cat([F.pad(skip, [-4] * 4), up], 1)))
    return y.shape[-1] == 12 and close(net(x).detach(), y.detach())


@pytest.fixture(autouse=True)
def data_of_a_default_argument(monkeypatch):
    monkeypatch.setattr(builtins, "glands", torch.zeros(1, 65), raising=False)


CHECKS = [
    ("boundary_metrics", overlap_agrees),
    ("boundary_metrics", boundary_agrees),
    ("vnet", vnet_loss_agrees),
    ("dice_and_cross_entropy", pixel_losses_agree),
    ("border_weights", weight_map_agrees),
    ("conv3d_from_2d", conv3d_agrees),
    ("dense_block", dense_block_agrees),
    ("attention_gate", attention_gate_agrees),
    ("overlap_tile", tiling_agrees),
    ("unet_on_tissue", half_dice_agrees),
    ("unet_sizes", unet_sizes_agree),
]
DEFECTS = [
    (0, "2 * (a & b).sum()", "(a & b).sum()"),
    (0, "(a | b).sum()", "a.sum()"),
    (1, "sampling=spacing", "sampling=None"),
    (1, "max(there.max(), back.max())", "there.max()"),
    (1, "np.percentile(back, 95)", "np.percentile(back, 90)"),
    (1, "(there.sum() + back.sum()) / (len(there) + len(back))", "(there.mean() + back.mean()) / 2"),
    (1, "mask & ~binary_erosion(mask)", "mask"),
    (2, "(p**2 + g**2)", "(p + g)"),
    (2, "p.flatten(1), g.flatten(1)", "p.flatten()[None], g.flatten()[None]"),
    (3, "p.sum() + g.sum()", "(p * p).sum() + g.sum()"),
    (3, "pos_weight", "weight"),
    (4, "(d1 + d2) ** 2", "d1 ** 2"),
    (4, "np.sort(d, axis=0)", "d"),
    (4, "background * w0", "w0"),
    (5, "window = x[:, z:z + d, i:i + h, j:j + v]", "window = x[:, z:z + d, j:j + h, i:i + v]"),
    (5, "w[:, :, s]) for s", "w[:, :, k - 1 - s]) for s"),
    (6, "torch.cat([x, layer(x)], 1)", "torch.cat([layer(x), x], 1)"),
    (7, "return alpha * skip", "return skip + alpha"),
    (7, "F.relu(self.theta(skip) + self.phi(gate))", "F.relu(self.theta(skip)) + self.phi(gate)"),
    (8, "tile + 2 * margin, j", "tile + margin, j"),
    (8, "(tile - out.shape[-1]) // 2", "tile - out.shape[-1]"),
    (9, "2 * (mask[", "(mask["),
    (9, "(mask[:, 64:].sum() + g.sum())", "(mask.sum() + g.sum())"),
    (10, "nn.Conv2d(c_out, c_out, 3)", "nn.Conv2d(c_out, c_out, 3, padding=1)"),
    (10, "(skip.shape[-1] - x.shape[-1]) // 2", "0"),  # crops a corner
    (10, "torch.cat([skip, x], 1)", "torch.cat([x, skip], 1)"),
]


@pytest.mark.parametrize(("snippet", "agrees"), CHECKS)
def test_agrees_with_oracle(snippet, agrees):
    assert agrees(load_functions(f"{TOPIC}/{snippet}"))


@pytest.mark.parametrize(("number", "old", "new"), DEFECTS)
def test_oracle_catches_the_defect(number, old, new):
    snippet, agrees = CHECKS[number]
    code = load_functions(f"{TOPIC}/{snippet}", defect=(old, new))
    try:
        assert not agrees(code)
    except (RuntimeError, ValueError):
        pass  # shapes that no longer fit are a catch too
