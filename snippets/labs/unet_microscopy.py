# %% [markdown]
# # Lab 5. U-Net on microscopy-like images, and a real picture at the end
#
# You train a small U-Net from twelve generated micrographs, cut a large picture into tiles without seams, count cells that touch, and then carry the network to a photograph it has never seen.
#
# ![Left: a gray micrograph crowded with bright, textured cells, each outlined on its own, also where they touch. Right: a photograph of old coins, shrunk until a coin is as large as a cell, with the outlines that the same network gives.](attachment:result.png)
#
# **Budget:** about 25 seconds of one core, 300 lines of code, an hour of yours. You need PyTorch, NumPy, SciPy, scikit-learn, scikit-image and Matplotlib, and you should know what a convolution does. The questions behind it: [how U-Net works (Q38)](../vision-tasks/medical-imaging.html#q38), [which architectures suit medical images (Q37)](../vision-tasks/medical-imaging.html#q37), [how a CNN segments an image (Q7)](../vision-tasks/semantic-segmentation.html#q7).
#
# All numbers are of toy images. They show mechanisms and are no benchmark of anything clinical.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage import data, feature, filters, measure, morphology
from skimage import segmentation, transform
from sklearn.metrics import f1_score
from torch import nn

plt.rcParams["figure.dpi"] = 110
plt.rcParams["image.interpolation"] = "nearest"
torch.set_default_dtype(torch.float64)  # digits agree across processors
SEEDS = range(3)
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. Data: cells that touch, in uneven light
#
# Labeled microscopy is rare, so we draw it. Each cell is a wobbly disk with its own brightness and a grainy interior. More than half are drawn beside an earlier cell, so that they touch. Blur, uneven light and noise come on top.
#
# The labels number the cells. Where two cells meet, one pixel is given to the background, as in U-Net's own training data: a mask of two classes can say "two cells" only if something lies between them.


# %%
def place(height, width):
    """Centers and radii (y, x, r), many of them side by side."""
    cells, wanted = [], height * width // 230
    for _ in range(20 * wanted):
        y, x, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(4.5, 8)
        if cells and rng.random() < 0.6:  # beside an earlier cell
            y, x, other = cells[rng.integers(len(cells))]
            angle, step = rng.uniform(0, 2 * np.pi), 0.93 * (other + r)
            y, x = y + step * np.sin(angle), x + step * np.cos(angle)
        free = all(np.hypot(y - b, x - a) > 0.9 * (r + s) for b, a, s in cells)
        if free and 0 <= y < height and 0 <= x < width and len(cells) < wanted:
            cells.append((y, x, r))
    return cells


def micrograph(height, width):
    """An image (H, W) of mean 0 and deviation 1, and labels (H, W), 0 = background."""
    y, x = np.mgrid[:height, :width]
    cells = place(height, width)
    nearest, labels = np.ones((height, width)), np.zeros((height, width), int)
    for number, (cy, cx, r) in enumerate(cells, 1):
        angle = np.arctan2(y - cy, x - cx)
        wobble = sum(np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 4))
        distance = np.hypot(y - cy, x - cx) / (r * (1.05 + 0.08 * wobble))
        closer = distance < nearest  # 1 on the outline, 0 in the center
        nearest[closer], labels[closer] = distance[closer], number
    for a, b in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        touch = (labels[a] != labels[b]) & (labels[a] > 0) & (labels[b] > 0)
        labels[a][touch] = 0  # a pixel of background between neighbors
    bright = rng.uniform(0.6, 1, len(cells) + 1)[labels] * (1 - 0.3 * nearest**2)
    grain = 0.7 * ndimage.gaussian_filter(rng.normal(size=(height, width)), 1.2)
    image = ndimage.gaussian_filter((labels > 0) * (bright + grain), 0.8)
    light = rng.normal() * (y / height - 0.5) + rng.normal() * (x / width - 0.5)
    image = image * np.exp(0.5 * light) + 0.35 * light
    image += 0.12 * rng.normal(size=image.shape)
    # Numbered anew: a corner that a gap cuts off counts as a cell of its own.
    return standardize(image), measure.label(labels, connectivity=1)


