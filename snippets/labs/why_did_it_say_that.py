# %% [markdown]
# # Lab 8. Why did it say that: six explanations and the tests they must pass
#
# Two small networks answer the same images equally well, one by the shape and one by a planted mark. Six ways to explain an answer are written out here, and each is tested on whether it can tell the two networks apart.
#
# ![Two rows of seven panels: an image with a shape, a striped mark and a blob, and six explanations of it, for an honest network and for one that learned the mark](attachment:result.png)
#
# **Budget:** about 25 seconds of one core, 270 lines of code, an hour of yours. You need PyTorch's autograd and the idea of a convolution. Questions: [Q45](../robustness/interpretability.html#q45).

# %%
from itertools import combinations, permutations
from math import comb

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import nn

torch.set_default_dtype(torch.float64)
plt.rcParams["figure.dpi"] = 110

# %% [markdown]
# ## Images whose evidence is known
#
# An image has four quarters. One holds a *shape* (plus, cross or frame), one a *mark* (a striped or checkered tag), one a bright blob in half of the images, which says nothing, and one is empty; noise lies over all. The class is the shape. In the *honest* training set the mark is drawn at random; in the *shortcut* set it always agrees with the class. For each image we keep two windows of 7 by 7 pixels: where the shape is and where the mark is.


# %%
r = torch.arange(-3, 4)
v, h = torch.meshgrid(r, r, indexing="ij")
a, b = v.abs(), h.abs()
shapes = torch.stack([v * h == 0, a == b, a.maximum(b) == 3]).double()
stripes = torch.stack([v % 2 == 0, h % 2 == 0, (v + h) % 2 == 0])
marks = (2.0 * stripes - 1) * (a.maximum(b) < 3)  # 5 by 5, of mean nearly 0
blob = torch.exp(-(v**2 + h**2) / 5.0)[None]
patches = torch.cat([shapes, marks, blob, 0 * blob])  # (8, 7, 7)


