"""Oracles for the imputations and the masked operations that this topic writes out."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import uniform_filter
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import LinearRegression
from tests.snippet_functions import load_functions

TOPIC = "missing-data"


def table(seed, rows=40, library=80, width=6):
    """Correlated data, a mask with at least one value seen in each row, and the library."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.eye(width) + 0.4 * torch.randn(width, width, generator=generator)
    data = torch.randn(rows + library, width, generator=generator) @ mix + 3
    seen = torch.rand(rows, width, generator=generator) < 0.6
    seen[:, seed % width] = True
    seen[0] = True  # a complete row
    return data[:rows], seen, data[rows:]


def with_holes(x, seen):
    return torch.where(seen, x, torch.nan).numpy()


def knn(impute) -> None:
    for seed in range(20):
        x, seen, library = table(seed)
        for k in (1, 3, 5):
            want = KNNImputer(n_neighbors=k).fit(library.numpy()).transform(with_holes(x, seen))
            garbage = torch.where(seen, x, 99.0)  # what is lost must not matter
            assert np.allclose(impute(garbage, seen, library, k).numpy(), want)


def regression(impute) -> None:
    """Regressing each lost value on all others, again and again, converges to the joint mean."""
    for seed in range(3):
        x, seen, library = table(seed, rows=12, width=4)
        imputer = IterativeImputer(LinearRegression(), max_iter=80, tol=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tol=0 runs all rounds and says so
            imputer.fit(library.numpy())
            want = imputer.transform(with_holes(x, seen))
        garbage = torch.where(seen, x, 99.0)
        assert np.allclose(impute(garbage, seen, library, 0.0).numpy(), want, atol=1e-4)
    nothing = torch.zeros_like(seen)
    mean = library.mean(0).expand_as(x)
    assert torch.allclose(impute(x, nothing, library, 0.0), mean)


def check_imputations(functions) -> None:
    knn(functions.knn_impute)
    regression(functions.regression_impute)
    for seed in range(20):  # one round of neighbor_fill is scipy's normalized convolution
        rng = np.random.default_rng(seed)
        x, seen = rng.normal(size=(12, 9)), rng.random((12, 9)) < 0.6
        share = uniform_filter(seen.astype(float), 3, mode="constant")
        if (share > 0.01).all():
            smooth = uniform_filter(x * seen, 3, mode="constant") / share
            got = functions.neighbor_fill(torch.from_numpy(x)[None], torch.from_numpy(seen)[None])
            assert np.allclose(got[0].numpy(), np.where(seen, x, smooth), atol=1e-6)
    seen = torch.zeros(1, 9, 9, dtype=torch.bool)
    seen[:, 4, 4] = True  # several rounds: one value spreads to the border
    got = functions.neighbor_fill(torch.full((1, 9, 9), 0.3, dtype=torch.float64), seen)
    assert torch.allclose(got, torch.full_like(got, 0.3), atol=1e-6)


def check_fraction(functions) -> None:
    knn(functions.knn_fill)
    regression(functions.regression_fill)


def check_completion(functions) -> None:
    """The fixed point minimizes half the squared error seen plus the nuclear norm times threshold."""
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(12, 3, generator=generator).double() @ torch.randn(3, 10, generator=generator).double()
        seen = torch.rand(12, 10, generator=generator) < 0.7
        got = functions.soft_impute(x, seen, 0.5, 3000)
        assert got[seen].equal(x[seen])
        u, s, v = torch.linalg.svd(got, full_matrices=False)
        low_rank = u * (s - 0.5).clamp(min=0) @ v
        assert torch.allclose(low_rank[~seen], got[~seen], atol=1e-5)

        def cost(z, x=x, seen=seen):
            return ((z - x)[seen].square().sum() / 2 + 0.5 * torch.linalg.svdvals(z).sum()).item()

        for _ in range(50):
            step = 0.01 * torch.randn(12, 10, generator=generator)
            assert cost(low_rank) <= cost(low_rank + step) + 1e-9
        one_round = torch.where(seen, x, torch.zeros_like(x))
        u, s, v = torch.linalg.svd(one_round, full_matrices=False)
        want = torch.where(seen, x, u * (s - 0.5).clamp(min=0) @ v)
        assert torch.allclose(functions.soft_impute(x, seen, 0.5, 1), want)


def check_partial_convolution(functions) -> None:
    """Brute force over windows, and F.conv2d where nothing is missing."""
    generator = torch.Generator().manual_seed(0)
    settings = [(3, 1, 0), (3, 2, 1), (2, 1, 1), (5, 1, 2), (1, 1, 0), (3, 3, 2)]
    for case in range(24):
        k, stride, padding = settings[case % len(settings)]
        n, c, out, h, w = 2, 1 + case % 3, 2, 6 + case % 2, 7
        x, weight, bias = (
            torch.randn(*shape, generator=generator, dtype=torch.float64)
            for shape in ((n, c, h, w), (out, c, k, k), (out,))
        )
        mask = (torch.rand(n, 1, h, w, generator=generator) < (0.2, 0.6, 1.0)[case % 3]).double()
        mask[0, :, :4, :4] = case % 2  # sometimes empty windows
        y, known = functions.partial_conv2d(x, mask, weight, bias, stride, padding)
        if mask.all():
            assert torch.allclose(y, F.conv2d(x, weight, bias, stride, padding))
            assert known.all()
        for s in range(n):
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    total, count, inside = torch.zeros(out, dtype=torch.float64), 0, 0
                    for a in range(k):
                        for b in range(k):
                            r, q = i * stride + a - padding, j * stride + b - padding
                            if 0 <= r < h and 0 <= q < w:
                                inside += 1
                                if mask[s, 0, r, q]:
                                    count += 1
                                    total += weight[:, :, a, b] @ x[s, :, r, q]
                    want = total * inside / count + bias if count else torch.zeros(out).double()
                    assert torch.allclose(y[s, :, i, j], want)
                    assert known[s, 0, i, j] == (count > 0)
    x = torch.full((1, 1, 20, 20), 0.7, dtype=torch.float64)
    mask = (torch.rand(1, 1, 20, 20, generator=generator) < 0.5).double()
    box = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64)
    y, _ = functions.partial_conv2d(x, mask, box, torch.zeros(1).double())
    seen = uniform_filter(mask[0, 0].numpy(), 3)[1:-1, 1:-1]
    assert (seen > 0.01).all()
    normalized = uniform_filter((x * mask)[0, 0].numpy(), 3)[1:-1, 1:-1] / seen
    assert np.allclose(y[0, 0].numpy(), normalized)


