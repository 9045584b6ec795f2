"""FSDP2 keeps half of the weights and moments per rank and trains the same network.

Source: Zhao and others, 2023 (FSDP); Rajbhandari and others, 2020 (ZeRO). Two gloo
processes; batch (32, 3, 8, 8); Adam, so two moments for every weight.
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = torch.randn(32, 3, 8, 8), torch.randint(4, (32,))


def network():
    torch.manual_seed(1)
    layers = nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 4))


def train(net, x, y, steps=5):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    return optimizer


def worker(rank, folder):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    mesh, net = init_device_mesh("cpu", (2,)), network()
    for layer in net:  # a unit: gathered just before use, freed after it
        if list(layer.parameters()):
            fully_shard(layer, mesh=mesh)
    fully_shard(net, mesh=mesh)
    optimizer = train(net, X[rank::2], Y[rank::2])
    local = sum(p.to_local().numel() for p in net.parameters())
    moments = sum(
        s["exp_avg"].to_local().numel() + s["exp_avg_sq"].to_local().numel()
        for s in optimizer.state.values()
    )
    full = torch.cat([p.full_tensor().detach().flatten() for p in net.parameters()])
    torch.save((full, local, moments), f"{folder}/{rank}.pt")
    os._exit(0)  # without teardown: freeing gloo work can deadlock (torch 2.13)


if __name__ == "__main__":
    how = "fork" if sys.platform == "linux" else "spawn"  # no threads yet
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(worker, (folder,), nprocs=2, start_method=how)
        ranks = [torch.load(f"{folder}/{r}.pt") for r in (0, 1)]
    alone = network()
    train(alone, X, Y)
    alone = torch.cat([p.detach().flatten() for p in alone.parameters()])
    total = len(alone)
    for rank, (full, local, moments) in enumerate(ranks):
        assert (full - alone).abs().max() < 1e-10
        assert local == total // 2 and moments == 2 * local
        print(f"rank {rank} stores {local} of {total} weights, {moments} moments")
    print("gathered weights against one process: difference < 1e-10")
