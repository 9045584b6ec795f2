"""Occlusion: NMS and its ceiling, the unseen variance, hidden pixels, light."""

import itertools

import numpy as np
import torch
from scipy.stats import zscore
from skimage.exposure import equalize_hist

from tests.oracles.onnx_operators import onnx_nms
from tests.oracles.oracle import Defect, Oracle, agree

# --- crowds: NMS against ONNX Runtime, its ceiling on recall against all subsets ---------


def crowds():
    for n, threshold in itertools.product((0, 1, 2, 10, 40), (0.1, 0.3, 0.5, 0.7, 0.9)):
        corner, side = 40 * torch.rand(n, 2), 10 + 20 * torch.rand(n, 2)
        yield torch.cat([corner, corner + side], 1), torch.randperm(n) / max(n, 1), threshold
    half = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])  # IoU of exactly 0.5: both stay
    yield half, torch.tensor([1.0, 0.5]), 0.5


def clashes():
    for n, share in itertools.product((0, 1, 2, 5, 8), (0.0, 0.2, 0.5, 1.0)):
        for _ in range(3):
            upper = torch.triu(torch.rand(n, n) < share, 1)
            yield (upper | upper.T,)


def largest_without_clash(clash):
    subsets = itertools.product((False, True), repeat=len(clash))
    return max(sum(taken) for taken in subsets if not clash[list(taken)][:, list(taken)].any())


# --- variance without detections, Kalman update ------------------------------------------


def tracks():
    for _ in range(5):
        root = torch.randn(2, 2)
        yield torch.randn(3, 2, 2), root @ root.T


def unseen_variance(code):
    """The sum over all accelerations equals the polynomial and the recursion."""
    for first, start in tracks():
        x, P = first, start
        for k in range(1, 15):
            x, P = code.predict(x, P)
            A = torch.tensor([[1.0, k], [0, 1]])
            total = (A @ start @ A.T)[0, 0] + sum(code.Q * (k - j + 0.5) ** 2 for j in range(1, k + 1))
            agree([code.unseen(start, k), P[0, 0], x], [total, total, first @ A.T])


def update(code):
    """Bayes: the posterior's precision is the sum of precisions."""
    for x, P in tracks():
        z, H = torch.randn(3, 2), torch.tensor([[1.0, 0]])
        covariance = torch.linalg.inv(torch.linalg.inv(P) + H.T @ H / code.R)
        information = x @ torch.linalg.inv(P) + z[..., None] * H / code.R
        agree(code.update(x, P, z), (information @ covariance, covariance))


# --- hidden pixels: the best of all explanations -----------------------------------------


def pixels():
    for prior in (0.01, 0.3, 0.9):
        yield 2 * torch.randn(4, 3, 6), prior


def explain(pixels, prior):
    """The best over all 2^P assignments of pixels to class or occluder."""
    choices = torch.tensor(list(itertools.product((False, True), repeat=6)))  # (64, 6)
    seen = pixels[..., None, :] + np.log(1 - prior)
    best, index = torch.where(choices, np.log(prior), seen).sum(-1).max(-1)  # of (4, 3, 64)
    return best, choices[index]


def classes(*shape):
    """Images, and each class's mean and deviation."""
    return [(torch.rand(5, *shape), torch.rand(3, *shape), 0.1 + torch.rand(3, *shape)) for _ in range(3)]


def density(x, mean, std):
    return torch.distributions.Normal(mean, std).log_prob(x[:, None])


# --- light -------------------------------------------------------------------------------


def equalize(code):
    for x in (torch.randint(0, 256, (20, 30)).double() / 255, torch.rand(1, 7), torch.ones(3, 2)):
        ranks = (x.flatten()[:, None] >= x.flatten()).double().mean(1).view(x.shape)
        agree(code.equalize(x), ranks)
    x = torch.randint(0, 256, (20, 30)).double() / 255
    want = equalize_hist(x.numpy(), nbins=256)  # interpolates: equal to about one bin
    assert np.abs(code.equalize(x).numpy() - want).max() < 0.02