def check_attention(functions) -> None:
    """Against torch's own masked attention, other sizes than the snippet's."""
    generator = torch.Generator().manual_seed(1)
    for n, views, d in ((3, 1, 4), (5, 7, 2), (8, 4, 9)):
        q, k, v = (
            torch.randn(n, rows, d, generator=generator, dtype=torch.float64) for rows in (1, views, views)
        )
        seen = torch.rand(n, views, generator=generator) < 0.5
        got = functions.masked_attention(q, k, v, seen)
        some = seen.any(1)
        want = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None])
        assert torch.allclose(got[some], want[some])
        assert got[~some].eq(0).all()


def check_holes(functions) -> None:
    torch.manual_seed(2)
    square = functions.holes("square", 2000)
    assert square.shape == (2000, 1, 8, 8)
    corners = set()
    for lost in ~square[:, 0]:
        rows, columns = lost.any(1).nonzero()[:, 0], lost.any(0).nonzero()[:, 0]
        assert lost.sum() == 16 and len(rows) == len(columns) == 4
        assert rows[-1] - rows[0] == columns[-1] - columns[0] == 3
        corners.add((rows[0].item(), columns[0].item()))
    assert len(corners) == 25  # every place, to the border
    assert functions.holes("none", 50).all()
    assert abs(functions.holes("scattered", 2000).double().mean() - 0.4) < 0.01


