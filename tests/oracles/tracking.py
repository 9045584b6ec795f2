"""Tracking: matching, filters, association and metrics against scikit-image, SciPy, py-motmetrics, the
conditional mean of a joint Gaussian and brute force."""

import itertools

import motmetrics
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import zscore
from skimage.feature import match_template

from tests.oracles.oracle import Defect, Oracle, agree, load_functions

# --- correlation coefficients ----------------------------------------------------------


def coefficients(z, x):
    """One channel: scikit-image. More channels: each window by hand."""
    if len(z) == 1:
        return match_template(x[0].numpy(), z[0].numpy())
    h, w = z.shape[1:]
    flat = (z - z.mean((1, 2), keepdim=True)).flatten()
    result = np.empty((x.shape[1] - h + 1, x.shape[2] - w + 1))
    for i, j in np.ndindex(result.shape):
        window = x[:, i : i + h, j : j + w]
        window = (window - window.mean((1, 2), keepdim=True)).flatten()
        result[i, j] = flat @ window / (flat.norm() * window.norm())
    return result


def each(z, s):
    return np.stack([coefficients(a, b) for a, b in zip(z, s, strict=True)])


def templates():
    for h, w, size in ((3, 3, 9), (4, 6, 12), (5, 2, 7), (7, 7, 7)):
        yield torch.randn(1, 1, h, w), 5 + torch.randn(1, 1, size, size + 3)
        yield torch.randn(1, 3, h, w), torch.rand(1, 3, size, size)


def batches():
    yield torch.randn(4, 1, 24, 24), 3 + torch.randn(4, 1, 30, 33)
    yield torch.randn(2, 5, 4, 4), torch.randn(2, 5, 9, 9)


def scenes():
    """Six templates, and frames read at whole places."""
    return [(torch.randn(6, 25, 25), torch.rand(6, 1, 160, 160), torch.full((6, 1, 1), 80 + 70j))]


# --- correlation filters ---------------------------------------------------------------


def filter_is_least_squares(code):
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
        agree(code.respond(*code.parts(patches, wanted), new).flatten(), rows(new) @ h, 1e-8)


def scene_filter(code):
    """The filter above with the same ridge."""
    [(_, frame, at)] = scenes()
    plain, patch = load_functions("tracking/correlation_filter"), frame[:, 0, 46:95, 56:105]
    hann = torch.sin(torch.pi * torch.arange(1, 50) / 51) ** 2
    patch = (patch - patch.mean((1, 2), keepdim=True)) / patch.std((1, 2), keepdim=True)
    patch = patch * hann * hann[:, None]
    g = torch.arange(49) - 24.0
    wanted = torch.exp(-(g**2 + g[:, None] ** 2) / 8)
    model = code.mosse(frame, at)
    more = 0.01 * model[1].real.mean() - plain.LAMBDA
    want = []
    for p in patch:
        A, B = plain.parts(p[None], wanted)
        want.append(plain.respond(A, B + more, p))
    agree(code.respond(model, frame, at), torch.stack(want), 1e-8)


# --- Kalman filters --------------------------------------------------------------------

STEP = torch.tensor([[1.0, 1], [0, 1]], dtype=torch.float64)


def conditioned(z, seen, Q, P0, R, upto):
    """Mean and covariance of the state after ``upto`` steps given the seen z: one joint Gaussian."""
    powers = [torch.linalg.matrix_power(STEP, k) for k in range(upto + 1)]
    rows = [[powers[i - k] if k <= i else 0 * STEP for k in range(upto + 1)] for i in range(upto + 1)]
    L = torch.cat([torch.cat(row, 1) for row in rows])  # all states from the first and the noise
    cov = L @ torch.block_diag(P0, *[Q] * upto) @ L.T
    use = [t for t, s in enumerate(seen) if s]
    at = [2 * t for t in use]  # the position is measured
    gain = cov[-2:, at] @ torch.linalg.inv(cov[at][:, at] + R * torch.eye(len(at)))
    return z[..., use] @ gain.T, cov[-2:, -2:] - gain @ cov[at, -2:]


