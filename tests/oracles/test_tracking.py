"""Oracles for tracking: matching, filters, association and metrics.

Each check takes a snippet's functions and says whether they agree with a library
(scikit-image, SciPy, py-motmetrics) or brute force. Planted defects must make it disagree.
"""

import itertools

import motmetrics
import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from skimage.feature import match_template
from tests.snippet_functions import load_functions


def load(technique, defect=None):
    return load_functions(f"tracking/{technique}", defect)


# --- correlation coefficients against scikit-image --------------------------------------


def library_map(z, s):
    return torch.tensor(match_template(s.numpy(), z.numpy()))


def score_map_agrees(code) -> bool:
    """One channel: scikit-image. More channels: each window by hand."""
    for h, w, size in ((3, 3, 9), (4, 6, 12), (5, 2, 7)):
        z, x = torch.randn(1, 1, h, w), 5 + torch.randn(1, 1, size, size + 3)
        if not torch.allclose(code.score_map(z, x), library_map(z[0, 0], x[0, 0]), atol=1e-9):
            return False
        z, x = torch.randn(1, 3, h, w), torch.rand(1, 3, size, size)
        got = code.score_map(z, x)
        flat = (z - z.mean((2, 3), keepdim=True)).flatten()
        for i, j in itertools.product(range(size - h + 1), range(size - w + 1)):
            window = x[..., i : i + h, j : j + w]
            window = (window - window.mean((2, 3), keepdim=True)).flatten()
            if abs(got[i, j] - flat @ window / (flat.norm() * window.norm())) > 1e-9:
                return False
    return True


def batch_agrees(code) -> bool:
    z, s = torch.randn(4, 1, 24, 24), 3 + torch.randn(4, 1, 30, 33)
    expected = torch.stack([library_map(a[0], b[0]) for a, b in zip(z, s)])
    if not torch.allclose(code.match(z, s), expected, atol=1e-6):
        return False
    z, s = torch.randn(2, 5, 4, 4), torch.randn(2, 5, 9, 9)
    score_map = load("siamese_score_map").score_map
    expected = torch.stack([score_map(a[None], b[None]) for a, b in zip(z, s)])
    return torch.allclose(code.match(z, s), expected, atol=1e-6)


def six_agree(code) -> bool:
    z, s = torch.randn(6, 25, 25), 3 + torch.randn(6, 41, 41)
    expected = torch.stack([library_map(a, b) for a, b in zip(z, s)])
    return torch.allclose(code.match(z, s), expected, atol=1e-8)


@pytest.mark.parametrize(
    ("technique", "agrees", "defects"),
    [
        (
            "siamese_score_map",
            score_map_agrees,
            [
                ("- n * mean.square().sum(1, True)", ""),
                ("z = z - z.mean((2, 3), keepdim=True)", "pass"),
                ("energy.sqrt()", "energy"),
            ],
        ),
        (
            "siamese_training",
            batch_agrees,
            [
                (".conj()", ""),  # a convolution, not a correlation
                ("size[0] - h + 1", "size[0] - h"),
                ("- F.avg_pool2d(s, (h, w), 1).square()", ""),
                ("z - z.mean((2, 3), keepdim=True)", "z"),
            ],
        ),
        (
            "five_challenges",
            six_agree,
            [("625 * ", "25 * "), ("z = z - z.mean((1, 2), keepdim=True)", "pass")],
        ),
    ],
)
def test_correlation_coefficient(technique, agrees, defects):
    assert agrees(load(technique))
    for defect in defects:
        try:
            assert not agrees(load(technique, defect)), defect
        except RuntimeError:  # shapes that do not fit
            pass


# --- the correlation filter against least squares on all shifts -------------------------


