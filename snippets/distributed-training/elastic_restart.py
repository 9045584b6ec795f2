"""After a kill, torchrun restarts all workers from the last full checkpoint.

Two workers; worker 1 sends itself SIGKILL after step 8 of 12. Rank 0 writes a
checkpoint every third step. Compared with a run that nobody interrupted.
"""

import os
import signal
import subprocess
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
STEPS, EVERY, KILL_AFTER = 12, 3, 8


def gradient(weights, step, part):
    torch.manual_seed(step)  # the data follow from the step: a resumed run sees them
    x, y = torch.randn(32, 10), torch.randint(4, (32,))
    weights = weights.detach().requires_grad_()
    F.cross_entropy(x[part] @ weights, y[part]).backward()
    return weights.grad


def train(state, average=lambda g: g, part=slice(None), after=lambda *state: None):
    weights, velocity, begin = state
    for step in range(begin, STEPS):
        velocity = 0.9 * velocity + average(gradient(weights, step, part))
        weights = weights - 0.3 * velocity
        after(weights, velocity, step + 1)
    return weights


def fresh():
    return torch.zeros(10, 4), torch.zeros(10, 4), 0  # weights, momentum, next step


def worker(folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, life = dist.get_rank(), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    file = f"{folder}/checkpoint.pt"
    state = torch.load(file) if os.path.exists(file) else fresh()
    with open(f"{folder}/log", "a") as log:
        log.write(f"life {life}: rank {rank} begins at step {state[2]}\n")

    def average(g):
        dist.all_reduce(g)
        return g / 2

    def after(*state):
        if rank == 0 and state[2] % EVERY == 0:
            torch.save(state, file + ".part")
            os.replace(file + ".part", file)  # never a half-written checkpoint
        if rank == 1 and life == 0 and state[2] == KILL_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)

    train(state, average, slice(rank, None, 2), after)
    os._exit(0)  # without teardown: freeing gloo work can deadlock (torch 2.13)


if __name__ == "__main__" and "RANK" in os.environ:  # a worker of torchrun
    worker(sys.argv[1])
elif __name__ == "__main__":
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
    ]
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # no stale addresses
    with tempfile.TemporaryDirectory() as folder:
        command = [*torchrun, "--max-restarts=1", os.path.abspath(__file__), folder]
        subprocess.run(command, check=True)
        log = sorted(open(f"{folder}/log").read().splitlines())
        resumed, velocity, _ = torch.load(f"{folder}/checkpoint.pt")
    print(*log, sep="\n")
    assert [line[-1] for line in log] == list("0066")  # both came back, at step 6
    whole, saved = train(fresh()), []
    assert (resumed - whole).abs().max() < 1e-12
    train(fresh(), after=lambda *state: saved.append(state))
    weights, _, step = saved[5]  # the checkpoint of step 6, momentum forgotten
    forgetful = train((weights, torch.zeros(10, 4), step))
    assert (forgetful - whole).abs().max() > 0.01
    print("against the uninterrupted run: full checkpoint < 1e-12, no momentum > 0.01")