def steps_of_the_filter(code):
    Q, P0, R = torch.tensor([[0.02, 0.01], [0.01, 0.3]]), torch.diag(torch.tensor([9.0, 4])), 2.0
    z, seen = torch.randn(7), [1, 1, 0, 1, 0, 0, 1]
    x, P = torch.zeros(2, 1), P0
    for t in range(7):
        if seen[t]:
            x, P = code.update(x, P, z[t], R)
        x, P = code.predict(x, P, Q)
        agree((x[:, 0], P), conditioned(z, seen[: t + 1], Q, P0, R, t + 1), 1e-8)


def filter_with_gaps(code):
    z, seen = torch.randn(2, code.T), (torch.rand(2, code.T) > 0.4).double()
    seen[:, 0] = 1
    got = code.kalman(z * seen, seen)
    Q, P0 = torch.diag(torch.tensor([0.0, code.CHANGE**2])), torch.diag(torch.tensor([1.5, 0.4]))
    for n, t in itertools.product(range(2), range(1, code.T + 1)):
        mean, _ = conditioned(z[n], seen[n, :t], Q, P0, code.NOISE**2, t)
        agree(got[n, t - 1], mean[0], 1e-8)


def filter_through_a_gap(code):
    """It starts at the first measurement, with its variance, and uses no other from SEEN on."""
    for q, r in ((0.01, 1.0), (0.3, 2.0)):
        code.Q.copy_(torch.diag(torch.tensor([q / 3, q])))
        code.R.fill_(r)
        z = 5 * torch.randn(3, 2, code.SEEN + code.GAP + 1)
        places, variances = code.track(z)
        agree((places[..., 0], variances[0]), (z[..., 0], r))
        for t in range(1, z.shape[2]):
            seen = [0 < s < code.SEEN for s in range(t + 1)]
            mean, cov = conditioned(z - z[..., :1], seen, code.Q, torch.diag(torch.tensor([r, 9.0])), r, t)
            agree((places[..., t], variances[t]), (mean[..., 0] + z[..., 0], cov[0, 0]))


def seen_in_part():
    z, seen = torch.randn(20, 20), (torch.rand(20, 20) > 0.5).double()
    seen[:, 0] = 1
    seen[0, 1:] = 0
    yield z, seen


def last_seen(z, seen):
    rows, columns = map(range, z.shape)
    return [[z[n, max(k for k in range(t + 1) if seen[n, k])].item() for t in columns] for n in rows]


# --- association -----------------------------------------------------------------------


def cheapest_pairs(code):
    """SciPy's assignment and, in small cases, the best of all."""
    for n, m in ((1, 1), (1, 4), (2, 2), (3, 5), (6, 6), (5, 9), (12, 15)):
        for kind in range(5):
            cost = torch.randn(n, m) if kind else torch.randint(0, 3, (n, m)).double()  # ties
            got = code.hungarian(cost)
            rows, columns = linear_sum_assignment(cost.numpy())
            assert len(set(got)) == n
            agree(code.total(cost, got), cost[rows, columns].sum())
            if kind:
                assert got == columns.tolist()
            if m <= 5:
                best = min(cost[rows, p].sum() for p in itertools.permutations(range(m), n))
                agree(code.total(cost, got), best)


def costs():
    for shape in [(1, 1), (4, 2)] + 30 * [(5, 6)]:
        yield (torch.randn(shape),)
        yield (torch.randint(0, 4, shape).double(),)  # ties


def cheapest_first(cost):
    left, pairs = cost.numpy().copy(), [-1] * len(cost)
    for _ in range(min(left.shape)):
        i, j = divmod(int(left.argmin()), left.shape[1])
        pairs[i] = j
        left[i], left[:, j] = np.inf, np.inf
    return pairs


def low_score_match(code):
    """The pairs are allowed, within reach and the cheapest, a miss costing the reach."""
    rng = np.random.default_rng(0)
    for trial in range(30):
        tracks = [{"at": rng.uniform(0, 20, 2)} for _ in range(4)]
        boxes, allowed = rng.uniform(0, 20, (6, 2)), rng.random(6) < (0.7 if trial else 0)
        pairs = code.match(tracks, boxes, allowed)
        distance = [[np.hypot(*(b - k["at"])) for b in boxes] for k in tracks]
        cost = np.minimum(np.array(distance), code.REACH)
        cost[:, ~allowed] = code.REACH
        padded = np.hstack([cost, np.full((4, 4), code.REACH)])
        gaps = [np.hypot(*(boxes[c] - k["at"])) for k, c in pairs]
        agree(sum(gaps) + code.REACH * (4 - len(pairs)), padded[linear_sum_assignment(padded)].sum())
        assert all(allowed[c] for _, c in pairs) and max(gaps, default=0) < code.REACH