def filter_agrees(code) -> bool:
    """In two dimensions, every circular shift written out as a row."""
    for n in (4, 5):
        patches, wanted, new = torch.randn(3, n, n), torch.randn(n, n), torch.randn(n, n)
        shifts = list(itertools.product(range(n), repeat=2))

        def rows(patch, shifts=shifts):  # answer at shift s = sum over u of patch[s - u] * h[u]
            back = patch.flip(0, 1).roll((1, 1), (0, 1))
            return torch.stack([back.roll(s, (0, 1)).flatten() for s in shifts])

        X = torch.cat([rows(p) for p in patches])
        ridge = X.T @ X + code.LAMBDA * torch.eye(n * n)
        h = torch.linalg.solve(ridge, X.T @ wanted.flatten().repeat(3))
        got = code.respond(*code.parts(patches, wanted), new)
        if not torch.allclose(got.flatten(), rows(new) @ h, atol=1e-8):
            return False
    return True


@pytest.mark.parametrize(
    "defect",
    [("(G * F.conj())", "(G * F)"), ("B + LAMBDA", "B"), ("(F * F.conj()).sum(0)", "(F * F.conj()).mean(0)")],
)
def test_correlation_filter(defect):
    assert filter_agrees(load("correlation_filter"))
    assert not filter_agrees(load("correlation_filter", defect))


def scene_filter_agrees(code) -> bool:
    """On pixels read at whole places: scikit-image, and the filter above with the same ridge."""
    frame, at = torch.rand(6, 1, 160, 160), torch.full((6, 1, 1), 80 + 70j)
    crop = frame[:, 0, 50:91, 60:101]
    z = torch.randn(6, 25, 25)
    expected = torch.stack([library_map(a, b) for a, b in zip(z, crop)])
    if not torch.allclose(code.match(z, frame, at), expected, atol=1e-8):
        return False
    plain, patch = load("correlation_filter"), frame[:, 0, 46:95, 56:105]
    hann = torch.sin(torch.pi * torch.arange(1, 50) / 51) ** 2
    patch = (patch - patch.mean((1, 2), keepdim=True)) / patch.std((1, 2), keepdim=True)
    patch = patch * hann * hann[:, None]
    g = torch.arange(49) - 24.0
    wanted = torch.exp(-(g**2 + g[:, None] ** 2) / 8)
    model = code.mosse(frame, at)
    plain.respond.__globals__["LAMBDA"] = 0.01 * model[1].real.mean()
    expected = torch.stack([plain.respond(*plain.parts(p[None], wanted), p) for p in patch])
    return torch.allclose(code.respond(model, frame, at), expected, atol=1e-8)


def test_scene_filter():
    assert scene_filter_agrees(load("mosse_challenges"))
    for defect in (("625 * ", "25 * "), ("* f.conj(), f", "* f, f"), ("window * window[:, None]", "window")):
        assert not scene_filter_agrees(load("mosse_challenges", defect)), defect


# --- Kalman filters against conditioning one joint Gaussian -----------------------------


def conditioned(z, seen, F, Q, P0, R, upto):
    """Mean and covariance of the state after ``upto`` steps given the seen z before."""
    powers = [torch.linalg.matrix_power(F, k) for k in range(upto + 1)]
    cov = [[None] * (upto + 1) for _ in range(upto + 1)]
    for i, j in itertools.product(range(upto + 1), repeat=2):
        common = sum((powers[i - k] @ Q @ powers[j - k].T for k in range(1, min(i, j) + 1)), 0 * Q)
        cov[i][j] = powers[i] @ P0 @ powers[j].T + common
    use = [t for t in range(upto) if seen[t]]
    A = torch.stack([torch.stack([cov[i][j][0, 0] for j in use]) for i in use]) + R * torch.eye(len(use))
    B = torch.stack([cov[upto][j][:, 0] for j in use], 1)  # (2, seen)
    gain = B @ torch.linalg.inv(A)
    return gain @ z[use], cov[upto][upto] - gain @ B.T


F1 = torch.tensor([[1.0, 1], [0, 1]], dtype=torch.float64)