def light(code):
    """SciPy's z-scores, whatever gain and offset; the shadow column by column."""
    for x in (torch.rand(3, 2, 8, 8), torch.rand(1, 1, 8, 8)):
        scores = zscore(x.flatten(2), axis=2, ddof=1).reshape(x.shape)
        agree([code.standardize(x), code.standardize(3 * x + 2)], [scores, scores])
        for edge in (0, 2, 8):
            columns = [0.4 * column if c < edge else column for c, column in enumerate(x.unbind(-1))]
            agree(code.shadow(x, 0.4, edge), torch.stack(columns, -1))


def place(code):
    """The digit is where its shift says."""
    x = torch.rand(6, 3, 8, 8)
    for reach in (0, 4):
        big, shift = code.place(x, reach)
        assert shift.abs().max() <= reach
        for n, s in np.ndindex(6, 3):
            dx, dy = shift[n, s].long().tolist()
            want = torch.zeros(16, 16)
            want[4 + dy : 12 + dy, 4 + dx : 12 + dx] = x[n, s]
            agree(big[n, s], want)


ORACLES = [
    Oracle(
        "crowd_ceiling",
        function="nms",
        reference=onnx_nms,
        cases=crowds,
        defects=[
            Defect("[0] <= threshold]", "[0] < threshold]"),
            Defect("descending=True", "descending=False"),
            Defect("area_b - inter", "area_b"),
            Defect(".clamp(min=0)", ""),
        ],
    ),
    Oracle(
        "crowd_ceiling",
        function="ceiling",
        reference=largest_without_clash,
        cases=clashes,
        defects=[
            Defect("clash[others][:, others]", "clash[free][:, free]"),
            Defect("others & ~clash[worst]", "others"),
            Defect("max(ceiling(", "min(ceiling("),
        ],
    ),
    Oracle(
        "occlusion_gate",
        unseen_variance,
        data=lambda: {"F": torch.tensor([[1.0, 1], [0, 1]]), "noise": torch.tensor([0.5, 1])},
        defects=[
            Defect("(4 * k**2 - 1) / 12", "(4 * k**2 + 1) / 12"),
            Defect("2 * k * P[0, 1]", "k * P[0, 1]"),
        ],
    ),
    Oracle(
        "occlusion_gate",
        update,
        defects=[
            Defect("P[:, 0] / (P[0, 0] + R)", "P[:, 0] / P[0, 0]"),
            Defect("P - K[:, None] * P[0]", "P"),
        ],
    ),
    Oracle(
        "part_votes",
        function="explain",
        reference=explain,
        cases=pixels,
        defects=[
            Defect("torch.maximum(", "torch.minimum("),
            Defect("torch.tensor(1 - prior)", "torch.tensor(1.0)"),
            Defect("hidden > seen", "hidden < seen"),
        ],
    ),
    Oracle(
        "part_votes",
        function="log_likelihood",
        reference=density,
        cases=lambda: classes(6),
        defects=[Defect("z.square() / 2", "z.square()")],
    ),
    Oracle(
        "temporal_fusion",
        function="evidence",
        reference=lambda *arguments: density(*arguments).clamp(min=-1.4).sum((2, 3)),
        cases=lambda: classes(2, 3),
        defects=[
            Defect(" - (std * (2 * torch.pi) ** 0.5).log()", ""),  # wide classes would win
            Defect("min=-1.4", "max=-1.4"),
            Defect(".sum((2, 3))", ".sum((1, 2))"),
        ],
    ),
    Oracle("lighting_table", equalize, defects=[Defect("right=True", "right=False")]),
    Oracle(
        "gain_and_offset",
        light,
        defects=[
            Defect("x.mean((-2, -1), True)", "x.mean()"),
            Defect("x.std(", "x.var("),
            Defect("torch.arange(8) < edge", "torch.arange(8) <= edge"),
        ],
    ),
    Oracle(
        "spatial_transformer",
        place,
        data=lambda: {"k": torch.arange(8)},
        defects=[
            Defect("4 + dy", "4 - dy"),
            Defect("[dx, dy]", "[dy, dx]"),
            Defect("rows.mT @ x @ columns", "rows.mT @ x.mT @ columns"),
        ],
    ),
]
