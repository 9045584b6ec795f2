"""Each correction of light cancels one kind of change exactly; none cancels a shadow.

Photographs x (H, W, 3), pixels in [0, 1]. Error: mean change of the corrected picture,
relative to its own mean deviation. Source: the definitions; gray world as von Kries.
"""

import torch
from skimage import data

torch.set_default_dtype(torch.float64)
NAMES = "astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry"
photos = [torch.tensor(getattr(data, n)()[::6, ::6] / 255.0) for n in NAMES]


def standardize(x):
    return (x - x.mean()) / x.std()


def equalize(x):  # each value becomes the share of values not above it
    flat = x.flatten()
    rank = torch.searchsorted(flat.sort().values, flat, right=True)
    return (rank / len(flat)).view(x.shape)


def gray_world(x):  # each channel by its own mean
    return x / x.mean((0, 1))


def half_shadow(x):
    left = torch.arange(x.shape[1]) < x.shape[1] // 2
    return x * torch.where(left, 0.4, 1.0)[:, None]


lights = {
    "gain, offset": lambda x: 0.5 * x + 0.2,
    "gamma": lambda x: x**2.2,
    "color cast": lambda x: x * torch.tensor([1.0, 0.8, 0.5]),
    "shadow": half_shadow,
}
corrections = {
    "nothing": lambda x: x,
    "standardize": standardize,
    "equalize": equalize,
    "gray world": gray_world,
}
exact = {
    ("standardize", "gain, offset"),
    ("equalize", "gain, offset"),
    ("equalize", "gamma"),
    ("gray world", "color cast"),
}
print("left over (5 photos)" + "".join(f"{name:>15}" for name in lights))
for name, correct in corrections.items():
    cells = []
    for light, change in lights.items():
        before, after = zip(*((correct(x), correct(change(x))) for x in photos))
        error = torch.stack(
            [
                (a - b).abs().mean() / (b - b.mean()).abs().mean()
                for a, b in zip(after, before)
            ]
        )
        if (name, light) in exact:
            assert error.max() < 1e-9
            cells.append("exact")
        else:
            assert error.min() > 0.1
            cells.append(f"{error.min():.2f}-{error.max():.2f}")
    print(f"{name:20}" + "".join(f"{cell:>15}" for cell in cells))