def pairs_before_and_after():
    place, found = torch.randn(2, 50, 2)
    return [(place, found), (place, place)]


def share_switched(place, found):
    cost = np.abs(place[:, :, None] - found[:, None]).numpy() ** 2
    return np.mean([linear_sum_assignment(c)[1][0] for c in cost])


def embeddings():
    before = torch.randn(24, 5)
    return [(before, before + noise * torch.randn(24, 5)) for noise in (0, 2)]


def best_of_all_orders(before, after):
    orders, right = np.array(list(itertools.permutations(range(8)))), 0
    for a, b in zip(before.numpy().reshape(3, 8, 5), after.numpy().reshape(3, 8, 5), strict=True):
        best = orders[(a @ b.T)[np.arange(8), orders].sum(1).argmax()]
        right += (best == np.arange(8)).sum()
    return right / 24


# --- MOTA and IDF1 ---------------------------------------------------------------------


def videos():
    """Objects that come and go; boxes with errors, misses, false alarms and swaps."""
    rng = np.random.default_rng(0)
    for _ in range(8):
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
            kept = [i for i in true if rng.random() < 0.85]
            found = {ids[i]: tuple(np.add(true[i], rng.normal(0, 0.35, 2))) for i in kept}
            if rng.random() < 0.3:
                found[int(rng.integers(30, 33))] = tuple(rng.uniform(0, 6, 2))
            frames.append((true, found))
        yield (frames,)


def by_motmetrics(frames, *names):
    events = motmetrics.MOTAccumulator(auto_id=True)
    for true, found in frames:
        gap = np.array([[np.hypot(*np.subtract(a, b)) for b in found.values()] for a in true.values()])
        gap = gap.reshape(len(true), len(found))
        events.update(list(true), list(found), np.where(gap <= 1, gap, np.nan))
    return motmetrics.metrics.create().compute(events, metrics=list(names)).iloc[0].tolist()