def standardize(image):
    return (image - image.mean()) / image.std()


# %% [markdown]
# ### The weight of each pixel
#
# A gap of one pixel is almost nothing in a loss that averages over pixels. U-Net therefore weighs background by how close the *two* nearest cells are, $d_1$ and $d_2$ pixels away:
#
# $$
# w(x) = w_c(x) + w_0 \exp\left(-\frac{(d_1(x) + d_2(x))^2}{2 \sigma^2}\right)
# $$
#
# with $w_c$ balancing the two classes. The paper takes $w_0 = 10$ and $\sigma$ of about 5 pixels. Our cells are only 12 pixels wide and $\sigma = 5$ would mark nearly all background between them, so we take 2. We check the map against distances computed the slow way.


# %%
def weight_map(labels, w0=10.0, sigma=2.0):
    """labels (H, W) -> weights (H, W)."""
    back = labels == 0
    weights = np.where(back, 0.5 / back.mean(), 0.5 / (1 - back.mean()))
    numbers = np.unique(labels[~back])
    d = [ndimage.distance_transform_edt(labels != n) for n in numbers]
    d1, d2 = np.sort(d, axis=0)[:2]
    return weights + back * w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))


_, labels = micrograph(40, 48)
points = np.argwhere(labels >= 0)
numbers = range(1, labels.max() + 1)
each = [cdist(points, np.argwhere(labels == n)).min(1) for n in numbers]
slow = 10 * np.exp(-(np.sort(each, 0)[:2].sum(0).reshape(labels.shape) ** 2) / 8)
extra = weight_map(labels) - weight_map(labels, w0=0)
assert np.abs(extra - slow * (labels == 0)).max() < 1e-9
print("weight map = brute force: difference < 1e-9")

pool = []  # twelve training pictures: image, mask, weights
for _ in range(12):
    image, labels = micrograph(96, 96)
    pool.append(np.stack([image, labels > 0, weight_map(labels)]))
pool = torch.from_numpy(np.stack(pool))  # (12, 3, 96, 96)
tests = [micrograph(160, 160) for _ in range(3)]  # larger than any training crop
print("12 training pictures of 96 x 96, 3 test pictures of 160 x 160")

# %% alt="Three panels. A gray picture of crowded, grainy cells, darker on one side. The same cells as flat gray shapes with dark lines where they touch. A heat map, bright on the thin lines between touching cells and dark elsewhere." caption="Image, mask and weight. In the image the gap between two touching cells is a faint shadow at best; in the weight map it is what counts."
fig, axes = plt.subplots(1, 3, figsize=(6.5, 2.4), layout="constrained")
for ax, picture, title in zip(axes, pool[1], ("image", "mask", "weight")):
    picture = picture[:64, :64].clamp(-2, 6).numpy()
    ax.imshow((picture * 4).round(), cmap="magma" if title == "weight" else "gray")
    ax.set_title(title), ax.set_axis_off()
plt.show()

# %% [markdown]
# ## 2. Model: a U-Net with two poolings
#
# The encoder halves the side twice, the decoder doubles it twice, and at each level the encoder's map is *concatenated* to the decoder's. With `skips=False` it carries zeros, so both variants have equally many weights.
#
# Two choices serve the tiles in section 5. Zero padding keeps sizes simple. And the normalization is batch norm, whose statistics are fixed after training: a pixel's answer then depends on its surroundings only, not on what else is in the tile.


# %%
def block(c_in, c_out, norm):
    layers = []
    for c in (c_in, c_out):
        conv = nn.Conv2d(c, c_out, 3, padding=1, bias=False)
        layers += [conv, norm(c_out), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, skips=True, norm=nn.BatchNorm2d, c=(6, 12, 16)):
        super().__init__()
        self.skips = skips
        down, up = zip((1, *c), c), zip(c[:0:-1], c[-2::-1])
        self.down = nn.ModuleList(block(a, b, norm) for a, b in down)
        self.up = nn.ModuleList(block(a + b, b, norm) for a, b in up)
        self.head = nn.Conv2d(c[0], 1, 1)

    def forward(self, x):  # (N, 1, H, W), sides divisible by 4 -> logits (N, 1, H, W)
        kept = [self.down[0](x)]  # (N, 6, H, W)
        for down in self.down[1:]:  # (N, 12, H/2, W/2), then (N, 16, H/4, W/4)
            kept.append(down(F.max_pool2d(kept[-1], 2)))
        x = kept.pop()
        for up in self.up:
            skip, x = kept.pop(), F.interpolate(x, scale_factor=2)
            x = up(torch.cat([skip * self.skips, x], 1))
        return self.head(x)


