"""k-means on embeddings finds the known classes better than on pixels, not new ones.

Contrastive loss: Hadsell, Chopra, LeCun, CVPR 2006. Digits x (N, 1, 8, 8) ->
z (N, 32) on the unit sphere, trained on 0 to 4. The number of clusters, 5, is given.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score
from torch import nn

torch.set_default_dtype(torch.float64)
images, digit = load_digits(return_X_y=True)
x, digit = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(digit)


def purity(cluster, y):  # share of images that belong to their cluster's majority
    return sum(y[cluster == c].bincount().max() for c in cluster.unique()) / len(y)


def draw(axis, z, pictures, title):  # the plane of largest variance, digits as dots
    u, s, _ = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    place = u[:, :2] * s[:2]
    place = (place - place.amin(0)) / (place.amax(0) - place.amin(0)) * 151
    canvas = torch.zeros(160, 160)
    for (r, c), picture in zip(place.long().tolist(), pictures[:, 0]):
        canvas[r : r + 8, c : c + 8] = torch.maximum(
            canvas[r : r + 8, c : c + 8], picture
        )
    axis.imshow(canvas.numpy(), cmap="gray_r", interpolation="none")
    axis.set_title(title), axis.axis("off")


SEEDS, score = 5, torch.zeros(5, 2, 2, 2)  # seed, pixels or z, known or new, measure
for seed in range(SEEDS):
    torch.manual_seed(seed)
    fit, test = torch.randperm(len(x)).split([900, len(x) - 900])
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 32),
    )
    first = F.normalize(net(x)).detach()
    adam, fit = torch.optim.Adam(net.parameters(), 5e-3), fit[digit[fit] < 5]
    i, j = torch.triu_indices(48, 48, 1)
    for _ in range(40):
        batch = fit[torch.randint(len(fit), (48,))]
        d, y = F.pdist(F.normalize(net(x[batch]))), digit[batch]
        same = y[i] == y[j]
        loss = d[same].square().mean() + (1 - d[~same]).clamp(min=0).square().mean()
        adam.zero_grad(), loss.backward(), adam.step()
    z = F.normalize(net(x)).detach()
    known, new = test[digit[test] < 5], test[digit[test] > 4]
    for space, points in enumerate([x.flatten(1), z]):
        for n, part in enumerate([known, new]):
            means = KMeans(5, n_init=5, random_state=seed)
            cluster = torch.tensor(means.fit_predict(points[part])).long()
            score[seed, space, n] = torch.tensor(
                [
                    purity(cluster, digit[part]),
                    normalized_mutual_info_score(digit[part], cluster),
                ]
            )
    if seed == 0:
        panels = [
            (first, known, "untrained"),
            (z, known, "trained: 0 to 4"),
            (z, new, "same net: 5 to 9"),
        ]
plt.rcParams["font.size"] = 12
axes = plt.subplots(1, 3, figsize=(7, 2.6))[1]
for axis, (points, part, title) in zip(axes, panels):
    draw(axis, points[part[:90]], x[part[:90]], title)
plt.tight_layout(), plt.show()
gain = score[:, 1] - score[:, 0]  # z over pixels: (seed, known or new, measure)
assert gain[:, 0].min() > 0.03 and gain[:, 1].max() < -0.15  # every seed
print("(min to max)  purity                NMI")
for n, part in enumerate(["known", "new"]):
    for space, name in enumerate(["pixels", "z"]):
        cells = [
            f"{a.mean():.2f} ({a.min():.2f} to {a.max():.2f})"
            for a in score[:, space, n].T
        ]
        print(f"{part:5} {name:6}", *cells, sep="  ")
