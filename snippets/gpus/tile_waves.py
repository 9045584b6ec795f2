"""One tile too many costs a whole extra wave; larger batches make that small.

A matrix product of M x N outputs is cut into 128 x 128 tiles, one per SM (132 on
an H100 SXM); all tiles take equally long. Arithmetic on a model, not a measurement.
"""

import heapq
import math

TILE, SMS = 128, 132


def waves(m, n):
    """Rounds of tiles that the SMs need for an (m, n) output."""
    return math.ceil(math.ceil(m / TILE) * math.ceil(n / TILE) / SMS)


def busy(m, n):
    """Useful outputs over the outputs that the occupied time could have made."""
    return m * n / (waves(m, n) * SMS * TILE * TILE)


def simulated(m, n):
    """The same by handing each tile to the SM that is free first."""
    free = [0] * SMS
    for _ in range(math.ceil(m / TILE) * math.ceil(n / TILE)):
        heapq.heapreplace(free, free[0] + 1)
    return max(free)


# A 3 x 3 convolution to 256 channels on 14 x 14 maps: M = batch * 196 rows.
print("batch  tiles  waves  SMs doing useful work")
table = {}
for batch in (1, 8, 32, 43, 44, 128, 512, 1024):
    m = batch * 14 * 14
    tiles = math.ceil(m / TILE) * math.ceil(256 / TILE)
    assert waves(m, 256) == simulated(m, 256)
    table[batch] = busy(m, 256)
    print(f"{batch:5d} {tiles:6d} {waves(m, 256):6d} {busy(m, 256):14.0%}")

assert waves(43 * 196, 256) == 1 and waves(44 * 196, 256) == 2  # one image more
assert table[43] > 0.95 and table[44] < 0.55  # half of the machine idles
assert table[1] < 0.05 and table[1024] > 0.9