def steps_agree(code) -> bool:
    Q, P0, R = torch.tensor([[0.02, 0.01], [0.01, 0.3]]), torch.diag(torch.tensor([9.0, 4])), 2.0
    z, seen = torch.randn(7), [1, 1, 0, 1, 0, 0, 1]
    x, P = torch.zeros(2, 1), P0
    for t in range(7):
        if seen[t]:
            x, P = code.update(x, P, z[t], R)
        x, P = code.predict(x, P, Q)
        mean, cov = conditioned(z, seen, F1, Q, P0, R, t + 1)
        if not (torch.allclose(x[:, 0], mean, atol=1e-8) and torch.allclose(P, cov, atol=1e-8)):
            return False
    return True


def with_model(defect=None):
    code = load("kalman_least_squares", defect)
    scope = code.predict.__globals__  # F and H are tensors, so load_functions leaves them out
    scope["F"], scope["H"] = F1, torch.tensor([[1.0, 0]])
    code.F, code.H = scope["F"], scope["H"]
    return code


def test_kalman_steps():
    assert steps_agree(with_model())
    for defect in (("+ Q", ""), ("P - K @ H @ P", "P"), (" + R)", ")"), ("F @ P @ F.T", "P")):
        assert not steps_agree(with_model(defect)), defect


def filter_with_gaps_agrees(code) -> bool:
    T = code.T
    z, seen = torch.randn(2, T), (torch.rand(2, T) > 0.4).double()
    seen[:, 0] = 1
    got = code.kalman(z * seen, seen)
    Q, P0 = torch.diag(torch.tensor([0.0, code.CHANGE**2])), torch.diag(torch.tensor([1.5, 0.4]))
    return all(
        abs(got[n, t - 1] - conditioned(z[n], seen[n], F1, Q, P0, code.NOISE**2, t)[0][0]) < 1e-8
        for n in range(2)
        for t in (1, 2, 5, T)
    )


def test_kalman_with_gaps():
    assert filter_with_gaps_agrees(load("rnn_tracker"))
    for defect in ((" * seen[:, t, None]", ""), ("NOISE**2)", "NOISE)"), ("- K[:, :, None]", "+ K[:, :, None]")):
        assert not filter_with_gaps_agrees(load("rnn_tracker", defect)), defect


def test_last_seen_position():
    code = load("rnn_tracker")
    z, seen = torch.randn(20, code.T), (torch.rand(20, code.T) > 0.5).double()
    seen[:, 0] = 1
    got = code.stay(z, seen)
    for n, t in itertools.product(range(20), range(code.T)):
        assert got[n, t] == z[n, max(k for k in range(t + 1) if seen[n, k])]


# --- association against SciPy and brute force ------------------------------------------


def association_agrees(code) -> bool:
    for n, m in ((1, 1), (1, 4), (2, 2), (3, 5), (6, 6), (5, 9), (12, 15)):
        for kind in range(5):
            cost = torch.randn(n, m) if kind else torch.randint(0, 3, (n, m)).double()  # ties
            got = code.hungarian(cost)
            r, c = linear_sum_assignment(cost.numpy())
            if len(set(got)) != n or abs(code.total(cost, got) - cost[r, c].sum()) > 1e-9:
                return False
            if kind and got != c.tolist():
                return False
            if m <= 5:
                best = min(code.total(cost, p) for p in itertools.permutations(range(m), n))
                if abs(code.total(cost, got) - best) > 1e-9:
                    return False
    return True


@pytest.mark.parametrize(
    "defect",
    [
        ("v[k] -= step", "v[k] += step"),
        ("least = [value - step for value in least]", ""),
        ("slack < least[k]", "slack > least[k]"),
        ("cost[row][k] - u[row] - v[k]", "cost[row][k] - u[row]"),
    ],
)
def test_hungarian(defect):
    assert association_agrees(load("data_association"))
    try:
        assert not association_agrees(load("data_association", defect))
    except (IndexError, ValueError, OverflowError):
        pass


def test_greedy():
    code = load("data_association")
    for _ in range(30):
        cost = torch.randn(5, 6)
        left, expected = cost.clone(), [-1] * 5
        for _ in range(5):
            i, j = divmod(left.argmin().item(), 6)
            expected[i] = j
            left[i], left[:, j] = torch.inf, torch.inf
        assert code.greedy(cost) == expected


