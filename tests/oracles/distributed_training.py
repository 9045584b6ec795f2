"""Distributed training: plain sums, per-image gradients, event queues, torch.optim, eigenvalues."""

import contextlib
import heapq
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.oracles.oracle import Defect, Oracle, agree

# --- all-reduce ------------------------------------------------------------------------


def ring_sums(code):
    rng = np.random.default_rng(0)
    for n in range(1, 8):
        for m in (0, 1, n - 1, n, n + 1, 3 * n + 2, 50):
            buffers = rng.normal(size=(n, m))
            before = buffers.copy()
            sums, sent, history = code.ring_all_reduce(buffers)
            agree(sums, np.broadcast_to(before.sum(0), (n, m)), 1e-12)
            assert (buffers == before).all()  # the input is left alone
            assert len(history) == 2 * (n - 1) + 1
            assert (history[-1] == n).all()
            assert sent.sum() == 2 * (n - 1) * m  # every chunk crosses 2(n-1) links
            assert sent.max() <= 2 * (n - 1) * -(-m // n)


def schedules(code):
    """They carry every contribution to every rank."""
    for n in (2, 4, 8, 16):
        for kind in ("tree", "server"):
            holds = [{r} for r in range(n)]
            for messages in code.schedule(kind, n, 7.0):
                before = [set(h) for h in holds]
                for source, target, size in messages:
                    assert size == 7.0
                    holds[target] |= before[source]
            assert all(h == set(range(n)) for h in holds)
        rounds = code.schedule("ring", n, 7.0)
        assert len(rounds) == 2 * (n - 1)
        for messages in rounds:
            agree(sorted(messages), [(r, (r + 1) % n, 7.0 / n) for r in range(n)])


def event_queue(rounds, n, a, b):
    """Each rank works off its own list of sends and receives, one message per port."""
    ready = [0.0] * n
    for messages in rounds:
        waiting, busy, done = list(messages), set(), list(ready)
        events = sorted((t, ()) for t in set(ready))  # time, source and target of a message that ends
        while waiting or events:
            clock, ended = heapq.heappop(events)
            busy -= set(zip(("out", "in"), ended, strict=False))
            done = [max(t, clock) if rank in ended else t for rank, t in enumerate(done)]
            for message in list(waiting):
                source, target, size = message
                ports = {("out", source), ("in", target)}
                if not ports & busy and max(ready[source], ready[target]) <= clock:
                    waiting.remove(message)
                    busy |= ports
                    heapq.heappush(events, (clock + a + b * size, (source, target)))
        ready = done
    return max(ready)


def times(code):
    messages = (1.0, 0.5, 16.0), (3.0, 0.0, 5.0), (0.0, 2.0, 64.0)
    for kind, n, (a, b, m) in itertools.product(("ring", "tree", "server"), (2, 4, 8, 16), messages):
        rounds = code.schedule(kind, n, m)
        steps = 2 * math.log2(n) if kind == "tree" else 2 * (n - 1)
        want = steps * (a + b * m / (n if kind == "ring" else 1))
        agree([code.simulate(rounds, n, a, b), event_queue(rounds, n, a, b)], [want, want])


# --- gradients -------------------------------------------------------------------------


def shards(code):
    """Against per-image gradients."""
    for _ in range(5):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3))
        x, y = torch.randn(9, 3, 4, 4), torch.randint(3, (9,))
        weights = {name: p.detach() for name, p in net.named_parameters()}

        def one(weights, image, label, net=net):
            out = torch.func.functional_call(net, weights, image.unsqueeze(0))
            return F.cross_entropy(out, label.unsqueeze(0))

        each = torch.func.vmap(torch.func.grad(one), (None, 0, 0))(weights, x, y)
        parts = torch.cat([g.flatten(1) for g in each.values()], 1).split(sizes := [4, 1, 3, 1])
        for reduction in ("mean", "sum"):
            want = torch.stack([getattr(g, reduction)(0) for g in parts])
            agree(code.shards(net, x, y, sizes, reduction), want, 1e-12)


def shard_means(code):
    result = code.experiment(50)
    for name in ("equal shards", "equal, GroupNorm", "uneven, weighted by size"):
        assert result[name] < 1e-12
    agree(result["equal, summed loss"], 7.0)


class Counting(nn.Sequential):
    """Stands for DistributedDataParallel: counts the micro-batches that send nothing."""

    silent = 0

    @contextlib.contextmanager
    def no_sync(self):
        self.silent += 1
        yield


def accumulation(code):
    """Against the whole batch."""
    x, y = torch.randn(24, 5), torch.randint(3, (24,))
    for micro in (1, 2, 4, 6):
        net, twin = (Counting(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)) for _ in range(2))
        twin.load_state_dict(net.state_dict())
        got = code.train(net, x, y, micro, steps=3)
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(twin(x), y).backward()
            optimizer.step()
        agree(got, nn.utils.parameters_to_vector(twin.parameters()), 1e-12)
        assert net.silent == 3 * (micro - 1)


