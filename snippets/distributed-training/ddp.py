"""DDP on two processes, with accumulation, equals one process on the whole batch.

Source: Li and others, 2020. The same file starts its workers twice: by
torch.multiprocessing, then by torchrun. Images (64, 3, 8, 8): 2 ranks x 2 x 16.
"""

import contextlib
import os
import subprocess
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = torch.randn(64, 3, 8, 8), torch.randint(4, (64,))


def train(net, x, y, micro=1, steps=5):
    """SGD; each step adds up the gradients of `micro` equal micro-batches."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        for k, (xs, ys) in enumerate(zip(x.chunk(micro), y.chunk(micro)), 1):
            wait = k < micro  # send nothing before the last micro-batch
            with net.no_sync() if wait else contextlib.nullcontext():
                (F.cross_entropy(net(xs), ys) / micro).backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def network(seed):
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 4))


def worker(rank, folder, init_method):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method, rank=rank, world_size=2)
    net = DistributedDataParallel(network(seed=rank))  # rank 0's weights win
    weights = train(net, X[rank::2], Y[rank::2], micro=2)
    torch.save(weights, f"{folder}/{rank}.pt")
    os._exit(0)  # without teardown: freeing gloo work can deadlock (torch 2.13)


if __name__ == "__main__" and "RANK" in os.environ:  # a worker of torchrun
    worker(int(os.environ["RANK"]), sys.argv[1], "env://")
elif __name__ == "__main__":
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
    ]
    with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
        how = "fork" if sys.platform == "linux" else "spawn"  # no threads yet
        args = a, f"file://{a}/store"
        mp.start_processes(worker, args, nprocs=2, start_method=how)
        subprocess.run([*torchrun, os.path.abspath(__file__), b], check=True)
        runs = {
            n: [torch.load(f"{d}/{r}.pt") for r in (0, 1)]
            for n, d in (("multiprocessing", a), ("torchrun", b))
        }
    alone = train(network(seed=0), X, Y)
    for name, (zero, one) in runs.items():
        assert torch.equal(zero, one)  # the replicas never drift apart
        assert (zero - alone).abs().max() < 1e-12
        print(f"{name}: ranks bit-equal, against one process < 1e-12")
    moved = (alone - torch.cat([p.flatten() for p in network(0).parameters()])).abs()
    assert moved.max() > 0.01  # and there was something to learn
