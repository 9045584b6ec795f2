"""Missing data: imputations and masked operations against scikit-learn, SciPy, PyTorch and brute force."""

import itertools
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import uniform_filter
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import LinearRegression

from tests.oracles.oracle import Defect, Oracle, agree

# --- imputations -----------------------------------------------------------------------


def table(seed, rows=40, library=80, width=6):
    """Correlated data, a mask with at least one value seen in each row, and the library."""
    data = torch.randn(rows + library, width) @ (torch.eye(width) + 0.25 * torch.randn(width, width)) + 3
    seen = torch.rand(rows, width) < 0.6
    seen[:, seed % width] = True
    seen[0] = True  # a complete row
    return torch.where(seen, data[:rows], 99.0), seen, data[rows:]  # what is lost must not matter


def with_holes(x, seen):
    return torch.where(seen, x, torch.nan).numpy()


def neighbors(x, seen, library, k):
    return KNNImputer(n_neighbors=k).fit(library.numpy()).transform(with_holes(x, seen))


def regressions():
    for seed in range(3):
        yield *table(seed, rows=12, width=4), 0.0
    x, seen, library = table(3, rows=2, width=4)
    yield x, torch.zeros_like(seen), library, 0.0  # the mean


def regressed(x, seen, library, ridge):
    """Regressing each lost value on all others, again and again, converges to the joint mean."""
    imputer = IterativeImputer(LinearRegression(), max_iter=80, tol=ridge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tol=0 runs all rounds and says so
        return imputer.fit(library.numpy()).transform(with_holes(x, seen))


def pictures_with_holes():
    for share in (0.05, *20 * [0.6]):
        yield torch.randn(1, 12, 9), torch.rand(1, 12, 9) < share
    seen = torch.zeros(1, 9, 9, dtype=torch.bool)
    seen[:, 4, 4] = True  # several rounds: one value spreads to the border
    yield torch.full((1, 9, 9), 0.3), seen


def normalized_convolution(x, seen):
    """SciPy's, round by round."""
    x, seen = x[0].numpy(), seen[0].numpy()
    while not seen.all():
        share, total = (uniform_filter(z, 3, mode="constant") for z in (seen.astype(float), x * seen))
        x, seen = np.where(seen, x, total / np.maximum(share, 0.01)), share > 0.01
    return x[None]


def matrix_completion(code):
    """The fixed point minimizes half the squared error seen plus the nuclear norm times threshold."""

    def shrunk(z):
        u, s, v = torch.linalg.svd(z, full_matrices=False)
        return u * (s - 0.5).clamp(min=0) @ v

    def cost(z, x, seen):
        return (z - x)[seen].square().sum() / 2 + 0.5 * torch.linalg.svdvals(z).sum()

    for _ in range(4):
        x, seen = torch.randn(12, 3) @ torch.randn(3, 10), torch.rand(12, 10) < 0.7
        got = code.soft_impute(x, seen, 0.5, 3000)
        assert got[seen].equal(x[seen])
        low_rank = shrunk(got)
        agree(got[~seen], low_rank[~seen], 5e-6)
        for _ in range(50):
            step = 0.01 * torch.randn(12, 10)
            assert cost(low_rank, x, seen) <= cost(low_rank + step, x, seen) + 1e-9
        agree(code.soft_impute(x, seen, 0.5, 1), torch.where(seen, x, shrunk(x * seen)))


# --- masked operations -----------------------------------------------------------------


def masked_images():
    settings = [(3, 1, 0), (3, 2, 1), (2, 1, 1), (5, 1, 2), (1, 1, 0), (3, 3, 2)]
    for case in range(24):
        k, stride, padding = settings[case % len(settings)]
        c, h, w = 1 + case % 3, 6 + case % 2, 7
        mask = (torch.rand(2, 1, h, w) < (0.2, 0.6, 1.0)[case % 3]).double()
        mask[0, :, :4, :4] = case % 2  # sometimes empty windows
        yield torch.randn(2, c, h, w), mask, torch.randn(2, c, k, k), torch.randn(2), stride, padding
    mask = (torch.rand(1, 1, 20, 20) < 0.5).double()
    yield torch.full((1, 1, 20, 20), 0.7), mask, torch.full((1, 1, 3, 3), 1 / 9), torch.zeros(1), 1, 0


def by_windows(x, mask, weight, bias, stride, padding):
    """F.conv2d where nothing is missing, else brute force."""
    y = F.conv2d(x, weight, bias, stride, padding)
    known, k = torch.ones_like(y[:, :1]), weight.shape[2]
    if mask.all():
        return y, known
    for s, i, j in np.ndindex(len(y), *y.shape[2:]):
        total, count, inside = 0, 0, 0
        for a, b in itertools.product(range(k), repeat=2):
            r, q = i * stride + a - padding, j * stride + b - padding
            if 0 <= r < x.shape[2] and 0 <= q < x.shape[3]:
                inside += 1
                if mask[s, 0, r, q]:
                    count += 1
                    total += weight[:, :, a, b] @ x[s, :, r, q]
        y[s, :, i, j] = total * inside / count + bias if count else 0
        known[s, 0, i, j] = count > 0
    return y, known


def attended():
    """Other sizes than the snippet's."""
    for n, views, d in ((3, 1, 4), (5, 7, 2), (8, 4, 9)):
        q, k, v = (torch.randn(n, rows, d) for rows in (1, views, views))
        seen = torch.rand(n, views) < 0.5
        seen[0], seen[1] = False, True
        yield q, k, v, seen


def attention(q, k, v, seen):
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None])
    return torch.where(seen.any(1)[:, None, None], out, 0.0)


