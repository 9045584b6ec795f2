"""Gray-world cancels every color cast exactly, but takes the scene's own mean color
for light; white-patch does better until the white clips.

Finlayson and Trezzi, 2004, for the p-norm. Images (H, W, 3), linear light.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.measure import block_reduce
from sklearn.datasets import load_sample_image


def estimate_light(image, p=1):
    """Color of the light by the p-norm mean: p=1 gray-world, p=inf white-patch."""
    top = image.max((0, 1))
    if p == np.inf:
        return top
    return top * ((image / top) ** p).mean((0, 1)) ** (1 / p)


def correct(image, light):
    """Divide by the light (von Kries), keeping the mean of the three channels."""
    return image * light.mean() / light


def angle(a, b):
    """Degrees between two colors: brightness does not count."""
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


photos = {
    "temple": load_sample_image("china.jpg"),
    "astronaut": data.astronaut(),
    "rocket": data.rocket(),
    "cat": data.chelsea(),
    "flower": load_sample_image("flower.jpg"),
    "coffee": data.coffee(),
}
photos = {name: (p[::3, ::3] / 255) ** 2.2 for name, p in photos.items()}
lights = np.exp(np.random.default_rng(0).uniform(-0.5, 0.5, (5, 3)))
lights /= lights.max(1, keepdims=True)  # five casts that only take light away
error, white = {}, np.ones(3)
print("angle between true and estimated light, in degrees, mean over n=5 casts")
print("           do nothing  gray-world  p=6  white-patch  white-patch, overexposed")
for name, photo in photos.items():
    error[name] = []
    for l in lights:
        cast, clipped = l * photo, np.minimum(3 * l * photo, 1)
        mended, reference = (correct(z, estimate_light(z)) for z in (cast, photo))
        gap = mended / mended.mean() - reference / reference.mean()
        assert np.abs(gap).max() < 1e-9  # every cast is gone, whatever the scene
        guesses = [white, *(estimate_light(cast, p) for p in (1, 6, np.inf))]
        guesses.append(estimate_light(clipped, np.inf))
        error[name].append([angle(guess, l) for guess in guesses])
    error[name] = np.mean(error[name], 0)
    print(f"{name:9}", *[f"{value:11.0f}" for value in error[name]])
nothing, gray, _, patch, over = np.array(list(error.values())).T
assert gray[0] < 0.4 * nothing[0] and gray[-1] > 1.4 * nothing[-1]
assert patch.mean() < 0.5 * gray.mean() and over.mean() > 2 * patch.mean()

figure, axes = plt.subplots(1, 4, figsize=(7, 1.6))
for name, panels in zip(("temple", "coffee"), (axes[:2], axes[2:])):
    cast = np.array([1.0, 0.75, 0.45]) * photos[name]
    seen = cast, correct(cast, estimate_light(cast))
    for panel, title, image in zip(panels, ("warm light", "gray-world"), seen):
        small = block_reduce(image.clip(0, 1), (2, 2, 1), np.mean) ** (1 / 2.2)
        small = np.round(small * 15) / 15  # a small file
        panel.imshow(small, interpolation="none")
        panel.set_title(title), panel.set_axis_off()
plt.tight_layout(), plt.show()
