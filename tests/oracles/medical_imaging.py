"""Medical imaging: metrics, losses, layers and tilings against MONAI, scikit-image, scikit-learn, PyTorch and
brute force."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai import metrics as monai
from monai.losses import DiceLoss
from skimage.metrics import hausdorff_distance
from sklearn.metrics import f1_score, jaccard_score

from tests.oracles.oracle import Defect, Oracle, agree


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


def batches(*pair):
    return [torch.tensor(mask)[None, None].float() for mask in pair]


# --- metrics -----------------------------------------------------------------------------


def overlap(code):
    for a, b in masks(12):
        agree(code.dice(a, b), f1_score(a.ravel(), b.ravel()))
        agree(code.iou(a, b), jaccard_score(a.ravel(), b.ravel()))
        agree(code.dice(a, b), monai.compute_dice(*batches(a, b)).item(), 1e-6)
        agree(code.iou(a, b), monai.compute_iou(*batches(a, b)).item(), 1e-6)


def distances(code):
    for a, b in masks(9):
        agree(code.boundary_metrics(a, b)["HD"], hausdorff_distance(code.surface(a), code.surface(b)))
        for spacing in ((1.0, 1.0), (2.5, 0.7)):
            pair, options = batches(a, b), {"include_background": True, "spacing": spacing}
            want = {
                "HD": monai.compute_hausdorff_distance(*pair, **options),
                "HD95": monai.compute_hausdorff_distance(*pair, percentile=95, **options),
                "ASSD": monai.compute_average_surface_distance(*pair, symmetric=True, **options),
            }
            want = {name: value.item() for name, value in want.items()}
            agree(code.boundary_metrics(a, b, spacing), want, 1e-6)


def halves():
    for share in (0.1, 0.5, 0.9):
        yield (torch.rand(9, 100) < share).double(), (torch.rand(9, 36) < 0.5).double()


# --- losses ------------------------------------------------------------------------------


def volumes():
    for n, share in ((1, 0.5), (3, 0.02), (4, 0.0), (2, 1.0)):
        yield torch.rand(n, 1, 5, 6, 7), (torch.rand(n, 1, 5, 6, 7) < share).double()


def logits():
    for n, share in ((1, 0.5), (3, 0.02), (4, 0.0), (2, 1.0)):
        yield 2 * torch.randn(n, 1, 40), (torch.rand(n, 1, 40) < share).double()


def weighted_cross_entropy(z, g, weight):
    p = z.sigmoid()
    return -(weight * g * p.log() + (1 - g) * (1 - p).log()).mean()


def cell_maps():
    rng = np.random.default_rng(1)
    for n in (0, 1, 2, 4):
        cells = np.zeros((11, 13), int)
        for k in range(n):
            i, j = rng.integers(0, (9, 11))
            cells[i : i + 2, j : j + 2] = k + 1
        if n == 0:
            cells[4, 5] = 3  # one cell of one pixel
        yield (cells,)


def weights_by_pixel(cells):
    want, numbers, share = np.empty(cells.shape), np.unique(cells[cells > 0]), (cells == 0).mean()
    for i, j in np.ndindex(cells.shape):
        if cells[i, j]:
            want[i, j] = 0.5 / (1 - share)
        else:
            d = sorted(np.hypot(*(np.argwhere(cells == m) - (i, j)).T).min() for m in numbers)
            gap = 10 * np.exp(-((d[0] + d[1]) ** 2) / 50) if len(d) > 1 else 0
            want[i, j] = 0.5 / share + gap
    return want


# --- layers ------------------------------------------------------------------------------


def filters():
    for c, o, k, size in ((1, 1, 1, (2, 3, 4)), (2, 3, 3, (5, 4, 6)), (3, 2, 2, (2, 2, 5))):
        yield torch.randn(c, *size), torch.randn(o, c, k, k, k)


def convolution(x, w):
    return F.conv3d(x[None], w)[0]


def dense_block(code):
    for c_in, growth, layers in ((3, 2, 1), (5, 4, 3)):
        block = code.DenseBlock(c_in, growth, layers).eval()
        maps = [torch.randn(2, c_in, 6, 6)]
        y = block(maps[0])
        for norm, _, conv in block.layers:
            x = torch.cat(maps, 1) / (1 + norm.eps) ** 0.5  # evaluation, fresh statistics
            maps.append(F.conv2d(x.clamp(min=0), conv.weight, padding=1))
        assert y.shape[1] == c_in + layers * growth
        agree(y, torch.cat(maps, 1))


def attention_gate(code):
    gate = code.AttentionGate(3, 5, 4)
    skip, coarse = torch.randn(2, 3, 8, 6), torch.randn(2, 5, 4, 3)
    windows = skip.unfold(2, 2, 2).unfold(3, 2, 2)  # (N, C, 4, 3, 2, 2)
    x = torch.einsum("ncijab,ocab->noij", windows, gate.theta.weight)
    g = torch.einsum("ncij,oc->noij", coarse, gate.phi.weight[..., 0, 0])
    h = (x + g + gate.phi.bias[:, None, None]).clamp(min=0)
    a = 1 / (1 + (-torch.einsum("ncij,c->nij", h, gate.psi.weight[0, :, 0, 0]) - gate.psi.bias).exp())
    a = F.interpolate(a[:, None], size=(8, 6), mode="bilinear")
    agree(gate(skip, coarse), (a * skip, a))


def tiling(code):
    """A pixelwise network: any tiling is the identity; a blur without padding: the whole blur."""
    image = torch.randn(1, 1, 20, 20)
    agree(code.predict_tiled(lambda x: x, image, 4, 2), image[..., 2:-2, 2:-2])
    blurred = F.avg_pool2d(image, 5, 1)  # 20 -> 16
    agree(code.predict_tiled(lambda x: F.avg_pool2d(x, 5, 1), image, 8, 2), blurred)


def sizes(code):
    """Two pixels lost a convolution, on every level; one level written out, cropped by negative padding."""
    net = code.UNet((1, 2, 4))
    for n in range(44, 60):
        if (n - 4) % 2 == 0 and ((n - 4) // 2 - 4) % 2 == 0:
            assert net(torch.zeros(1, 1, n, n)).shape[-1] == n - 40
        else:
            with pytest.raises(ValueError, match="would drop a row"):
                net(torch.zeros(1, 1, n, n))
    net, x = code.UNet((3, 6)), torch.randn(2, 1, 28, 28)
    skip = net.down[0](x)
    up = net.up[0](net.down[1](F.max_pool2d(skip, 2)))
    y = net.head(net.merge[0](torch.cat([F.pad(skip, [-4] * 4), up], 1)))
    assert y.shape[-1] == 12
    agree(net(x), y)


ORACLES = [
    Oracle(
        "boundary_metrics",
        overlap,
        defects=[Defect("2 * (a & b).sum()", "(a & b).sum()"), Defect("(a | b).sum()", "a.sum()")],
    ),
    Oracle(
        "boundary_metrics",
        distances,
        defects=[
            Defect("sampling=spacing", "sampling=None"),
            Defect("max(there.max(), back.max())", "there.max()"),
            Defect("np.percentile(back, 95)", "np.percentile(back, 90)"),
            Defect(
                "(there.sum() + back.sum()) / (len(there) + len(back))", "(there.mean() + back.mean()) / 2"
            ),
            Defect("mask & ~binary_erosion(mask)", "mask"),
        ],
    ),
    Oracle(
        "vnet",
        function="soft_dice_loss",
        reference=DiceLoss(squared_pred=True, smooth_nr=1.0, smooth_dr=1.0),
        cases=volumes,
        defects=[
            Defect("(p**2 + g**2)", "(p + g)"),
            Defect("p.flatten(1), g.flatten(1)", "p.flatten()[None], g.flatten()[None]"),
        ],
    ),
    Oracle(
        "dice_and_cross_entropy",
        function="soft_dice_loss",
        reference=DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0),
        cases=logits,
        defects=[Defect("p.sum() + g.sum()", "(p * p).sum() + g.sum()")],
    ),
    Oracle(
        "dice_and_cross_entropy",
        function="cross_entropy",
        reference=weighted_cross_entropy,
        cases=lambda: [(*pair, 7.0) for pair in logits()],
        defects=[Defect("pos_weight", "weight")],
    ),
    Oracle(
        "border_weights",
        function="weight_map",
        reference=weights_by_pixel,
        cases=cell_maps,
        defects=[
            Defect("(d1 + d2) ** 2", "d1 ** 2"),
            Defect("np.sort(d, axis=0)", "d"),
            Defect("background * w0", "w0"),
        ],
    ),
    Oracle(
        "conv3d_from_2d",
        function="conv3d_loop",
        reference=convolution,
        cases=filters,
        defects=[Defect("i : i + h, j : j + v", "j : j + h, i : i + v")],
    ),
    Oracle(
        "conv3d_from_2d",
        function="conv3d_from_2d",
        reference=convolution,
        cases=filters,
        defects=[Defect("w[:, :, s]) for s", "w[:, :, k - 1 - s]) for s")],
    ),
    Oracle(
        "dense_block",
        dense_block,
        defects=[Defect("torch.cat([x, layer(x)], 1)", "torch.cat([layer(x), x], 1)")],
    ),
    Oracle(
        "attention_gate",
        attention_gate,
        defects=[
            Defect("return alpha * skip", "return skip + alpha"),
            Defect("F.relu(self.theta(skip) + self.phi(gate))", "F.relu(self.theta(skip)) + self.phi(gate)"),
        ],
    ),
    Oracle(
        "overlap_tile",
        tiling,
        defects=[
            Defect("tile + 2 * margin, j", "tile + margin, j"),
            Defect("(tile - out.shape[-1]) // 2", "tile - out.shape[-1]"),
        ],
    ),
    Oracle(
        "unet_on_tissue",
        function="test_dice",
        reference=lambda mask, g: f1_score(g.flatten(), mask[:, 64:].flatten()),  # the rest does not matter
        cases=halves,
        data=lambda: {"glands": torch.zeros(1, 65)},
        defects=[
            Defect("2 * (mask[", "(mask["),
            Defect("(mask[:, 64:].sum() + g.sum())", "(mask.sum() + g.sum())"),
        ],
    ),
    Oracle(
        "unet_sizes",
        sizes,
        defects=[
            Defect("nn.Conv2d(c_out, c_out, 3)", "nn.Conv2d(c_out, c_out, 3, padding=1)", crashes=ValueError),
            Defect("(skip.shape[-1] - x.shape[-1]) // 2", "0"),  # crops a corner
            Defect("torch.cat([skip, x], 1)", "torch.cat([x, skip], 1)"),
        ],
    ),
]