def holes(code):
    square = code.holes("square", 2000)
    assert square.shape == (2000, 1, 8, 8)
    corners = set()
    for lost in ~square[:, 0]:
        rows, columns = lost.any(1).nonzero()[:, 0], lost.any(0).nonzero()[:, 0]
        assert lost.sum() == 16 and len(rows) == len(columns) == 4
        assert rows[-1] - rows[0] == columns[-1] - columns[0] == 3
        corners.add((rows[0].item(), columns[0].item()))
    assert len(corners) == 25  # every place, to the border
    assert code.holes("none", 50).all()
    assert abs(code.holes("scattered", 2000).double().mean() - 0.4) < 0.01


def correlated():
    left = torch.randn(5000)
    return {"left": left, "right": 2 + 0.6 * left + 0.5 * torch.randn(5000)}


def correlations(code):
    """numpy's correlation, scikit-learn's regression; the same draws."""
    for seed, mechanism in enumerate(("MCAR", "MAR", "MNAR")):
        got = code.estimates(seed, mechanism)
        torch.manual_seed(seed)
        pick = torch.randint(5000, (2000,))
        a, b = code.left[pick].numpy(), code.right[pick].numpy()
        cause = {"MCAR": torch.rand(2000).numpy(), "MAR": a, "MNAR": b}[mechanism]
        seen = cause <= np.sort(cause)[999]
        line = LinearRegression().fit(a[seen, None], b[seen]).predict(a[:, None])
        noise = np.std((b - line)[seen], ddof=1) * torch.randn(2000).numpy()
        fills = [b, np.full(2000, b[seen].mean()), line, line + noise]
        want = [np.corrcoef(a, np.where(seen, b, fill))[0, 1] for fill in fills]
        want.insert(1, np.corrcoef(a[seen], b[seen])[0, 1])
        agree(got, want)


NEIGHBORS = {"reference": neighbors, "cases": lambda: ((*table(s), k) for s in range(20) for k in (1, 3, 5))}
REGRESSION = {"reference": regressed, "cases": regressions}

ORACLES = [
    Oracle(
        "imputations",
        function="knn_impute",
        **NEIGHBORS,
        defects=[
            Defect(".square() * seen[:, None]", ".square()"),  # distance reads the holes
            Defect("largest=False", "largest=True"),
        ],
    ),
    Oracle(
        "imputations",
        function="regression_impute",
        **REGRESSION,
        defects=[
            Defect("(row[s] - mean[s]) @ weights", "row[s] @ weights"),
            Defect("cov[s][:, ~s])", "torch.ones_like(cov[s][:, ~s]))"),
        ],
    ),
    Oracle(
        "imputations",
        function="neighbor_fill",
        reference=normalized_convolution,
        cases=pictures_with_holes,
        defects=[
            Defect("(x * seen, seen + 0.0)", "(x, seen + 0.0)"),
            Defect("total / share.clamp(min=0.1)", "total"),
        ],
    ),
    Oracle(
        "accuracy_by_fraction",
        function="knn_fill",
        **NEIGHBORS,
        defects=[
            Defect("- 2 * (x * seen)", "- (x * seen)"),
            Defect("(x * seen) @ library.T", "x @ library.T"),
        ],
    ),
    Oracle(
        "accuracy_by_fraction",
        function="regression_fill",
        **REGRESSION,
        defects=[
            Defect("torch.diag_embed(1 - s)", "0.1 * torch.eye(len(mean))"),
            Defect("(x - mean) * s", "x * s"),
        ],
    ),
    Oracle(
        "matrix_completion",
        matrix_completion,
        defects=[
            Defect("(s - threshold).clamp(min=0)", "s"),
            Defect("torch.where(seen, x, low_rank)\n        u", "low_rank\n        u"),
            Defect("return torch.where(seen, x, low_rank)", "return low_rank"),
        ],
    ),
    Oracle(
        "partial_convolution",
        function="partial_conv2d",
        reference=by_windows,
        cases=masked_images,
        defects=[
            Defect("* inside / seen.clamp(min=1)", ""),  # zero filling
            Defect("x * mask, weight", "x, weight"),
            Defect("inside / seen", "window.numel() / seen"),  # border counted as missing
            Defect("(seen > 0)", "(seen == inside)"),
            Defect("return y * known", "return y"),
            Defect(
                "y * inside / seen.clamp(min=1) + bias.view(-1, 1, 1)",
                "(y + bias.view(-1, 1, 1)) * inside / seen.clamp(min=1)",
            ),
        ],
    ),
    Oracle(
        "masked_attention",
        function="masked_attention",
        reference=attention,
        cases=attended,
        defects=[
            Defect("-torch.inf", "0.0", "masked_attention"),
            Defect(".nan_to_num(0.0)", ""),
            Defect("q.shape[2] ** 0.5", "q.shape[2]"),
            Defect("~seen[:, None]", "seen[:, None]"),
        ],
    ),
    Oracle(
        "train_with_holes",
        holes,
        defects=[Defect("randint(0, 5,", "randint(0, 4,"), Defect("(column < 4)", "(column <= 4)")],
    ),
    Oracle(
        "biased_correlation",
        correlations,
        data=correlated,
        defects=[
            Defect("cov / var", "cov"),
            Defect("(a - a[seen].mean())", "(a - a.mean())"),
            Defect("[b[seen].mean(), line", "[b.mean(), line"),  # knows the lost values
            Defect("(b - line)[seen].std()", "b[seen].std()"),
            Defect("cause <= cause", "cause >= cause"),
        ],
    ),
]