def low_score_match_agrees(code) -> bool:
    """The pairs are allowed, within reach and the cheapest, a miss costing the reach."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        tracks = [{"at": rng.uniform(0, 20, 2)} for _ in range(4)]
        boxes, allowed = rng.uniform(0, 20, (6, 2)), rng.random(6) < 0.7
        pairs = code.match(tracks, boxes, allowed)
        distance = [[np.hypot(*(b - k["at"])) for b in boxes] for k in tracks]
        cost = np.minimum(np.array(distance), code.REACH)
        cost[:, ~allowed] = code.REACH
        padded = np.hstack([cost, np.full((4, 4), code.REACH)])
        best = padded[linear_sum_assignment(padded)].sum()
        gaps = [np.hypot(*(boxes[c] - k["at"])) for k, c in pairs]
        if abs(sum(gaps) + code.REACH * (4 - len(pairs)) - best) > 1e-9:
            return False
        if not all(allowed[c] for _, c in pairs) or max(gaps, default=0) >= code.REACH:
            return False
    return True


@pytest.mark.parametrize(
    "defect",
    [
        ("np.minimum(cost, REACH)", "cost"),  # far tracks push near ones off their boxes
        ("(tracks[r], index[c])", "(tracks[r], c)"),
        (" if cost[r, c] < REACH", ""),
    ],
)
def test_low_score_match(defect):
    assert low_score_match_agrees(load("low_score_pass"))
    assert not low_score_match_agrees(load("low_score_pass", defect))


# --- MOTA and IDF1 against py-motmetrics ------------------------------------------------


def random_video(rng):
    """Objects that come and go; boxes with errors, misses, false alarms and swaps."""
    frames, ids = [], {i: 10 + i for i in range(4)}
    place = rng.uniform(0, 6, (4, 2))
    for _ in range(15):
        place = place + rng.normal(0, 0.4, (4, 2))
        if rng.random() < 0.3:
            a, b = rng.choice(4, 2, replace=False)
            ids[a], ids[b] = ids[b], ids[a]
        if rng.random() < 0.1:
            ids[rng.integers(4)] = int(rng.integers(100, 10**6))
        true = {i: tuple(place[i]) for i in range(4) if rng.random() < 0.9}
        found = {
            ids[i]: tuple(np.add(true[i], rng.normal(0, 0.35, 2))) for i in true if rng.random() < 0.85
        }
        if rng.random() < 0.3:
            found[int(rng.integers(30, 33))] = tuple(rng.uniform(0, 6, 2))
        frames.append((true, found))
    return frames


def library_metrics(frames):
    events = motmetrics.MOTAccumulator(auto_id=True)
    for true, found in frames:
        gap = np.array([[np.hypot(*np.subtract(a, b)) for b in found.values()] for a in true.values()])
        gap = gap.reshape(len(true), len(found))
        events.update(list(true), list(found), np.where(gap <= 1, gap, np.nan))
    summary = motmetrics.metrics.create().compute(events, metrics=["mota", "num_switches", "idf1"])
    return summary.iloc[0].tolist()


@pytest.fixture(scope="module")
def videos():
    rng = np.random.default_rng(0)
    clips = [random_video(rng) for _ in range(8)]
    return [(clip, library_metrics(clip)) for clip in clips]


def metrics_agree(code, videos) -> bool:
    for frames, (mota, switches, idf1) in videos:
        got, count = code.mota(frames)
        if abs(got - mota) > 1e-9 or count != switches or abs(code.idf1(frames) - idf1) > 1e-9:
            return False
    return True


def test_metrics_equal_motmetrics(videos):
    assert metrics_agree(load("mota_idf1"), videos)
    assert any(switches for _, (_, switches, _) in videos)


@pytest.mark.parametrize(
    "defect",
    [
        ("- 2 * len(pairs)", "- len(pairs)"),
        ("(wrong + switches)", "wrong"),
        ("2 * overlap[", "overlap["),
        ("linear_sum_assignment(-overlap)", "linear_sum_assignment(overlap)"),
        ("boxes += len(true) + len(found)", "boxes += 2 * len(true)"),
        ("<= 1\n\ndef mota", "<= 2\n\ndef mota"),
    ],
)
def test_metric_defects_are_caught(defect, videos):
    assert not metrics_agree(load("mota_idf1", defect), videos)


# --- a Kalman filter against conditioning on all measurements at once --------------------


def motion_agrees(code) -> bool:
    """The joint Gaussian of all states, given what was measured up to each frame; SciPy's pairing."""
    step, seen, last = torch.tensor([[1.0, 1], [0, 1]]), code.SEEN, code.SEEN + code.GAP
    for q, r in ((0.01, 1.0), (0.3, 2.0)):
        Q = torch.diag(torch.tensor([q / 3, q]))
        code.track.__globals__.update(F=step, Q=Q, R=r)
        z = 5 * torch.randn(3, 2, last + 1)
        places, variances = code.track(z)
        cov = {(0, 0): torch.diag(torch.tensor([r, 9.0]))}
        for t in range(1, last + 1):
            for s in range(t):
                cov[t, s] = step @ cov[t - 1, s]
                cov[s, t] = cov[t, s].T
            cov[t, t] = step @ cov[t - 1, t - 1] @ step.T + Q
        joint = torch.tensor([[cov[s, t][0, 0] for t in range(last + 1)] for s in range(last + 1)])
        for t in range(1, last + 1):
            known = slice(1, min(t + 1, seen))
            gain = torch.linalg.solve(joint[known, known] + r * torch.eye(known.stop - 1), joint[known, t])
            mean = z[..., 0] + (z[..., known] - z[..., :1]) @ gain
            variance = joint[t, t] - joint[t, known] @ gain
            if not torch.allclose(places[..., t], mean) or not torch.allclose(variances[t], variance):
                return False
    place, found = torch.randn(2, 50, 2)
    swaps = [linear_sum_assignment(np.abs(p[:, None] - d) ** 2)[1][0] for p, d in zip(place.numpy(), found.numpy())]
    return abs(code.switched(place, found) - np.mean(swaps)) < 1e-12


