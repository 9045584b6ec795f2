"""Oracles for distributed training: plain sums, per-image gradients, event queues, eigenvalues."""

import contextlib
import heapq
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.snippet_functions import load_functions
from torch import nn

TOPIC = "distributed-training"


# --- ring all-reduce against NumPy's sum -------------------------------------------------


def ring_sums(code) -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 8):
        for m in (0, 1, n - 1, n, n + 1, 3 * n + 2, 50):
            buffers = rng.normal(size=(n, m))
            before = buffers.copy()
            sums, sent, history = code.ring_all_reduce(buffers)
            expected = np.broadcast_to(before.sum(0), (n, m))
            np.testing.assert_allclose(sums, expected, rtol=0, atol=1e-12)
            np.testing.assert_array_equal(buffers, before)  # the input is left alone
            assert len(history) == 2 * (n - 1) + 1
            assert (history[-1] == n).all()
            assert sent.sum() == 2 * (n - 1) * m  # every chunk crosses 2(n-1) links
            assert sent.max() <= 2 * (n - 1) * -(-m // n)


# --- schedules carry every contribution to every rank; times against an event queue ------


def schedules_reduce_everything(code) -> None:
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
            assert sorted((s, t) for s, t, _ in messages) == [(r, (r + 1) % n) for r in range(n)]
            assert all(math.isclose(size, 7.0 / n) for *_, size in messages)


def event_queue(rounds, n, a, b):
    """Each rank works off its own list of sends and receives, one message per port."""
    ready, total = [0.0] * n, 0.0
    for messages in rounds:
        free = {("out", r): ready[r] for r in range(n)} | {("in", r): ready[r] for r in range(n)}
        waiting, events, done = list(messages), [], list(ready)
        busy, clock = set(), min(ready)
        times = sorted(set(ready))
        for t in times:
            heapq.heappush(events, (t, -1, None))
        number = 0
        while waiting or events:
            clock, _, ended = heapq.heappop(events)
            if ended:
                busy -= {("out", ended[0]), ("in", ended[1])}
                for rank in ended:
                    done[rank] = max(done[rank], clock)
            for message in list(waiting):
                ports = {("out", message[0]), ("in", message[1])}
                if not ports & busy and all(free[p] <= clock for p in ports):
                    waiting.remove(message)
                    busy |= ports
                    number += 1
                    end = clock + a + b * message[2]
                    heapq.heappush(events, (end, number, message[:2]))
        ready = done
        total = max(ready)
    return total


def times_agree(code) -> None:
    for kind in ("ring", "tree", "server"):
        for n in (2, 4, 8, 16):
            for a, b, m in ((1.0, 0.5, 16.0), (3.0, 0.0, 5.0), (0.0, 2.0, 64.0)):
                rounds = code.schedule(kind, n, m)
                expected = event_queue(rounds, n, a, b)
                assert math.isclose(code.simulate(rounds, n, a, b), expected)
                steps = 2 * math.log2(n) if kind == "tree" else 2 * (n - 1)
                assert math.isclose(expected, steps * (a + b * m / (n if kind == "ring" else 1)))


# --- gradients by shards against per-image gradients -------------------------------------


def shards_agree(code) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3))
        x, y = torch.randn(9, 3, 4, 4), torch.randint(3, (9,))
        weights = {name: p.detach() for name, p in net.named_parameters()}

        def one(weights, image, label, net=net):
            out = torch.func.functional_call(net, weights, image.unsqueeze(0))
            return F.cross_entropy(out, label.unsqueeze(0))

        each = torch.func.vmap(torch.func.grad(one), (None, 0, 0))(weights, x, y)
        each = torch.cat([g.flatten(1) for g in each.values()], 1)  # (9, parameters)
        sizes = [4, 1, 3, 1]
        parts = each.split(sizes)
        for reduction, combine in (("mean", lambda g: g.mean(0)), ("sum", lambda g: g.sum(0))):
            expected = torch.stack([combine(g) for g in parts])
            got = code.shards(net, x, y, sizes, reduction)
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def experiment_holds(code) -> None:
    for seed in (50,):
        result = code.experiment(seed)
        for name in ("equal shards", "equal, GroupNorm", "uneven, weighted by size"):
            assert result[name] < 1e-12
        assert abs(result["equal, summed loss"] - 7) < 1e-9


# --- DDP's training loop: accumulation against the whole batch ---------------------------


class Counting(nn.Sequential):
    """Stands for DistributedDataParallel: counts the micro-batches that send nothing."""

    silent = 0

    @contextlib.contextmanager
    def no_sync(self):
        self.silent += 1
        yield