print(f"{sum(p.numel() for p in UNet().parameters()):,} parameters")

# %% [markdown]
# ## 3. Training: crops, turns and mirror images
#
# Twelve pictures suffice because each step sees new crops of 48 pixels, turned and mirrored. Cells have no upright position, so all eight versions are as likely as the original. The loss is cross-entropy per pixel, plain or weighted; nothing else differs.
#
# Three variants, three seeds each: plain loss, weighted loss, and plain loss without skips.


# %%
def crops(n, side=48):  # -> three tensors (n, 1, side, side)
    batch = []
    ends = len(pool), 97 - side, 97 - side, 8
    for k, i, j, turn in torch.stack([torch.randint(end, (n,)) for end in ends]).T:
        crop = pool[k, :, i : i + side, j : j + side].rot90(int(turn), (1, 2))
        batch.append(crop.flip(2) if turn > 3 else crop)
    return torch.stack(batch).split(1, 1)


def train(seed, weighted=False, skips=True, steps=45):
    torch.manual_seed(seed)
    net = UNet(skips)
    adam = torch.optim.Adam(net.parameters())
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, 0.02, steps)
    for _ in range(steps):
        image, mask, weight = crops(6)
        weight = weight if weighted else torch.ones_like(weight)
        loss = F.binary_cross_entropy_with_logits(net(image), mask, reduction="none")
        adam.zero_grad()
        ((loss * weight).sum() / weight.sum()).backward()
        adam.step(), cycle.step()
    return net.eval()


plain = [train(seed) for seed in SEEDS]
weighted = [train(seed, weighted=True) for seed in SEEDS]
no_skips = [train(seed, skips=False) for seed in SEEDS]
print("trained: 3 variants, 3 seeds each")

# %% [markdown]
# ## 4. Scores: pixels and objects
#
# **Dice** compares masks, $D = 2 \lvert A \cap B \rvert / (\lvert A \rvert + \lvert B \rvert)$. It is the F1 score of the pixels, which is how we check it.
#
# **Object F1** compares cells. A predicted cell and a true one match if their IoU is above 0.5. Since neither labeling overlaps itself, no cell can have two matches, and one table of shared pixels answers all pairs at once.


# %%
def dice(a, b):  # masks of any equal shape
    total = a.sum() + b.sum()
    return 2 * (a & b).sum() / total if total else 1.0  # two empty masks agree


def matches(truth, found):
    """Pairs with IoU above 0.5; labels (H, W), numbered 1, 2, ..., 0 = background."""
    shared = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(shared, (truth, found), 1)
    union = shared.sum(1, keepdims=True) + shared.sum(0) - shared
    return int((shared / union > 0.5)[1:, 1:].sum())


for trial in range(200):
    a, b = rng.integers(0, 4, (2, 5, 5)) * (rng.random((2, 5, 5)) < rng.random())
    a[0], b[0, :4], a[1, :3], b[1, :3], b[4, 4], a[4, 4] = 1, 1, 2, 2, 3, 3
    assert abs(dice(a > 1, b > 1) - f1_score(a.ravel() > 1, b.ravel() > 1)) < 1e-12
    pairs = [(a == i, b == j) for i in range(1, 4) for j in range(1, 4)]
    assert matches(a, b) == sum((p & q).sum() / (p | q).sum() > 0.5 for p, q in pairs)
none = np.zeros((5, 5), bool)
assert dice(none, none) == 1 and dice(none, ~none) == 0
print("Dice = scikit-learn's F1, matches = brute force, on 200 random maps")