ORACLES = [
    Oracle(
        "siamese_score_map",
        function="score_map",
        reference=lambda z, x: coefficients(z[0], x[0]),
        cases=templates,
        defects=[
            Defect("- n * mean.square().sum(1, True)", ""),
            Defect("z = z - z.mean((2, 3), keepdim=True)", "pass"),
            Defect("energy.sqrt()", "energy"),
        ],
    ),
    Oracle(
        "siamese_training",
        function="match",
        reference=each,
        cases=batches,
        defects=[
            Defect(".conj()", ""),  # a convolution, not a correlation
            Defect("size[0] - h + 1", "size[0] - h", crashes=RuntimeError),
            Defect("- F.avg_pool2d(s, (h, w), 1).square()", ""),
            Defect("z - z.mean((2, 3), keepdim=True)", "z"),
        ],
    ),
    Oracle(
        "five_challenges",
        function="match",
        reference=lambda z, s: each(z[:, None], s[:, None]),
        cases=lambda: [(torch.randn(6, 25, 25), 3 + torch.randn(6, 41, 41))],
        defects=[Defect("625 * ", "25 * "), Defect("z = z - z.mean((1, 2), keepdim=True)", "pass")],
    ),
    Oracle(
        "mosse_challenges",
        function="match",
        reference=lambda z, frame, at: each(z[:, None], frame[..., 50:91, 60:101]),
        cases=scenes,
        defects=[Defect("625 * ", "25 * ")],
    ),
    Oracle(
        "mosse_challenges",
        scene_filter,
        defects=[Defect("* f.conj(), f", "* f, f"), Defect("window * window[:, None]", "window")],
    ),
    Oracle(
        "correlation_filter",
        filter_is_least_squares,
        defects=[
            Defect("(G * F.conj())", "(G * F)"),
            Defect("B + LAMBDA", "B"),
            Defect("(F * F.conj()).sum(0)", "(F * F.conj()).mean(0)"),
        ],
    ),
    Oracle(
        "kalman_least_squares",
        steps_of_the_filter,
        data=lambda: {"F": STEP, "H": torch.tensor([[1.0, 0]])},
        defects=[
            Defect("+ Q", ""),
            Defect("P - K @ H @ P", "P"),
            Defect(" + R)", ")", "update"),
            Defect("F @ P @ F.T", "P"),
        ],
    ),
    Oracle(
        "rnn_tracker",
        filter_with_gaps,
        defects=[
            Defect(" * seen[:, t, None]", ""),
            Defect("NOISE**2)", "NOISE)"),
            Defect("- K[:, :, None]", "+ K[:, :, None]"),
        ],
    ),
    Oracle(
        "rnn_tracker",
        function="stay",
        reference=last_seen,
        cases=seen_in_part,
        tolerance=0,
        defects=[Defect("(torch.arange(T) * seen)", "torch.arange(T).expand_as(z)")],  # reads the holes
    ),
    Oracle(
        "kalman_occlusion",
        filter_through_a_gap,
        data=lambda: {"F": STEP, "Q": torch.empty(2, 2), "R": torch.empty(())},
        defects=[
            Defect("F @ P @ F.T + Q", "F @ P @ F.T"),
            Defect("(P[0, 0] + R)", "P[0, 0]"),
            Defect("if t < SEEN", "if t <= SEEN"),
            Defect("P - K[:, None] * P[0]", "P"),  # never surer
        ],
    ),
    Oracle(
        "kalman_occlusion",
        function="switched",
        reference=share_switched,
        cases=pairs_before_and_after,
        defects=[Defect("swap < keep", "swap > keep")],
    ),
    Oracle(
        "data_association",
        cheapest_pairs,
        defects=[
            Defect("v[k] -= step", "v[k] += step"),
            Defect("least = [value - step for value in least]", ""),
            Defect("slack < least[k]", "slack > least[k]"),
            Defect("cost[row][k] - u[row] - v[k]", "cost[row][k] - u[row]"),
        ],
    ),
    Oracle(
        "data_association",
        function="greedy",
        reference=cheapest_first,
        cases=costs,
        tolerance=0,
        defects=[Defect(" and j not in assign", "")],
    ),
    Oracle(
        "low_score_pass",
        low_score_match,
        defects=[
            Defect("np.minimum(cost, REACH)", "cost"),  # far tracks push near ones off their boxes
            Defect("(tracks[r], index[c])", "(tracks[r], c)"),
            Defect(" if cost[r, c] < REACH", ""),
        ],
    ),
    Oracle(
        "mota_idf1",
        function="mota",
        reference=lambda frames: by_motmetrics(frames, "mota", "num_switches"),
        cases=videos,
        defects=[
            Defect("- 2 * len(pairs)", "- len(pairs)"),
            Defect("(wrong + switches)", "wrong"),
            Defect("<= 1", "<= 2", "close"),
        ],
    ),
    Oracle(
        "mota_idf1",
        function="idf1",
        reference=lambda frames: by_motmetrics(frames, "idf1")[0],
        cases=videos,
        defects=[
            Defect("2 * overlap[", "overlap["),
            Defect("linear_sum_assignment(-overlap)", "linear_sum_assignment(overlap)"),
            Defect("boxes += len(true) + len(found)", "boxes += 2 * len(true)"),
            Defect("<= 1", "<= 2", "close"),
        ],
    ),
    Oracle(
        "reidentification",
        function="pixels",
        reference=lambda seen: zscore(seen.flatten(1), axis=1) / seen[0].numel() ** 0.5,
        cases=lambda: [(torch.rand(6, 1, 4, 4),)],
        defects=[Defect("flat - flat.mean(1, keepdim=True)", "flat")],
    ),
    Oracle(
        "reidentification",
        function="correct",
        reference=best_of_all_orders,
        cases=embeddings,
        defects=[Defect("-(a @ b.T)", "(a @ b.T)"), Defect("right / len(before)", "right / 8")],
    ),
]
