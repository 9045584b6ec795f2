"""With prefetching, a step takes as long as its slowest stage, not the sum.

Discrete simulation, no clock: the stages load, copy and compute; each handles one
batch at a time and may be at most `ahead` batches ahead of the next stage.
"""

import random


def finish_times(costs, ahead):
    """End of each stage for each batch; costs: a list of batches, each of stages."""
    end = []
    for i, cost in enumerate(costs):
        row = []
        for s in range(len(cost)):
            start = row[s - 1] if s else 0  # its input is there
            if i:
                start = max(start, end[i - 1][s])  # the stage is free
            if s + 1 < len(cost) and i > ahead:  # and not too far ahead
                start = max(start, end[i - ahead - 1][s + 1])
            row.append(start + cost[s])
        end.append(row)
    return end


batches = 200
print("load copy compute | in turn  overlapped  compute busy")
for cost in ((4, 1, 10), (10, 1, 10), (40, 1, 10), (40, 1, 1)):
    overlapped = finish_times([cost] * batches, ahead=2)[-1][-1] / batches
    assert max(cost) <= overlapped < max(cost) + sum(cost) / batches
    print("{:4d} {:4d} {:7d}".format(*cost), end=" | ")
    print(f"{sum(cost):7d}  {overlapped:10.0f}  {cost[2] / overlapped:12.0%}")

# Loading that varies, 8 on average against 10 of compute.
gain = {1: [], 16: []}
for seed in range(5):
    rng = random.Random(seed)
    costs = [(rng.expovariate(1 / 8), 10) for _ in range(2000)]
    in_turn = finish_times(costs, 0)[-1][-1]
    for ahead, row in gain.items():
        row.append(in_turn / finish_times(costs, ahead)[-1][-1])
    assert gain[16][-1] > 1.7 and 1.3 < gain[1][-1] < 1.6
for ahead, row in gain.items():
    print(f"random loading, {ahead} ahead: ", end="")
    print(f"{min(row):.2f} to {max(row):.2f} times faster than in turn (5 seeds)")

# Amdahl: 20 % of the time cannot be accelerated, 80 % can, s times.
for s in (2, 10, 100):
    gain = 100 * 50 / finish_times([(20, 80 / s)] * 50, ahead=0)[-1][-1]
    assert abs(gain - 1 / (0.2 + 0.8 / s)) < 1e-9
    print(f"80 % of the work {s} times faster: {gain:.1f} times in all")

# The host link: 256 images of 3 x 224 x 224 at 64 GB/s (PCIe 5 x16, one way).
for name, size in (("uint8", 1), ("float32", 4)):
    millis = 256 * 3 * 224 * 224 * size / 64e9 * 1e3
    print(f"256 images as {name}: {millis:.1f} ms over PCIe at best")