# %% [markdown]
# ## 5. A picture larger than the crops: overlapping tiles
#
# A convolutional network takes any size, but memory does not. So a large picture is predicted tile by tile. Side by side, tiles have seams: near its edge a tile sees zeros where the picture goes on. Each tile is therefore cut with a margin, and only its middle is kept. The picture itself is mirrored at its border.
#
# How wide must the margin be? Each 3×3 convolution reaches one pixel of its own grid: 2 pixels for the block at full resolution, 4 at half, 8 at a quarter, then 4 and 2 again, 20 in all, and pooling and doubling add up to 3. A multiple of 4 keeps the pooling grid where it was. So 24.


# %%
@torch.no_grad()
def predict(net, image, margin=24, core=None):
    """Probabilities (H, W), in tiles of core x core; core None: all at once."""
    x = torch.from_numpy(image)[None, None]
    (height, width), x = image.shape, F.pad(x, [margin] * 4, mode="reflect")
    rows, core = [], core or max(height, width)
    for i in range(0, height, core):
        tiles = [x[..., i : i + core + 2 * margin, j : j + core + 2 * margin] for j in range(0, width, core)]
        tiles = [net(t)[0, 0].sigmoid() for t in tiles]
        inner = slice(margin, -margin or None)
        rows.append(torch.cat([t[inner, inner] for t in tiles], 1))
    return torch.cat(rows).numpy()


whole = predict(plain[0], tests[0][0])
seams = {}
for margin in (0, 8, 24):
    # The same mirrored frame for both, so that only the cutting differs.
    framed = np.pad(tests[0][0], 24, mode="reflect")
    reference = predict(plain[0], framed, 0)[24:-24, 24:-24]
    tiled = predict(plain[0], tests[0][0], margin, core=40)
    seams[margin] = np.abs(tiled - reference)
assert seams[24].max() < 1e-9 and np.abs(whole - reference).max() < 1e-9
assert seams[0].max() > 0.3 and seams[0].max() > seams[8].max() > 1e-6
print("16 tiles against the whole picture, largest difference of a probability:")
print(f"margin 0: {seams[0].max():.1f}, 8: {seams[8].max():.1f}, 24: < 1e-9")

# %% alt="Two panels. Left: the map of differences between tiles without margin and the whole picture, dark with bright lines along a grid of tile borders. Right: the same with a margin of 24 pixels, dark everywhere." caption="Where tiles and whole picture disagree. The errors lie along the seams; with a margin of 24 pixels nothing is left."
fig, axes = plt.subplots(1, 2, figsize=(6, 2.5), layout="constrained")
for ax, margin in zip(axes, (0, 24)):
    picture = (seams[margin] * 8).round() / 8  # few colors keep the file small
    shown = ax.imshow(picture, cmap="magma", vmin=0, vmax=0.5)
    ax.set_title(f"margin {margin}"), ax.set_axis_off()
fig.colorbar(shown, ax=axes, label="difference")
plt.show()

# %% [markdown]
# ## 6. From a mask to cells
#
# Two ways. **Connected components** of the mask: right if the gaps are there. A **watershed**: the farther a pixel is from the background, the deeper it lies; each local maximum of that distance, after a slight blur, starts a cell, and cells grow until they meet. It uses that cells are roundish.


# %%
def components(mask):
    labels = measure.label(mask, connectivity=1)  # 4 neighbors
    sizes = np.bincount(labels.ravel())
    return measure.label(np.where(sizes[labels] < 12, 0, labels), connectivity=1)


def watershed(mask):
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1)
    regions = measure.label(mask)
    peaks = feature.peak_local_max(depth, min_distance=3, labels=regions, exclude_border=False)
    markers = np.zeros(mask.shape, int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-depth, markers, mask=mask)


def score(maps, split, threshold=0.5):
    """Dice, object F1 and cells found / true, pooled over the test pictures."""
    found = [split(p > threshold) for p in maps]
    truths = [labels for _, labels in tests]
    overlap = dice(np.stack(maps) > threshold, np.stack(truths) > 0)
    true, said = sum(t.max() for t in truths), sum(f.max() for f in found)
    hits = sum(map(matches, truths, found))
    return overlap, 2 * hits / (true + said), said / true