def test_kalman_through_a_gap():
    assert motion_agrees(load("kalman_occlusion"))
    for defect in (
        ("F @ P @ F.T + Q", "F @ P @ F.T"),
        ("(P[0, 0] + R)", "P[0, 0]"),
        ("if t < SEEN", "if t <= SEEN"),
        ("P - K[:, None] * P[0]", "P"),  # never surer
        ("swap < keep", "swap > keep"),
    ):
        assert not motion_agrees(load("kalman_occlusion", defect)), defect


# --- re-identification ------------------------------------------------------------------


def identities_agree(code) -> bool:
    """The best of all 8! assignments; template matching as NumPy's correlation."""
    orders = np.array(list(itertools.permutations(range(8))))
    before = torch.randn(24, 5)
    after, right = before + 2 * torch.randn(24, 5), 0
    for a, b in zip(before.numpy().reshape(3, 8, 5), after.numpy().reshape(3, 8, 5)):
        best = orders[(a @ b.T)[np.arange(8), orders].sum(1).argmax()]
        right += (best == np.arange(8)).sum()
    seen = torch.rand(6, 1, 4, 4)
    flat = code.pixels(seen)
    alike = torch.from_numpy(np.corrcoef(seen.flatten(1).numpy()))
    return torch.allclose(flat @ flat.T, alike) and abs(code.correct(before, after) - right / 24) < 1e-9


def test_identities():
    assert identities_agree(load("reidentification"))
    for defect in (
        ("-(a @ b.T)", "(a @ b.T)"),
        ("right / len(before)", "right / 8"),
        ("flat - flat.mean(1, keepdim=True)", "flat"),
    ):
        assert not identities_agree(load("reidentification", defect)), defect