def restart(code):
    """At any step, by any split, against torch.optim."""
    reference = torch.zeros(10, 4, requires_grad=True)
    optimizer = torch.optim.SGD([reference], lr=0.3, momentum=0.9)
    for step in range(code.STEPS):
        torch.manual_seed(step)
        x, y = torch.randn(32, 10), torch.randint(4, (32,))
        optimizer.zero_grad()
        F.cross_entropy(x @ reference, y).backward()
        optimizer.step()
    states = [code.fresh()]
    whole = code.train(code.fresh(), after=lambda *state: states.append(state))
    agree(whole, reference, 1e-12)
    assert [state[2] for state in states] == list(range(code.STEPS + 1))
    for state in states:
        agree(code.train(state), whole, 1e-12)
    halves = [code.gradient(whole, 3, slice(r, None, 2)) for r in (0, 1)]
    agree(sum(halves) / 2, code.gradient(whole, 3, slice(None)), 1e-12)


# --- networks side by side, the stacked loss, delays -----------------------------------


def five_networks():
    shapes = [(8, 1, 3, 3), (16, 8, 3, 3), (10, 64, 1, 1)]
    yield [torch.randn(5, *shape) for shape in shapes], torch.randn(5, 7, 1, 8, 8)


def one_by_one(weights, x):
    result = []
    for first, second, last, out in zip(*weights, x, strict=True):
        for w in (first, second):
            out = F.relu(F.conv2d(out, w, stride=2, padding=1))
        result.append(out.flatten(1) @ last.flatten(1).T)
    return torch.stack(result, 1)


def stacked_loss(code):
    weights, y = torch.randn(2, 3, 6, 4), code.Y.argmax(1)
    want = torch.zeros(2, 3)
    for i, j in np.ndindex(2, 3):
        want[i, j] = F.cross_entropy(code.X[:500] @ weights[i, j], y[:500])
    agree(code.loss(weights), want, 1e-12)


def delay(code):
    """Against the spectral radius of the delayed descent's companion matrix."""
    for tau, rate in itertools.product((0, 1, 3, 6), (0.05, 0.15, 0.25, 0.4, 0.9, 1.1, 1.9, 2.1)):
        matrix = np.eye(tau + 1, k=1)
        matrix[-1, -1] += 1
        matrix[-1, 0] -= rate
        radius = max(abs(np.linalg.eigvals(matrix)))
        if abs(radius - 1) > 0.004:
            size = code.descend(rate, tau, steps=2500)
            assert (size < 1e-2) == (radius < 1)
            if 0.99 < radius < 1:  # the pace of decay too
                later = code.descend(rate, tau, steps=3500)
                assert abs(later / size / radius**900 - 1) < 0.5


ORACLES = [
    Oracle(
        "ring_all_reduce",
        ring_sums,
        defects=[
            Defect("(rank + 1) % n", "(rank + 2) % n"),  # wrong neighbor
            Defect("c * m // n for", "c * (m // n) for"),  # last numbers missing
            Defect("range(2 * (n - 1))", "range(2 * (n - 1) - 1)"),
            Defect("keep = step < n - 1", "keep = step < n"),
            Defect("(rank - step) % n", "(rank + step) % n"),
            Defect("buffers.copy(), np", "buffers, np"),
        ],
    ),
    Oracle(
        "scaling_cost",
        schedules,
        defects=[
            Defect("range(0, n, 2 * s)", "range(0, n, 4 * s)"),
            Defect("(0, r, m) for r in range(1, n)", "(0, r, m) for r in range(1, n - 1)"),
            Defect("return up + [", "return [*up][:-1] + ["),
            Defect("m / n) for r", "m) for r"),
        ],
    ),
    Oracle("scaling_cost", times, defects=[Defect("max(out[source], inn[target])", "out[source]")]),
    Oracle(
        "gradient_averaging",
        shards,
        defects=[
            Defect("net.zero_grad()", "pass"),
            Defect("reduction=reduction", "reduction='mean'"),
        ],
    ),
    Oracle(
        "gradient_averaging",
        shard_means,
        defects=[
            Defect("unsqueeze(1) / 32", "unsqueeze(1) / 16"),
            Defect("(weights * odd).sum(0)", "(weights * odd).mean(0)"),
        ],
    ),
    Oracle(
        "ddp",
        accumulation,
        defects=[
            Defect(", ys) / micro)", ", ys))"),  # a sum in place of the mean
            Defect("wait = k < micro", "wait = k <= micro"),
            Defect("        optimizer.zero_grad()\n", ""),
        ],
    ),
    Oracle(
        "elastic_restart",
        restart,
        defects=[
            Defect("torch.manual_seed(step)", "torch.manual_seed(0)"),
            Defect("range(begin, STEPS)", "range(begin + 1, STEPS)"),
            Defect("after(weights, velocity, step + 1)", "after(weights, velocity, step)"),
            Defect("0.9 * velocity", "velocity"),
        ],
    ),
    Oracle(
        "large_batch",
        function="logits",
        reference=one_by_one,
        cases=five_networks,
        defects=[Defect("x.transpose(0, 1).flatten(1, 2)", "x.flatten(0, 1).view(7, -1, 8, 8)")],
    ),
    Oracle(
        "critical_batch",
        stacked_loss,
        data=lambda: {"X": torch.randn(600, 6), "Y": F.one_hot(torch.randint(4, (600,)), 4).double()},
        defects=[Defect(".sum(-1).mean(-1)", ".mean(-1).mean(-1)")],
    ),
    Oracle(
        "stale_gradients",
        delay,
        defects=[
            Defect("rate * old[0]", "rate * old[-1]"),
            Defect("torch.rand(tau + 1)", "torch.rand(tau + 2)"),
        ],
    ),
]