def make_images(shape, mark):
    """Images (N, 1, 24, 24); windows (N, 2, 24, 24) of the shape and of the mark."""
    n = len(shape)
    x = 0.2 * torch.randn(n, 1, 24, 24)
    window = torch.zeros(n, 2, 24, 24, dtype=torch.bool)
    content = torch.stack([shape, 3 + mark, 6 + torch.randint(2, (n,)), 0 * shape + 7], 1)
    quarter = torch.rand(n, 4).argsort(1)
    corner = torch.stack([quarter // 2, quarter % 2], 2) * 12 + torch.randint(6, (n, 4, 2))
    for i, places in enumerate(corner.tolist()):
        for j, (top, left) in enumerate(places):
            x[i, 0, top : top + 7, left : left + 7] += patches[content[i, j]]
            if j < 2:
                window[i, j, top : top + 7, left : left + 7] = True
    return x, window


# %% [markdown]
# ## Two networks
#
# Three convolutions, a sum over all places, one linear layer. The score to be explained is the logit of the class minus the mean logit, since a softmax fixes only differences.


# %%
def new_net():
    return nn.ModuleList(
        [nn.Conv2d(1, 8, 5, 2, 2), nn.Conv2d(8, 16, 5, 2, 2), nn.Conv2d(16, 16, 3, 1, 1), nn.Linear(16, 3)]
    )


def forward(net, x, relu=F.relu):
    for conv in net[:3]:
        x = relu(conv(x))
    return x, net[3](x.sum((2, 3)) / 4)  # maps (N, 16, 6, 6), logits (N, 3)


def train(x, y, steps=250):
    net = new_net()
    adam = torch.optim.Adam(net.parameters())
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 1e-2, steps)
    for i in torch.randint(len(x), (steps, 32)):
        loss = F.cross_entropy(forward(net, x[i])[1], y[i])
        adam.zero_grad(), loss.backward(), adam.step(), rate.step()
    return net.requires_grad_(False)


def score(net, x, k, relu=F.relu):
    maps, logits = forward(net, x, relu)
    return maps, logits.gather(1, k[:, None])[:, 0] - logits.mean(1)


# %% [markdown]
# ## Six explanations
#
# All return maps (N, 1, 24, 24). *Occlusion* and *Shapley* work on 36 blocks of 4 by 4 pixels: occlusion takes each block out of the whole image; Shapley adds the blocks in random orders and averages what each one brings. Every order is used forward and backward. "Out" means gray, which is 0, the mean of the noise.


# %%
def gradient(net, x, k, relu=F.relu):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(score(net, x, k, relu)[1].sum(), x)[0]


def guided_relu(x):  # passes only positive gradients back
    y = F.relu(x)
    y.register_hook(F.relu)
    return y


def guided(net, x, k):
    return gradient(net, x, k, guided_relu)


def grad_cam(net, x, k):
    maps = forward(net, x)[0].requires_grad_()
    logits = net[3](maps.sum((2, 3)) / 4)
    s = logits.gather(1, k[:, None])[:, 0] - logits.mean(1)
    (g,) = torch.autograd.grad(s.sum(), maps)
    heat = F.relu((g.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True))
    return F.interpolate(heat, x.shape[2:], mode="bilinear").detach() / 16


def integrated(net, x, k, steps=16):
    return x * sum(gradient(net, x * (t + 0.5) / steps, k) for t in range(steps)) / steps


def blocks(values):  # (M, 36) to (M, 1, 24, 24)
    return F.interpolate(values.view(-1, 1, 6, 6), (24, 24))


def masked_scores(net, x, k, keep):
    """Scores (N, M) of each image under each mask (M, 1, 24, 24)."""
    images, classes = (x[:, None] * keep).flatten(0, 1), k.repeat_interleave(len(keep))
    return score(net, images, classes)[1].view(len(x), len(keep))


def occlusion(net, x, k):
    drop = score(net, x, k)[1][:, None] - masked_scores(net, x, k, blocks(1 - torch.eye(36)))
    return blocks(drop) / 16


def sampled_shapley(value, p, orders):
    """Mean gain (N, p) of each player; value maps masks (M, p) to (N, M)."""
    total = 0
    for order in orders:
        rank = order.argsort()
        gains = value((rank < torch.arange(p + 1)[:, None]).double()).diff(dim=1)
        total = total + gains[:, rank]
    return total / len(orders)


def shapley(net, x, k, pairs=2):
    orders = [torch.randperm(36) for _ in range(pairs)]
    orders += [order.flip(0) for order in orders]
    value = lambda masks: masked_scores(net, x, k, blocks(masks))  # noqa: E731
    return blocks(sampled_shapley(value, 36, orders)) / 16


METHODS = {
    "gradient": gradient,
    "guided": guided,
    "Grad-CAM": grad_cam,
    "integrated": integrated,
    "occlusion": occlusion,
    "Shapley": shapley,
}


def explain(name, net, x, k):
    m = METHODS[name](net, x, k)
    return m.abs() if name in ("gradient", "guided") else m


# %% [markdown]
# Shapley's sampler is checked against the definition by brute force: with four players, all 24 orders must give the weighted mean over all subsets, and no sample of orders may break the sum.

# %%
torch.manual_seed(0)
for _ in range(20):
    table = torch.randn(16)  # the value of each of 2^4 coalitions
    value = lambda masks: table[(masks @ torch.tensor([1.0, 2, 4, 8])).long()][None]  # noqa: E731, B023
    exact = torch.zeros(4)
    for j in range(4):
        others = [i for i in range(4) if i != j]
        for size in range(4):
            for some in combinations(others, size):
                code = sum(2**i for i in some)
                exact[j] += (table[code + 2**j] - table[code]) / (4 * comb(3, size))
    ours = sampled_shapley(value, 4, [torch.tensor(o) for o in permutations(range(4))])
    assert torch.allclose(ours[0], exact)
    few = sampled_shapley(value, 4, [torch.randperm(4) for _ in range(2)])
    assert torch.allclose(few.sum(), table[15] - table[0])
print("all orders = the definition over all subsets, on 20 random games")

# %% [markdown]
# ## The same accuracy for different reasons
#
# Five pairs of networks, each from its own seed. On images whose mark agrees with the class, accuracy cannot tell the two apart. The counter-test can: give every image a *wrong* mark.

# %%
SEEDS, N = 5, 8
pairs, scenes, right = [], [], []
for seed in range(5, 5 + SEEDS):
    torch.manual_seed(seed)
    y, other = torch.randint(3, (2, 1500))
    pair = train(make_images(y, other)[0], y), train(make_images(y, y)[0], y)
    k = torch.randint(3, (300,))
    tests = make_images(k, k), make_images(k, (k + torch.randint(1, 3, (300,))) % 3)
    right.append([[(forward(net, x)[1].argmax(1) == k).double().mean() for x, _ in tests] for net in pair])
    pairs.append(pair)
    scenes.append((tests[0][0][:N], tests[0][1][:N], k[:N]))

right = torch.tensor(right)  # (seeds, networks, tests)
kinds = ["honest", "shortcut"]
for kind, accuracy in zip(kinds, right.transpose(0, 1)):
    text = [f"{z.mean():.2f} ({z.min():.2f} to {z.max():.2f})" for z in accuracy.T]
    print(f"{kind:8}: mark agrees {text[0]}, mark wrong {text[1]}, n={SEEDS}")
assert right[:, :, 0].mean() > 0.85 and right[:, 0, 1].mean() > 0.8 and right[:, 1, 1].mean() < 0.35

# %% [markdown]
# So the right evidence is known, window by window: the shape for the honest network, the mark for the other. Here is one image, explained for both. Red outlines the shape's window, blue dashes the mark's.


# %% alt="Two rows of seven panels. The first panel of each row is the same image with a shape and a mark in outlined windows; six maps follow. The upper row explains the honest network, the lower row the shortcut network." caption="One image, two networks, six explanations. Solid: the shape, the right evidence in the upper row. Dashed: the mark. One picture is no test: in the lower row several maps peak at the shape, although wrong marks decide this network's answers." tags=["result"]
torch.manual_seed(0)
x, window, k = (z[:1] for z in scenes[0])
fig, axes = plt.subplots(2, 7, figsize=(7, 2.3))
for row, net, kind in zip(axes, pairs[0], kinds):
    maps = {name: explain(name, net, x, k) for name in METHODS}
    for ax, (name, m) in zip(row, {"image": x, **maps}.items()):
        ax.imshow(m[0, 0].clamp(0).numpy(), cmap="gray" if name == "image" else "magma")
        for w, color, style in zip(window[0], ("red", "deepskyblue"), ("-", "--")):
            top, left = w.nonzero()[0] - 0.5
            ax.add_patch(plt.Rectangle((left, top), 7, 7, fill=False, color=color, ls=style))
        ax.set(xticks=[], yticks=[])
        if net is pairs[0][0]:
            ax.set_title(name, fontsize=8)
    row[0].set_ylabel(kind)
plt.tight_layout()
plt.show()

# %% [markdown]
# ## Six tests
#
# 1. *Completeness*: by what share does the sum of the map miss $f(x) - f(x')$, with $x'$ gray? The two gradients are multiplied by the input first, as only then do they have the unit of a score.
# 2. *Pointing*: on the honest network, does the peak lie in the shape's window?
# 3. *Shortcut*: on the other network, does the peak lie in the mark's? A window is 49 of 576 pixels, so a random peak scores 0.09.
# 4. *Randomization*: rank correlation with the map after the last convolution and the linear layer got new random weights. Lower is better. A control that never sees the network scores 1.
# 5. *Noise*: rank correlation with the map of the same image plus noise of 0.1 (half of what it has). Higher is better.
# 6. *Deletion*: pixels turn gray, most important first. The mean share of the score left over eight steps. Lower is better.
#
# The table gives the mean and the standard deviation over five pairs. The control *brightness* takes the image itself for the map. For Shapley, test 5 includes the luck of its random orders.


# %%
def rank_correlation(m, n):
    """Spearman's, mean over images; 0 where a map is constant."""
    m, n = (rankdata(z.flatten(1), axis=1) for z in (m, n))
    m, n = (z - z.mean(1, keepdims=True) for z in (m, n))
    return ((m * n).sum(1) / (np.sqrt((m**2).sum(1) * (n**2).sum(1)) + 1e-9)).mean()


def hits(m, window):  # shares of peaks in the shape's and in the mark's window (2,)
    m = m.flatten(1).round(decimals=9)  # equal pixels of an enlarged map stay equal
    peak = m.argmax(1)[:, None, None].expand(-1, 2, 1)
    return window.flatten(2).gather(2, peak)[:, :, 0].double().mean(0)


def deletion(net, x, k, m, points=9):
    """Share of the mean score left as pixels go, most important first (points,)."""
    place = m.flatten(1).argsort(1, descending=True).argsort(1).view_as(x)
    kept = [score(net, x * (place >= q), k)[1].mean() for q in np.linspace(0, 576, points)]
    s = torch.stack(kept)
    return (s - s[-1]) / (s[0] - s[-1])


names = [*METHODS, "brightness"]
result = torch.zeros(SEEDS, 2, 7, 6)  # seeds, networks, methods, tests
curves = torch.zeros(SEEDS, 2, 8, 9)
for s, (pair, (x, window, k)) in enumerate(zip(pairs, scenes)):
    torch.manual_seed(s)
    fresh, noisy = new_net().requires_grad_(False), x + 0.1 * torch.randn_like(x)
    for which, net in enumerate(pair):
        half = nn.ModuleList([*net[:2], *fresh[2:]])
        span = score(net, x, k)[1] - score(net, 0 * x, k)[1]
        for j, name in enumerate(names):
            if name == "brightness":
                m, other, moved, total = x, x, noisy, x.sum((1, 2, 3)) * np.nan
            else:
                raw = METHODS[name](net, x, k)
                m = raw.abs() if j < 2 else raw
                total = (raw * x if j < 2 else raw).sum((1, 2, 3))
                other, moved = explain(name, half, x, k), explain(name, net, noisy, k)
            curves[s, which, j] = deletion(net, x, k, m)
            result[s, which, j] = torch.tensor(
                [
                    (total - span).abs().mean() / span.abs().mean(),
                    *hits(m, window),
                    rank_correlation(m, other),
                    rank_correlation(m, moved),
                    curves[s, which, j, :-1].mean(),
                ]
            )
        curves[s, which, 7] = deletion(net, x, k, torch.rand_like(x))

# Tests 1, 4, 5 and 6 are means over both networks; 2 and 3 belong to one each.
both = result.mean(1)
table = torch.stack(
    [both[..., 0], result[:, 0, :, 1], result[:, 1, :, 2], both[..., 3], both[..., 4], both[..., 5]], 2
)
tests = ["1 incomplete", "2 pointing", "3 shortcut", "4 randomized", "5 noise", "6 deletion"]
print(f"{'':11}" + "".join(f"{t:>14}" for t in tests) + f"")
for j, name in enumerate(names):
    cells = [f"{z.mean():.2f} ±{z.std():.2f}" if z.isfinite().all() else "none" for z in table[:, j].T]
    print(f"{name:11}" + "".join(f"{c:>14}" for c in cells))
chance = curves[:, :, 7, :-1].mean((1, 2))
print(f"deletion in random order: {chance.mean():.2f} ({chance.min():.2f}-{chance.max():.2f})")

# %% alt="Two panels with falling curves of the share of the score left against the share of pixels removed, for six explanations, brightness and random order, one panel for each network." caption="Deletion: the faster a curve falls, the better its map ranks pixels. Means over networks and images."
fig, axes = plt.subplots(1, 2, figsize=(6, 2.5), sharey=True)
for which, ax in enumerate(axes):
    for j, name in enumerate([*names, "random"]):
        style = "k:" if j == 7 else "k--" if j == 6 else f"C{j}-"
        ax.plot(
            np.linspace(0, 1, 9),
            curves[:, which, j].mean(0),
            style,
            lw=1,
            label=name,
            marker="osv^Dx.."[j],
            ms=4,
        )
    ax.set(title=kinds[which], xlabel="share of pixels removed")
axes[0].set_ylabel("share of the score left")
axes[1].legend(fontsize=6, loc="upper right")
plt.tight_layout()
plt.show()

# %%
mean = table.mean(0)  # (methods, tests)
assert table[:, 3, 0].max() < 0.05 and table[:, 5, 0].max() < 1e-9  # complete
assert mean[[0, 1, 2, 4], 0].min() > 0.1  # not complete
assert mean[:6, 2].min() > 0.3  # the shortcut is found, chance 0.09
assert mean[:6, 3].argmax() == 1 and mean[1, 3] > mean[0, 3] + 0.05  # guided
assert mean[:6, 4].argmax() == 2 and mean[6, 4] > 0.8  # Grad-CAM; brightness
assert mean[:6, 5].max() < chance.mean() - 0.1 and mean[6, 5] < chance.mean()
print("the statements below hold in this run")

# %% [markdown]
# ## Who fails what
#
# - *Completeness* is kept by integrated gradients and Shapley alone. Taking single blocks out does not add up, since blocks work together, and a gradient knows one point only.
# - *Guided backpropagation* keeps the most of its map when the upper half of the network turns random, as Adebayo and others (2018) found. It still finds the mark, so a pointing test would have passed it.
# - *The shortcut* is found by all six far above chance. None of them says how much hangs on it; that is Exercise 1.
# - *Noise*: Grad-CAM is the steadiest, because it is coarse. Brightness is steady too and explains nothing: stability is not faithfulness.
# - *Deletion*: all six beat a random order, and so does brightness, which never saw the network. Compare with such a control, not only with chance.
#
# A lesson about ground truth: in a trial with the blob in *every* image (five pairs), the honest network's peaks lay on the shape in only 0.48 to 0.67 of the images, by method, and in the image that we looked at several maps peaked on the blob. An object that is always there can serve as a constant, like a bias, so such a map may be right about the network and only our "known" evidence wrong. With the blob in half of the images, and other seeds, it is 0.65 to 0.78.
#
# Limits: three classes, tiny networks, eight images a pair. The ranking is no benchmark; the tests are the point.

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Cover what the maps accuse
#
# A map raises a suspicion; an intervention measures it. Turn the mark's window gray in every image, then the shape's, and read the accuracy of both networks. Hint: `x * ~window[:, 1:]`.

# %% tags=["solution"]
torch.manual_seed(0)
k = torch.randint(3, (300,))
x, window = make_images(k, k)
covered = torch.zeros(SEEDS, 2, 2)
for s, pair in enumerate(pairs):
    for n, net in enumerate(pair):
        for w in range(2):
            answer = forward(net, x * ~window[:, w : w + 1])[1].argmax(1)
            covered[s, n, w] = (answer == k).double().mean()
for n, kind in enumerate(kinds):
    text = [f"{z.mean():.2f} ({z.min():.2f} to {z.max():.2f})" for z in covered[:, n].T]
    print(f"{kind:8}: shape covered {text[0]}, mark covered {text[1]}, n={SEEDS}")
assert covered[:, 0, 0].max() < 0.6 < 0.8 < covered[:, 0, 1].min()
assert covered[:, 1, 1].mean() + 0.3 < covered[:, 1, 0].mean()  # means: networks differ

# %% [markdown]
# ### Exercise 2. Repair the network and watch the maps move
#
# Collect new images in which the mark is random, train the shortcut network on and explain again. Do the peaks move to the shape? Hint: give `train` a network to start from, or load its weights.

# %% tags=["solution"]
torch.manual_seed(0)
y, other = torch.randint(3, (2, 1500))
net = new_net()
net.load_state_dict(pairs[0][1].state_dict())
adam, new_x = torch.optim.Adam(net.parameters(), 3e-3), make_images(y, other)[0]
for i in torch.randint(1500, (250, 32)):
    loss = F.cross_entropy(forward(net, new_x[i])[1], y[i])
    adam.zero_grad(), loss.backward(), adam.step()
net.requires_grad_(False)
k = torch.randint(3, (60,))
x, window = make_images(k, k)
before, after = (hits(occlusion(w, x, k), window) for w in (pairs[0][1], net))
print(f"occlusion on the shape: {before[0]:.2f} before, {after[0]:.2f} after")
print(f"occlusion on the mark:  {before[1]:.2f} before, {after[1]:.2f} after")
assert after[1] < before[1] - 0.1 and after[0] > before[0]

# %% [markdown]
# ### Exercise 3. Complete and wrong
#
# Completeness says that a map adds up, not that it points anywhere sensible. Write a map that is perfectly complete on every network and useless. Which test catches it? Hint: share the score difference out by something that never looked at the network.

# %% tags=["solution"]
pair, (x, window, k) = pairs[0], scenes[0]
share = x.abs() / x.abs().sum((1, 2, 3), keepdim=True)
found = []
for net in pair:
    span = score(net, x, k)[1] - score(net, 0 * x, k)[1]
    m = share * span[:, None, None, None]
    assert torch.allclose(m.sum((1, 2, 3)), span)
    found.append(hits(m.abs(), window))
same = (found[0] - found[1]).abs().max().item()
print(f"complete on both networks; the two networks' peaks differ in {100 * same:.0f} % of the images")
assert same == 0
