"""int8 multiply-adds take a fifteenth of the energy of float32 ones, but an inference
that fetches all its data from DRAM saves only about fivefold.

Energies per operation in 45 nm: Horowitz, ISSCC 2014. MobileNet's layers, by shape.
"""

PJ = {  # picojoules: multiply, and add into the sum
    "float32": 3.7 + 0.9,
    "float16": 1.1 + 0.4,
    "int8": 0.2 + 0.1,
}  # int8: an int32 sum
DRAM = 1300 / 8  # per byte: 1.3 nJ for 64 bits, the lower end
CACHE = 10 / 8  # per byte, 8 kB cache
BYTES = {"float32": 4, "float16": 2, "int8": 1}


def mobilenet(size):  # per layer: multiply-adds, weights, values read and written
    plan = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]
    h, c = size // 2, 32
    yield h * h * 27 * c, 27 * c, 3 * size**2 + h * h * c
    for o, stride in plan:
        read, h = h * h * c, h // stride
        yield h * h * 9 * c, 9 * c, read + h * h * c  # depthwise
        yield h * h * c * o, c * o, h * h * (c + o)  # pointwise
        c = o
    yield 1000 * c, 1000 * c, 1000 + c


def microjoules(weights, activations, arithmetic, byte):
    return (
        sum(
            n * PJ[arithmetic] + byte * (w * BYTES[weights] + a * BYTES[activations])
            for n, w, a in mobilenet(224)
        )
        / 1e6
    )


macs, weights, values = map(sum, zip(*mobilenet(224)))
print(
    f"{macs / 1e6:.0f} million multiply-adds, {weights / 1e6:.1f} million weights, "
    f"{values / 1e6:.1f} million activations read or written"
)
saving = {}
for place, byte in (
    ("arithmetic alone", 0),
    ("data from a cache", CACHE),
    ("data from DRAM", DRAM),
):
    base = microjoules("float32", "float32", "float32", byte)
    for name, scheme in (
        ("float16", ("float16",) * 3),
        ("int8 weights only", ("int8", "float32", "float32")),
        ("int8", ("int8",) * 3),
    ):
        saving[place, name] = base / microjoules(*scheme, byte)
    row = ", ".join(f"{n} {v:.1f}" for (p, n), v in saving.items() if p == place)
    print(f"{place:18} energy saved, times: {row}")
assert saving["arithmetic alone", "int8"] > 15
assert 3.5 < saving["data from DRAM", "int8"] < 8
assert saving["arithmetic alone", "int8 weights only"] == 1