variants = {"plain": plain, "weighted": weighted, "no skips": no_skips}
maps = {
    name: [[predict(net, image) for image, _ in tests] for net in nets] for name, nets in variants.items()
}
scores = {
    (name, split.__name__): np.array([score(m, split) for m in maps[name]])
    for name in variants
    for split in (components, watershed)
}
print("mean (and range) of 3 seeds")
print(f"{'':20}   {'Dice':18}{'object F1':18}{'found / true':18}")
for (name, split), s in scores.items():
    row = "".join(f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})  " for v in s.T)
    print(f"{name + ', ' + split:20}  {row}")

plain_f1 = scores["plain", "components"][:, 1]
weighted_f1 = scores["weighted", "components"][:, 1]
basin_f1 = scores["plain", "watershed"][:, 1]
assert (weighted_f1 > plain_f1 + 0.4).all()  # weights make components work
assert (basin_f1 > plain_f1 + 0.4).all()  # a watershed without weights does, too
assert abs(basin_f1.mean() - weighted_f1.mean()) < 0.1
assert scores["plain", "components"][:, 0].min() > 0.88

# %% [markdown]
# Read the table row by row.
#
# - **A good mask can be a bad count.** The plain network has the best Dice, 0.92, and its components find one "cell" where there are six: neighbors are one region. Object F1 is 0.13.
# - **The weights do what they promise.** Components of the weighted mask reach 0.83. The price is Dice, 0.89: a network that is punished for closed gaps also opens some inside cells, as the figure below shows.
# - **They are not the only way.** A watershed on the *plain* mask counts as well, 0.86, and keeps the better mask. On the weighted mask it finds a quarter too many cells, since each hole makes new maxima.
# - **Without skips** Dice falls by 0.02 on average and the count does not suffer at all; a watershed likes smooth blobs. "U-Net lives by its skips" is true of outlines, and of things thinner than the coarsest pixel. Cells of 12 pixels are still three pixels wide after two poolings, so their places survive. Thin membranes would not.
#
# Eight more starts, on two other sets of pictures, gave for object F1:
#
# | network, reading | three starts | five starts (range) |
# |---|---|---|
# | plain, components | 0.18 | 0.15 (0.13 to 0.18) |
# | weighted, components | 0.89 | 0.90 (0.86 to 0.91) |
# | plain, watershed | 0.89 | 0.88 (0.74 to 0.94) |
# | no skips, watershed | 0.90 | 0.89 (0.82 to 0.93) |
#
# So weights and watershed are level on average, and the weights vary less from start to start.

# %% alt="Four panels of a small region. The gray image of touching cells. The plain network's probabilities, in which neighbors melt into one white region with gray seams. The weighted network's, with dark lines between the cells. Those of the network without skips, with blurred, blocky outlines." caption="The same cells. The weighted loss buys dark lines between cells; without skips the outlines are soft."
fig, axes = plt.subplots(1, 4, figsize=(6.5, 2), layout="constrained")
panels = {"image": tests[0][0], **{name: m[0][0] for name, m in maps.items()}}
for ax, (title, picture) in zip(axes, panels.items()):
    picture = picture[40:88, 40:88]
    ax.imshow((picture / picture.max() * 12).round(), cmap="gray")
    ax.set_title(title), ax.set_axis_off()
plt.show()

# %% [markdown]
# ## 7. A real picture, and what breaks
#
# The photograph shows 24 coins on a dark ground: bright, grainy, round, in uneven light, but not cells. Nobody drew their outlines. The reference is a watershed on the edges with markers [tuned by hand for this picture](../vision-tasks/semantic-segmentation.html#q20-coins-watershed); it finds the 24.
#
# The plain networks get it three times: as it is, with coins 43 pixels wide; shrunk until a coin is as large as a cell, 12 pixels; and shrunk and *flattened*. A white top-hat does that: it subtracts what stays after an opening with a disk larger than any coin, which is the light on the ground. No network is trained again.