def accumulation_agrees(code) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(24, 5), torch.randint(3, (24,))
    for micro in (1, 2, 4, 6):
        nets = [Counting(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)) for _ in range(2)]
        nets[1].load_state_dict(nets[0].state_dict())
        got = code.train(nets[0], x, y, micro, steps=3)
        optimizer = torch.optim.SGD(nets[1].parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(nets[1](x), y).backward()
            optimizer.step()
        expected = torch.cat([p.detach().flatten() for p in nets[1].parameters()])
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
        assert nets[0].silent == 3 * (micro - 1)


# --- the restarted run: any step, any split, against torch.optim -------------------------


def restart_agrees(code) -> None:
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
    torch.testing.assert_close(whole, reference.detach(), rtol=0, atol=1e-12)
    assert [state[2] for state in states] == list(range(code.STEPS + 1))
    for state in states:
        torch.testing.assert_close(code.train(state), whole, rtol=0, atol=1e-12)
    halves = [code.gradient(whole, 3, slice(r, None, 2)) for r in (0, 1)]
    expected = code.gradient(whole, 3, slice(None))
    torch.testing.assert_close(sum(halves) / 2, expected, rtol=0, atol=1e-12)


# --- networks side by side, and the stacked loss -----------------------------------------


def grouped_networks_agree(code) -> None:
    torch.manual_seed(0)
    count = code.logits.__globals__["SEEDS"] = 3
    shapes = [(8, 1, 3, 3), (16, 8, 3, 3), (10, 64, 1, 1)]
    weights = [torch.randn(count, *shape) for shape in shapes]
    x = torch.randn(count, 7, 1, 8, 8)
    got = code.logits(weights, x)
    for k in range(count):
        out = x[k]
        for w in weights[:2]:
            out = F.relu(F.conv2d(out, w[k], stride=2, padding=1))
        expected = out.flatten(1) @ weights[2][k].flatten(1).T
        torch.testing.assert_close(got[:, k], expected, rtol=0, atol=1e-10)


def stacked_loss_agrees(code) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(600, 6), torch.randint(4, (600,))
    code.loss.__globals__.update(X=x, Y=F.one_hot(y, 4).double())
    weights = torch.randn(2, 3, 6, 4)
    got = code.loss(weights)
    for i, j in np.ndindex(2, 3):
        expected = F.cross_entropy(x[:500] @ weights[i, j], y[:500])
        torch.testing.assert_close(got[i, j], expected, rtol=0, atol=1e-12)


# --- delayed descent against the spectral radius of its companion matrix -----------------


def delay_agrees(code) -> None:
    for tau in (0, 1, 3, 6):
        for rate in (0.05, 0.15, 0.25, 0.4, 0.9, 1.1, 1.9, 2.1):
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


CHECKS = {
    "ring_all_reduce": [ring_sums],
    "scaling_cost": [schedules_reduce_everything, times_agree],
    "gradient_averaging": [shards_agree, experiment_holds],
    "ddp": [accumulation_agrees],
    "elastic_restart": [restart_agrees],
    "large_batch": [grouped_networks_agree],
    "critical_batch": [stacked_loss_agrees],
    "stale_gradients": [delay_agrees],
}


@pytest.mark.parametrize("name", CHECKS)
def test_agrees_with_its_oracle(name):
    code = load_functions(f"{TOPIC}/{name}")
    for check in CHECKS[name]:
        check(code)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("ring_all_reduce", "(rank + 1) % n", "(rank + 2) % n"),  # wrong neighbor
        ("ring_all_reduce", "c * m // n for", "c * (m // n) for"),  # last numbers missing
        ("ring_all_reduce", "range(2 * (n - 1))", "range(2 * (n - 1) - 1)"),
        ("ring_all_reduce", "keep = step < n - 1", "keep = step < n"),
        ("ring_all_reduce", "(rank - step) % n", "(rank + step) % n"),
        ("ring_all_reduce", "buffers.copy(), np", "buffers, np"),
        ("scaling_cost", "range(0, n, 2 * s)", "range(0, n, 4 * s)"),
        ("scaling_cost", "(0, r, m) for r in range(1, n)", "(0, r, m) for r in range(1, n - 1)"),
        ("scaling_cost", "return up + [", "return [*up][:-1] + ["),
        ("scaling_cost", "max(out[source], inn[target])", "out[source]"),
        ("scaling_cost", "m / n) for r", "m) for r"),
        ("gradient_averaging", "net.zero_grad()", "pass"),
        ("gradient_averaging", "reduction=reduction", "reduction='mean'"),
        ("gradient_averaging", "unsqueeze(1) / 32", "unsqueeze(1) / 16"),
        ("gradient_averaging", "(weights * odd).sum(0)", "(weights * odd).mean(0)"),
        ("ddp", ", ys) / micro)", ", ys))"),  # a sum in place of the mean
        ("ddp", "wait = k < micro", "wait = k <= micro"),
        ("ddp", "        optimizer.zero_grad()\n", ""),
        ("elastic_restart", "torch.manual_seed(step)", "torch.manual_seed(0)"),
        ("elastic_restart", "range(begin, STEPS)", "range(begin + 1, STEPS)"),
        ("elastic_restart", "after(weights, velocity, step + 1)", "after(weights, velocity, step)"),
        ("elastic_restart", "0.9 * velocity", "velocity"),
        ("large_batch", "x.transpose(0, 1).flatten(1, 2)", "x.flatten(0, 1).view(7, -1, 8, 8)"),
        ("critical_batch", ".sum(-1).mean(-1)", ".mean(-1).mean(-1)"),
        ("stale_gradients", "rate * old[0]", "rate * old[-1]"),
        ("stale_gradients", "torch.rand(tau + 1)", "torch.rand(tau + 2)"),
    ],
)
def test_catches_defects(name, old, new):
    code = load_functions(f"{TOPIC}/{name}", defect=(old, new))
    with pytest.raises((AssertionError, RuntimeError)):
        for check in CHECKS[name]:
            check(code)