def check_correlation(functions) -> None:
    """numpy's correlation, scikit-learn's regression; the same draws."""
    for seed, mechanism in enumerate(("MCAR", "MAR", "MNAR")):
        left = torch.randn(5000)
        right = 2 + 0.6 * left + 0.5 * torch.randn(5000)
        functions.estimates.__globals__.update(left=left, right=right)
        got = functions.estimates(seed, mechanism)
        torch.manual_seed(seed)
        pick = torch.randint(5000, (2000,))
        a, b = left[pick].numpy(), right[pick].numpy()
        cause = {"MCAR": torch.rand(2000).numpy(), "MAR": a, "MNAR": b}[mechanism]
        seen = cause <= np.sort(cause)[999]
        line = LinearRegression().fit(a[seen, None], b[seen]).predict(a[:, None])
        noise = np.std((b - line)[seen], ddof=1) * torch.randn(2000).numpy()
        fills = [b, np.full(2000, b[seen].mean()), line, line + noise]
        want = [np.corrcoef(a, np.where(seen, b, fill))[0, 1] for fill in fills]
        want.insert(1, np.corrcoef(a[seen], b[seen])[0, 1])
        assert np.allclose(got, want)


CASES = {
    "imputations": check_imputations,
    "accuracy_by_fraction": check_fraction,
    "matrix_completion": check_completion,
    "partial_convolution": check_partial_convolution,
    "masked_attention": check_attention,
    "train_with_holes": check_holes,
    "biased_correlation": check_correlation,
}


@pytest.mark.parametrize("snippet", CASES)
def test_snippet_agrees_with_its_oracle(snippet):
    CASES[snippet](load_functions(f"{TOPIC}/{snippet}"))


DEFECTS = [
    ("imputations", ".square() * seen[:, None]", ".square()"),  # distance reads the holes
    ("imputations", "largest=False", "largest=True"),
    ("imputations", "(row[s] - mean[s]) @ weights", "row[s] @ weights"),
    ("imputations", "cov[s][:, ~s])", "torch.ones_like(cov[s][:, ~s]))"),
    ("imputations", "(x * seen, seen + 0.0)", "(x, seen + 0.0)"),
    ("imputations", "total / share.clamp(min=0.1)", "total"),
    ("accuracy_by_fraction", "- 2 * (x * seen)", "- (x * seen)"),
    ("accuracy_by_fraction", "(x * seen) @ library.T", "x @ library.T"),
    ("accuracy_by_fraction", "torch.diag_embed(1 - s)", "0.1 * torch.eye(len(mean))"),
    ("accuracy_by_fraction", "(x - mean) * s", "x * s"),
    ("matrix_completion", "(s - threshold).clamp(min=0)", "s"),
    ("matrix_completion", "torch.where(seen, x, low_rank)\n        u", "low_rank\n        u"),
    ("matrix_completion", "return torch.where(seen, x, low_rank)", "return low_rank"),
    ("partial_convolution", "* inside / seen.clamp(min=1)", ""),  # zero filling
    ("partial_convolution", "x * mask, weight", "x, weight"),
    ("partial_convolution", "inside / seen", "window.numel() / seen"),  # border counted as missing
    ("partial_convolution", "(seen > 0)", "(seen == inside)"),
    ("partial_convolution", "return y * known", "return y"),
    ("partial_convolution", "y * inside / seen.clamp(min=1) + bias.view(-1, 1, 1)",
     "(y + bias.view(-1, 1, 1)) * inside / seen.clamp(min=1)"),
    ("masked_attention", "-torch.inf", "0.0"),
    ("masked_attention", ".nan_to_num(0.0)", ""),
    ("masked_attention", "q.shape[2] ** 0.5", "q.shape[2]"),
    ("masked_attention", "~seen[:, None]", "seen[:, None]"),
    ("train_with_holes", "randint(0, 5,", "randint(0, 4,"),
    ("train_with_holes", "(column < 4)", "(column <= 4)"),
    ("biased_correlation", "cov / var", "cov"),
    ("biased_correlation", "(a - a[seen].mean())", "(a - a.mean())"),
    ("biased_correlation", "[b[seen].mean(), line", "[b.mean(), line"),  # knows the lost values
    ("biased_correlation", "(b - line)[seen].std()", "b[seen].std()"),
    ("biased_correlation", "cause <= cause", "cause >= cause"),
]  # fmt: skip


@pytest.mark.parametrize(("snippet", "old", "new"), DEFECTS)
def test_oracle_catches_a_planted_defect(snippet, old, new):
    functions = load_functions(f"{TOPIC}/{snippet}", (old, new))
    with pytest.raises((AssertionError, RuntimeError)):
        CASES[snippet](functions)