# %%
photo = data.coins() / 255  # (303, 384)
markers = np.zeros(photo.shape, int)
markers[photo < 30 / 255], markers[photo > 150 / 255] = 1, 2
coins = segmentation.watershed(filters.sobel(photo), markers) == 2
coins = ndimage.binary_opening(ndimage.binary_fill_holes(coins), iterations=3)


def resize(image, shape):
    return transform.resize(image.astype(float), shape, anti_aliasing=True)


small = resize(photo, (84, 108))
flat = morphology.white_tophat(small, morphology.disk(11))
inputs = {"as it is": photo[:300], "shrunk": small, "shrunk, flattened": flat}
results, found = {}, {}
for name, image in inputs.items():
    truth = resize(coins[:300] if name == "as it is" else coins, image.shape) > 0.5
    truth_labels = measure.label(truth)
    assert truth_labels.max() == 24
    rows = []
    for net in plain:
        mask = predict(net, standardize(image)) > 0.5
        found[name] = found.get(name, []) + [watershed(mask)]
        last = found[name][-1]
        rows.append((dice(mask, truth), matches(truth_labels, last), last.max()))
    results[name] = np.array(rows)
    d, hits, count = results[name].T
    print(f"{name:18} Dice {d.min():.2f}-{d.max():.2f}", end=", ")
    print(f"coins {hits.min():.0f}-{hits.max():.0f} of 24", end=", ")
    print(f"regions {count.min():.0f}-{count.max():.0f}")
as_is, shrunk, flattened = results.values()
assert (flattened[:, 0] > shrunk[:, 0] + 0.05).all() and flattened[:, 1].min() >= 22
assert (flattened[:, 2] < as_is[:, 2]).all()

# %% tags=["result"] alt="Left: part of a gray test micrograph with a yellow outline around each cell, also where cells touch. Right: the photograph of 24 coins, shrunk and blocky, with yellow outlines around the coins." caption="Left: a test micrograph, cells by U-Net and watershed. Right: the same network on coins, shrunk and flattened; the picture under the outlines is the shrunk photograph."
best = flattened[:, 2].argmin()
fig, axes = plt.subplots(1, 2, figsize=(5.2, 2.2), layout="constrained")
shown = (tests[0][0][:70, :90], watershed(maps["plain"][best][0] > 0.5)[:70, :90])
pairs = shown, (small, found["shrunk, flattened"][best])
for ax, (picture, cells) in zip(axes, pairs):
    ax.imshow((picture / picture.max() * 7).round(), cmap="gray")
    for number in range(1, cells.max() + 1):
        ax.contour(cells == number, [0.5], colors="gold", linewidths=0.8)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# **Scale.** A coin is almost four times as wide as a typical cell, and its relief is read as cells and gaps: 87 to 112 regions. Shrinking the photograph costs one line and removes more than half of them. A fully convolutional network accepts any size, which does not mean that it was trained for it; and the watershed has a scale of its own (Exercise 3).
#
# **Light.** Dice hardly moves and stays below 0.8, because the lit upper edge of the ground is as bright as a dark coin and is taken for cells. The training pictures had uneven light too, only less of it. Flattened, Dice rises to about 0.9 and all three networks find all 24 coins.
#
# **What is left** is a wrong count: ten or more false regions. Those in the picture lie along the frame. A filter by size or a higher threshold would remove them, but choosing it on the one picture we report would be tuning on the test. The plain networks of the eight other starts found all 24 coins too, with 26 to 53 regions and Dice of 0.81 to 0.97.
#
# So the network transfers as far as the new picture can be made to look like the old ones. We could do that because we saw what differed. For unseen pictures the better remedy is a wider generator, with more sizes and stronger light, and labels from the new source to measure on.
#
# ## Exercises
#
# ### Exercise 1. Swap the normalization
#
# Replace batch norm by instance norm, which many U-Nets for medicine use, and compare tiles of margin 24 with the whole picture again. Random weights will do. *Hint:* over which pixels does each take its mean at test time?

# %% tags=["solution"]
torch.manual_seed(0)
errors = {}
for norm in (nn.BatchNorm2d, lambda c: nn.InstanceNorm2d(c, affine=True)):
    net = UNet(norm=norm).eval()
    tiled, whole = (predict(net, tests[0][0], core=core) for core in (40, None))
    errors[len(errors)] = np.abs(tiled - whole).max()
assert errors[0] < 1e-9 and errors[1] > 0.02
print("batch norm: < 1e-9, instance norm: > 0.02")
# Instance norm averages over the tile, so a pixel's answer depends on all of it; no
# margin cures that. Batch norm in training mode would do the same.

# %% [markdown]
# ### Exercise 2. A threshold instead of weights
#
# The plain network gives gaps a lower probability than cells, only not below 0.5. Can a higher threshold separate the cells as well as the weights do? Try ten, use components, and be generous: choose the best one on the test pictures themselves, for each seed. *Hint:* `score(m, components, t)` with the stored `maps`.

# %% tags=["solution"]
levels = np.linspace(0.5, 0.95, 10)
moved = [max(score(m, components, t)[1] for t in levels) for m in maps["plain"]]
gap = weighted_f1 - moved
assert (moved > plain_f1).all() and gap.min() > 0.05
print(
    f"best threshold: F1 {min(moved):.2f}-{max(moved):.2f}, weighted at 0.5: "
    f"{weighted_f1.min():.2f}-{weighted_f1.max():.2f}"
)
# Part of the effect is a moved threshold, but not all: a threshold shrinks cells
# everywhere, the weights act between cells only.

# %% [markdown]
# ### Exercise 3. How far may the scale be off?
#
# Resize the first test picture by factors from 0.5 to 2 and draw object F1 over the factor. Which side is worse for the count? Dice at the same scales tells whether the mask or its division into cells is at fault. *Hint:* resize labels without interpolation (`order=0`), and number them anew, since a gap of one pixel may vanish.

# %% tags=["solution"] alt="A line chart of object F1 over the scale of the picture, from 0.5 to 2. The curve has its top near scale 1 and falls on both sides." caption="Object F1 of three networks (thin lines) and their mean. Dice, printed below, falls far less: most of the loss is in the division into cells."
scales, image, labels = (0.5, 0.7, 1, 1.4, 2), *tests[0]
curve, overlap = [], []
for scale in scales:
    side = int(160 * scale) // 4 * 4
    truth = transform.resize(labels, (side, side), order=0, preserve_range=True)
    truth = measure.label(truth.astype(int), connectivity=1)
    resized = standardize(resize(image, (side, side)))
    answers = [watershed(predict(net, resized) > 0.5) for net in plain]
    overlap.append(np.mean([dice(a > 0, truth > 0) for a in answers]))
    curve.append([2 * matches(truth, a) / (truth.max() + a.max()) for a in answers])
curve = np.array(curve)  # (scales, seeds)
assert (curve[2] > curve[[0, 4]] + 0.1).all()
fig, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
ax.plot(scales, curve, color="gray", linewidth=0.8)
ax.plot(scales, curve.mean(1), "o-", color="black")
ax.set(xlabel="scale of the test picture", ylabel="object F1", ylim=(0, 1))
plt.show()

# %% tags=["solution"]
assert curve.mean(1).argmax() in (1, 2, 3) and np.argmax(overlap) in (1, 2, 3)
for row in zip(scales, curve.mean(1), overlap):
    print("scale {}: object F1 {:.2f}, Dice {:.2f}".format(*row))
# Compare the columns: where Dice holds and F1 falls, the division into cells is at
# fault, for the watershed's 3 pixels and its blur have a scale as well.

# %% [markdown]
# ## What to take along
#
# - Fix every statistic of the network at test time, give tiles a margin as wide as the network sees, and tiles are exact.
# - Dice says nothing about counts. Score objects when objects are what you need.
# - Border weights, a watershed, or both: measure. Here a watershed on the plain mask was on average as good as the weights, and both together hardly better.
# - Network and watershed carry the scale and the light of the training pictures with them. Match both, or train for more.
