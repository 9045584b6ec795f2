# %% [markdown]
# # Lab 7. Attack, defend, certify
#
# You attack small CNNs in three ways, catch a defense that only seems to work, train two that do work, and prove for most images that no attack within a budget can succeed. At the end two curves enclose the truth: what survived every attack from above, what is proved from below.
#
# ![Two panels, accuracy against the size of the change. In each, the upper curve (correct under attack) and the lower curve (proved correct) start near 0.9 and fall; the area between them is shaded.](attachment:result.png)
#
# **Budget:** about 20 seconds of one core, 320 lines of code with the exercises, an hour of yours. You need PyTorch and the answer to [Q42](../robustness/adversarial-attacks.html#q42), which explains the methods; here they are built, checked against brute force, and put together.
#
# ## Data, model, threat model
#
# Handwritten digits of 8×8 pixels with values from 0 to 1. To see the spread, all is done five times at once: five random splits, five networks side by side (`groups=S` keeps their weights apart). Every number below is the mean of the five, with the range in brackets. The training settings were chosen while looking at such test images, so read the levels as optimistic; two fresh sets of five splits gave the same picture. Toys show mechanisms, they are no benchmark.
#
# The attacker sees everything (white box), may change every pixel by at most $\varepsilon$ (the $L_\infty$ box), and wants any wrong answer.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from scipy import fft, stats
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
plt.rcParams["figure.dpi"] = 110
S, EPS = 5, 0.1  # networks; the budget that the defenses are built for

images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
split = torch.rand(len(images), S).argsort(0)
x, y = images.view(-1, 8, 8)[split] / 16, labels[split]  # (N, S, 8, 8), (N, S)
train_x, train_y, x, y = x[:1400], y[:1400], x[-80:], y[-80:]


def cnns():
    return nn.Sequential(
        nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
        nn.ReLU(),  # (N, 8 S, 4, 4)
        nn.Conv2d(8 * S, 32 * S, 4, groups=S),
        nn.ReLU(),  # (N, 32 S, 1, 1)
        nn.Conv2d(32 * S, 10 * S, 1, groups=S),
        nn.Unflatten(1, (S, 10)),
        nn.Flatten(2),
    )  # (N, S, 10)


def cross_entropy(logits, y):  # one value for each image and network, (N, S)
    return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)


def train(objective, front=(), updates=200):
    net = nn.Sequential(*front, *cnns())
    adam = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.03, total_steps=updates)
    for step, i in enumerate(torch.randint(len(train_x), (updates, 50))):
        progress = min(1, 2.5 * step / updates)  # only the interval bounds below use it
        loss = objective(net, train_x[i], train_y[i], progress)
        adam.zero_grad(), loss.backward(), adam.step(), schedule.step()
    return net.requires_grad_(False)


def ordinary(net, x, y, progress=1):
    return cross_entropy(net(x), y).mean()


def right(net, z):  # (N, S)
    return net(z).argmax(2) == y


def spread(hits):  # (N, S) -> mean and range over the networks
    v = hits.double().mean(0)
    return f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})"


plain = train(ordinary)
assert right(plain, x).double().mean() > 0.9
print(f"clean accuracy on {len(x)} test images, {S} networks: {spread(right(plain, x))}")

# %% [markdown]
# ## Attack 1: one step (FGSM)
#
# FGSM moves each pixel by $\varepsilon$ in the direction that raises the loss. On a linear model this is the exact worst case, which makes a test: 8 pixels, and the loss at all points of the box whose changes are $-\varepsilon$, 0 or $\varepsilon$.


# %%
def project(z, x, eps):  # onto the box around x, then onto valid pixels
    return z.clamp(x - eps, x + eps).clamp(0, 1)


def fgsm(net, x, y, eps):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(net(x), y).sum(), x)
    return project(x + eps * gradient.sign(), x, eps).detach()


def worst_by_brute_force(net, x, y, eps):  # x (N, 1, 2, 4): the highest loss on the grid
    steps = torch.cartesian_prod(*[torch.tensor([-eps, 0, eps])] * 8).view(-1, 1, 2, 4)
    losses = [cross_entropy(net(v + steps), t.expand(len(steps), 1)) for v, t in zip(x, y)]
    return torch.stack(losses).amax(1)  # (N, 1)


small_x, small_y = 0.3 + 0.4 * torch.rand(20, 1, 2, 4), torch.randint(2, (20, 1))
linear = nn.Sequential(nn.Flatten(2), nn.Linear(8, 2)).requires_grad_(False)
found = cross_entropy(linear(fgsm(linear, small_x, small_y, EPS)), small_y)
assert torch.allclose(found, worst_by_brute_force(linear, small_x, small_y, EPS))
print(f"linear model: FGSM equals the worst of {3**8} points, on all {len(small_x)} inputs")

# %% [markdown]
# ## Attack 2: many steps (PGD with restarts)
#
# PGD takes small steps and projects each back onto the box. Two details decide whether it is worth its name. It keeps, for each image, the *best* point it saw, not the last; and it starts several times at random, because the loss of a network has several hills. The same brute force shows both on a network that is far from linear inside the box.


# %%
def pgd(net, x, y, eps, steps=20, restarts=1, loss=cross_entropy):
    best, highest = x.clone(), torch.full(y.shape, -torch.inf)
    for _ in range(restarts):
        z = project(x + eps * (2 * torch.rand_like(x) - 1), x, eps)
        for step in range(steps + 1):
            z.requires_grad_()
            value = loss(net(z), y)
            better = value > highest
            best[better], highest[better] = z[better].detach(), value[better].detach()
            if step < steps:
                (gradient,) = torch.autograd.grad(value.sum(), z)
                z = project(z.detach() + 2.5 * eps / steps * gradient.sign(), x, eps)
    return best


bumpy = nn.Sequential(nn.Flatten(2), nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
bumpy.requires_grad_(False)[1].weight.mul_(6)
worst = worst_by_brute_force(bumpy, small_x, small_y, EPS)
for name, z in (
    ("FGSM", fgsm(bumpy, small_x, small_y, EPS)),
    ("PGD", pgd(bumpy, small_x, small_y, EPS)),
    ("PGD, 10 restarts", pgd(bumpy, small_x, small_y, EPS, restarts=10)),
):
    share = cross_entropy(bumpy(z), small_y) / worst
    print(f"{name:17} loss as a share of the worst on the grid: {share.min():.2f} or more")
assert share.min() > 0.97

for eps in (0.05, 0.15):
    one, many = fgsm(plain, x, y, eps), pgd(plain, x, y, eps, restarts=2)
    inside = (many - x).abs().max() <= eps + 1e-12 and many.min() >= 0 and many.max() <= 1
    higher = cross_entropy(plain(many), y) >= cross_entropy(plain(x), y)
    assert inside and higher.double().mean() > 0.99
    print(f"eps {eps:.2f}: FGSM leaves {spread(right(plain, one))}, PGD {spread(right(plain, many))}")
assert right(plain, many).double().mean() < right(plain, one).double().mean() - 0.03

# %% [markdown]
# ## Attack 3: answers only
#
# What if there is no gradient to follow, or a useless one? RayS (Chen and Gu, KDD 2020) asks for nothing but the predicted class. It searches over directions $s \in \{-1, 1\}^{64}$: start with all ones, flip the sign of a half, of a quarter … down to single pixels, and keep a flip if the answer is wrong *at the radius reached so far*; then shrink the radius by bisection.
#
# The test is again a linear model, where the smallest radius is known: the difference of the two logits over the $L_1$ norm of the difference of their weights.


# %%
@torch.no_grad()
def rays(net, x, y, halvings=6):
    """A radius at which labels alone lead to a wrong answer, and the image there."""
    sign, radius = torch.ones_like(x), torch.ones(y.shape)

    def move(x, sign, radius):
        return (x + radius[..., None, None] * sign).clamp(0, 1)

    for size in (64, 32, 16, 8, 4, 2, 1):
        for start in range(0, 64, size):
            trial = sign.clone()
            trial.flatten(2)[..., start : start + size] *= -1
            fooled = net(move(x, trial, radius)).argmax(2) != y
            rows = fooled.any(1)  # images that some network gets wrong
            low, high = torch.zeros_like(radius[rows]), radius[rows]
            for _ in range(halvings if rows.any() else 0):
                middle = (low + high) / 2
                hit = net(move(x[rows], trial[rows], middle)).argmax(2) != y[rows]
                low, high = low.where(hit, middle), middle.where(hit, high)
            radius[rows] = high.where(fooled[rows], radius[rows])
            sign = trial.where(fooled[..., None, None], sign)
    return radius, move(x, sign, radius)


linear = nn.Sequential(nn.Flatten(2), nn.Linear(64, 2)).requires_grad_(False)
linear[1].bias.sub_(linear(torch.full((1, 1, 8, 8), 0.5))[0, 0])  # both classes near mid-gray
gray = 0.5 + 0.05 * torch.randn(20, 1, 8, 8)  # so far inside that no pixel is clipped
logits, (a, b) = linear(gray), linear[1].weight
exact = (logits[..., 0] - logits[..., 1]).abs() / (a - b).abs().sum()
found, _ = rays(linear, gray, logits.argmax(2), halvings=20)
assert torch.allclose(found, exact, rtol=1e-3, atol=1e-5)
reach, seen = rays(plain, x, y)
assert (right(plain, seen) <= (reach == 1)).all()  # wrong at the radius it names
print("linear model: RayS finds the smallest radius, on all 20 inputs")
print(f"eps 0.15: RayS leaves {spread(reach > 0.15)}, from labels alone")

# %% [markdown]
# With at most a thousand questions an image and no gradient, RayS comes close to PGD. Hidden weights protect little.

# %% alt="Four pictures of the same digit: the image, and what FGSM, PGD and RayS make of it; a reader sees the same digit four times, the network another one in the last three. Below, the changes: most pixels that can move do so by the full step." caption="Changes of 0.15 by FGSM and PGD; for RayS the radius it found. The title is what the network reads. Blue is brighter, red darker."
attacked = {"image": x, "FGSM": fgsm(plain, x, y, 0.15), "PGD": many, "RayS": seen}
wrong = [~right(plain, z)[:, 0] for z in attacked.values()]
n = (~wrong[0] & wrong[1] & wrong[2] & (reach[:, 0] < 0.15)).nonzero()[0, 0]
figure, axes = plt.subplots(2, 4, figsize=(6.5, 3.5))
for (name, z), (top, below) in zip(attacked.items(), axes.T):
    top.imshow(z[n, 0].numpy(), cmap="gray", vmin=0, vmax=1)
    top.set_title(f"{name}: {plain(z)[n, 0].argmax()}")
    below.imshow((z - x)[n, 0].numpy(), cmap="RdBu", vmin=-0.25, vmax=0.25)
plt.setp(axes, xticks=[], yticks=[])
plt.tight_layout()
plt.show()

# %% [markdown]
# ## A defense that looks perfect
#
# JPEG keeps what the eye needs and rounds the rest away; surely the attack is in the rest? The heart of JPEG is a cosine transform of blocks of 8×8 pixels, rounded, so one of our images is one block. We train networks behind this step and attack them with PGD.

# %%
dct = torch.from_numpy(fft.dct(np.eye(8), axis=0, norm="ortho"))  # orthogonal, (8, 8)


class JPEG(nn.Module):
    def __init__(self, straight_through=False):
        super().__init__()
        self.straight_through = straight_through

    def forward(self, x, step=0.47):
        rounded = dct.T @ ((dct @ x @ dct.T / step).round() * step) @ dct
        return x + (rounded - x).detach() if self.straight_through else rounded


assert np.allclose(dct @ x[0] @ dct.T, fft.dctn(x[0].numpy(), axes=(1, 2), norm="ortho"))
jpeg = train(ordinary, front=[JPEG()])
naive = pgd(jpeg, x, y, EPS, restarts=2)
print(f"clean    ordinary {spread(right(plain, x))}, JPEG {spread(right(jpeg, x))}")
ordinary_pgd = right(plain, pgd(plain, x, y, EPS, restarts=2))
print(f"PGD      ordinary {spread(ordinary_pgd)}, JPEG {spread(right(jpeg, naive))}")

# %% [markdown]
# The defense seems to cost little and to stop PGD. Before you celebrate, look for the signs of *gradient masking* (Athalye, Carlini and Wagner, 2018), with the undefended network as control: gradients that are exactly zero; a budget so large that anything must fall ($\varepsilon = 0.5$ can turn every image gray) and does not; labels alone that beat the white box.

# %%
jpeg_reach, _ = rays(jpeg, x, y)
signs = {}
for name, net, radius in (("ordinary", plain, reach), ("JPEG", jpeg, jpeg_reach)):
    z = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(net(z), y).sum(), z)
    zero = (gradient.abs().amax((2, 3)) == 0).double().mean()
    huge = right(net, pgd(net, x, y, 0.5)).double().mean()
    white, black = (right(net, pgd(net, x, y, EPS)), radius > EPS)
    signs[name] = zero, huge, white.double().mean() - black.double().mean()
    print(f"{name:9} zero gradients {zero:.2f}   right under PGD at eps 0.5: {huge:.2f}")
    print(f"{'':9} at eps {EPS}: PGD leaves {spread(white)}, RayS {spread(black)}")
assert signs["JPEG"][0] == 1 and signs["JPEG"][1] > 0.3 and signs["JPEG"][2] > 0.2
assert signs["ordinary"][0] < 0.1 and signs["ordinary"][1] == 0 and signs["ordinary"][2] < 0.05

# %% [markdown]
# Three signs of three: PGD never moved from its random starts. One step against many, a fourth popular sign, would have told nothing here, as neither moves. The repair for the attacker is one line: run the rounding forward, and backward pretend that it is the identity (BPDA, `straight_through`).

# %%
through = nn.Sequential(JPEG(straight_through=True), *jpeg[1:])  # the same weights
assert torch.allclose(through(x), jpeg(x))
adaptive = right(jpeg, pgd(through, x, y, EPS, restarts=2))
assert adaptive.double().mean() < right(jpeg, naive).double().mean() - 0.2
assert adaptive.double().mean() < ordinary_pgd.double().mean() + 0.15
print(f"JPEG, eps {EPS}: naive PGD leaves {spread(right(jpeg, naive))}, adaptive {spread(adaptive)}")

# %% [markdown]
# ## Two defenses that hold
#
# **Adversarial training** replaces each training image by what PGD makes of it, fresh in every update: three steps, so four passes in place of one.
#
# **Interval bounds** (IBP) push the whole box through the network. A layer with weights $W$ maps a center $c$ and a radius $r$ to $Wc + b$ and $\lvert W \rvert r$; a ReLU maps both ends. If the lower limit of the true logit exceeds the upper limits of all others, no attack in the box can succeed: a proof. Training on these worst logits, with a box that grows to $\varepsilon$, gives networks whose bounds are tight.


# %%
def bounds(net, low, high):
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            center, radius = layer((low + high) / 2), (high - low) / 2
            radius = F.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding, groups=S)
            low, high = center - radius, center + radius
        else:  # ReLU and reshaping: monotone
            low, high = layer(low), layer(high)
    return low, high


def worst_logits(net, x, y, eps):  # the true class at its least, others at their most
    low, high = bounds(net, (x - eps).clamp(0, 1), (x + eps).clamp(0, 1))
    return torch.where(F.one_hot(y, 10).bool(), low, high)


def adversarial(net, x, y, progress):
    return ordinary(net, pgd(net, x, y, EPS, steps=3), y)


def interval(net, x, y, progress):
    proof = cross_entropy(worst_logits(net, x, y, progress * EPS), y).mean()
    return (ordinary(net, x, y) + proof) / 2


hardened, provable = train(adversarial), train(interval)
low, high = bounds(provable, (x - EPS).clamp(0, 1), (x + EPS).clamp(0, 1))
for k in range(40):  # try to leave the bounds: corners and inner points of the box
    move = 2 * torch.rand_like(x) - 1
    logits = provable((x + EPS * (move if k % 2 else move.sign())).clamp(0, 1))
    assert (low - 1e-9 < logits).all() and (logits < high + 1e-9).all()
first = provable[:1]  # a single layer has no slack: its limits are reached
low, high = bounds(first, x - EPS, x + EPS)
weight = first[0].weight.view(S, 8, 4, 4)[:, 0].sign()  # feature 0 of each network
at = x.clone()
at[:, :, 1:5, 1:5] += EPS * weight  # the window of output pixel (1, 1)
assert torch.allclose(first(at)[:, ::8, 1, 1], high[:, ::8, 1, 1])
print("bounds: none of 40 points of each box outside; exact for the first layer")

# %% [markdown]
# ## Robust accuracy over the budget
#
# An image counts as robust at $\varepsilon$ if it is right under PGD. A curve over $\varepsilon$ says more than a number, and it contains a test of the attack: it must reach zero.

# %% alt="Accuracy against eps from 0 to 0.25 for five curves. JPEG under naive PGD stays near 0.9. Ordinary and JPEG under adaptive PGD fall together to zero at about 0.2. The adversarially trained and the interval networks fall more slowly." caption="Mean of five networks. The flat curve is the failed attack; JPEG under the adaptive one is no better than no defense."
budgets = torch.linspace(0, 0.25, 6)
curves = {}
for name, target, source, style in (
    ("JPEG, naive PGD", jpeg, jpeg, "C1--s"),
    ("adversarial training", hardened, hardened, "C0-o"),
    ("interval bounds", provable, provable, "C2-.^"),
    ("ordinary", plain, plain, "k-d"),
    ("JPEG, adaptive PGD", jpeg, through, "C1:s"),
):
    hits = [right(target, pgd(source, x, y, e.item(), steps=15)) for e in budgets]
    curves[name] = torch.stack(hits).double().mean(1)  # (budgets, S)
    plt.gcf().set_size_inches(6.5, 3.2)
    plt.plot(budgets, curves[name].mean(1), style, markersize=4, label=name)
plt.xlabel("eps (largest change of a pixel)"), plt.ylabel("accuracy"), plt.ylim(0, 1)
plt.legend(fontsize=8, loc="lower left")
plt.tight_layout()
plt.show()

# %% [markdown]
# ## What the defenses cost
#
# Each number is again the mean and range over five networks. To count as robust, an image must survive FGSM, PGD with two restarts *and* RayS.


# %%
def robust(net, eps, radius):
    survivors = right(net, pgd(net, x, y, eps, restarts=2)) & right(net, fgsm(net, x, y, eps))
    return survivors & (radius > eps) if eps else survivors


reaches = {"ordinary": reach, "adversarial": rays(hardened, x, y)[0]}
reaches["interval"] = rays(provable, x, y)[0]
table = {}
print(f"eps {EPS}       clean             survives          proved")
for (name, radius), net in zip(reaches.items(), (plain, hardened, provable)):
    proved = worst_logits(net, x, y, EPS).argmax(2) == y
    survives = robust(net, EPS, radius)
    assert not (proved & ~survives).any()  # no proved image falls to any attack
    table[name] = torch.stack([right(net, x), survives, proved]).double().mean(1)  # (3, S)
    print(f"{name:12}", *(spread(v) for v in (right(net, x), survives, proved)))
for name in ("adversarial", "interval"):
    loss = 100 * (table["ordinary"][0] - table[name][0])
    print(f"{name}: clean points lost {loss.mean():.1f} ({loss.min():.0f} to {loss.max():.0f}, n={S})")
means = {name: v.mean(1) for name, v in table.items()}
assert min(means["adversarial"][1], means["interval"][1]) > means["ordinary"][1] + 0.1
assert means["interval"][2] > 0.4 and means["adversarial"][2] < 0.05 > means["ordinary"][2]

# %% [markdown]
# What to read from it:
#
# - Both defenses raise what survives by 20 points, and only one of them can prove it. The adversarially trained network survives all three attacks and yet its bounds prove nothing: attacks say "not broken by these", bounds say "cannot be broken". On a network that was not trained for them, interval bounds are too loose to say anything.
# - "Robustness always costs clean accuracy" is no law at this size. Adversarial training paid nothing that these five networks and their 80 images each could show: some lost, some gained. Interval training paid in all five, several points.
# - The costs that are certain are passes: per update one for ordinary training, four for adversarial training with three steps, about three for interval bounds (image, centers, radii).
#
# ## A proof by voting: randomized smoothing
#
# Interval bounds need a network trained for them. Smoothing works with any: answer by majority over Gaussian noise. If the top class wins a share of at least $p$ of the votes, no change with $L_2$ norm below
#
# $$
# R = \sigma \, \Phi^{-1}(p)
# $$
#
# changes the majority (Cohen, Rosenfeld and Kolter, 2019). We only have $k$ votes of $n$, so $p$ is a lower confidence bound: the smallest share at which $k$ or more votes still have the probability $\alpha$ (Clopper and Pearson). We find it by bisection and test it twice: against scipy, and by its promise itself, that for *every* true share it is too high with a probability of at most $\alpha$.

# %%
VOTES, ALPHA, SIGMA = 500, 0.001, 0.25


def lower_bounds(n, alpha):
    """The bound for each number of votes from 0 to n, (n + 1,)."""
    k = torch.arange(n + 1.0)
    choose = torch.lgamma(torch.tensor(n + 1.0)) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    low, high = torch.zeros(n + 1), torch.ones(n + 1)
    for _ in range(50):
        p = ((low + high) / 2)[:, None]
        tail = (choose + k * p.log() + (n - k) * (-p).log1p()).exp().triu().sum(1)  # k or more
        low, high = low.where(tail > alpha, p[:, 0]), p[:, 0].where(tail > alpha, high)
    return low.where(k > 0, 0)


bound = lower_bounds(VOTES, ALPHA)
for k in (0, 1, 250, 499, 500):
    exact = stats.binomtest(k, VOTES).proportion_ci(1 - 2 * ALPHA, method="exact").low
    assert abs(bound[k] - exact) < 1e-9
for p in np.linspace(0.01, 0.999, 200):
    too_high = stats.binom.pmf(np.arange(VOTES + 1), VOTES, p)[bound.numpy() > p].sum()
    assert too_high <= ALPHA * (1 + 1e-6)
print(
    f"{VOTES} of {VOTES} votes prove a share of {bound[-1]:.4f}: no radius exceeds "
    f"{stats.norm.ppf(bound[-1]):.2f} sigma"
)

# %% [markdown]
# The class is picked on 50 samples of its own; choosing and counting on the same ones would void the bound. The attack follows the vote: it climbs the mean loss under noise and projects onto the $L_2$ ball.


# %%
@torch.no_grad()
def votes(net, x, n):  # (N, S, 10)
    return sum(F.one_hot(net(x + SIGMA * torch.randn_like(x)).argmax(2), 10) for _ in range(n))


def attack_vote(net, x, y, radius, steps=10, samples=4):
    change = torch.zeros_like(x)
    for _ in range(steps):
        change.requires_grad_()
        z = (x + change).repeat(samples, 1, 1, 1)
        value = cross_entropy(net(z + SIGMA * torch.randn_like(z)), y.repeat(samples, 1)).sum()
        (gradient,) = torch.autograd.grad(value, change)
        change = change.detach() + radius / 4 * F.normalize(gradient.flatten(2), dim=2).view_as(x)
        norm = torch.linalg.vector_norm(change, dim=(2, 3), keepdim=True)
        change = change * (radius / norm.clamp(min=1e-12)).clamp(max=1)
    return x + change


def noisy(net, x, y, progress):
    return ordinary(net, x + SIGMA * torch.randn_like(x), y)


smoothed = train(noisy)
top = votes(smoothed, x, 50).argmax(2)
count = votes(smoothed, x, VOTES).gather(2, top[..., None])[..., 0]
radius = SIGMA * torch.from_numpy(stats.norm.ppf(bound[count].numpy()))  # negative: abstain
radii = torch.linspace(0, 0.8, 5)
certified, survived = [], []
for r in radii:
    proved = (top == y) & (radius > r)
    z = attack_vote(smoothed, x, y, r) if r else x
    hits = votes(smoothed, z, 200)
    lost = hits.gather(2, y[..., None])[..., 0] < 60  # under a half, beyond doubt
    assert not (proved & lost).any()
    certified.append(proved), survived.append(hits.argmax(2) == y)
for k in (0, 1, 2):
    print(f"L2 radius {radii[k]:.1f}: proved {spread(certified[k])}, survives {spread(survived[k])}")
ordinary_clean, clean = right(plain, x).double().mean(), certified[0].double().mean()
assert certified[1].double().mean() > 0.6 and clean > ordinary_clean - 0.15

# %% [markdown]
# ## The sandwich
#
# True robust accuracy is unknown. An attack can only overestimate it, a proof only underestimate it. So every honest evaluation shows both, and the gap between them is what nobody knows.

# %% tags=["result"] alt="Two panels. Left, L infinity: what survives FGSM, PGD and RayS falls from 0.9 to about 0.25 at eps 0.2; what interval bounds prove starts at the same point and falls faster, to about 0.05. Right, L2: the attacked vote falls slowly; what smoothing proves lies below and is zero at 0.6. The gaps are shaded." caption="Mean of five networks. Above: attacks. Below: proofs. Shaded: unknown. The cliff on the right is the sampling limit of 500 votes."
figure, (left, middle) = plt.subplots(1, 2, figsize=(6.5, 3), sharey=True)
sizes = torch.linspace(0, 0.2, 5)
upper = [robust(provable, e.item(), reaches["interval"]) for e in sizes]
lower = [worst_logits(provable, x, y, e).argmax(2) == y for e in sizes]
assert not any((p & ~s).any() for p, s in zip(lower, upper))
for axis, size, above, below, name in (
    (left, sizes, upper, lower, "interval bounds, L-inf (eps)"),
    (middle, radii, survived, certified, "smoothing, L2 (radius)"),
):
    above, below = (torch.stack(v).double().mean((1, 2)) for v in (above, below))
    assert (below <= above + 0.01).all()
    axis.fill_between(size, below, above, color="0.85", label="unknown")
    axis.plot(size, above, "C3-o", markersize=3, label="survives the attacks")
    axis.plot(size, below, "C0--s", markersize=3, label="proved")
    axis.set_xlabel(name), axis.set_ylim(0, 1)
left.set_ylabel("accuracy"), left.legend(fontsize=8, loc="lower left")
plt.tight_layout()
plt.show()

# %% [markdown]
# What breaks a sandwich? A weak attack lifts the upper curve, as naive PGD did behind JPEG. A bound with an error lifts the lower one, which the assertion above would catch: no proved image may fall to any attack. And the norm is part of the claim: the left panel says nothing about a rotation, a sticker or a thicker pen.
#
# ## Exercises
#
# ### Exercise 1. Big logits
#
# A colleague multiplies the logits of the ordinary network by 1000. No prediction changes, and PGD now fails on nearly all images. Why? Change the *loss* of the attack so that it finds the truth. Hint: what does a softmax do to a difference of 1000, and which loss has no softmax?


# %% tags=["solution"]
def margin(logits, y):  # highest wrong logit minus the true one
    true = F.one_hot(y, 10).bool()
    return logits.masked_fill(true, -torch.inf).amax(2) - logits[true].view(y.shape)


class Times(nn.Module):
    def forward(self, logits):
        return 1000 * logits


loud = nn.Sequential(*plain, Times())
fooled_by = [right(loud, pgd(loud, x, y, EPS, loss=f)) for f in (cross_entropy, margin)]
truth = ordinary_pgd.double().mean()
assert fooled_by[1].double().mean() < truth + 0.15 < fooled_by[0].double().mean()
print(f"cross-entropy leaves {spread(fooled_by[0])}, margin {spread(fooled_by[1])}")
print(f"without the factor:   {spread(ordinary_pgd)}")

# %% [markdown]
# The probability of the true class rounds to exactly 1, so the gradient is exactly 0. The margin has no softmax, and its sign gradient does not care about the factor: the idea behind the losses of C&W and AutoAttack.
#
# ### Exercise 2. The price of a radius
#
# All $n$ votes agree. How many do you need to prove a radius of 1, 2, 3, 4 times $\sigma$ at $\alpha = 0.001$? Hint: the Clopper-Pearson bound has a closed form in this case.

# %% tags=["solution"]
assert abs(lower_bounds(100, ALPHA)[-1] - ALPHA ** (1 / 100)) < 1e-9  # p^n = alpha
needed = [math.ceil(math.log(ALPHA) / stats.norm.logcdf(m)) for m in (1, 2, 3, 4)]
for m, n in zip((1, 2, 3), needed):  # one vote fewer is not enough
    assert stats.norm.ppf(ALPHA ** (1 / n)) >= m > stats.norm.ppf(ALPHA ** (1 / (n - 1)))
print("votes for 1, 2, 3, 4 sigma:", *needed)

# %% [markdown]
# The price grows like $e^{m^2/2}$. A larger $\sigma$ is the cheaper way to a larger radius, until noise hides the digit.
#
# ### Exercise 3. One certificate in the other norm
#
# What does the smoothed vote prove about the box $\lVert \delta \rVert_\infty \le \varepsilon$? Compare with interval bounds at $\varepsilon = 0.02$ and 0.1. Hint: which $L_2$ ball holds the box?

# %% tags=["solution"]
gap = []
for eps in (0.02, 0.1):
    vote = (top == y) & (radius > eps * math.sqrt(64))  # the corner lies at eps sqrt(d)
    box = worst_logits(provable, x, y, eps).argmax(2) == y
    gap.append((box.double() - vote.double()).mean())
    print(f"eps {eps}: proved by the vote {spread(vote)}, by intervals {spread(box)}")
assert gap[1] > 0.3 and abs(gap[0]) < 0.2

# %% [markdown]
# The box reaches $\varepsilon \sqrt{d}$ from its center, 8 times $\varepsilon$ here and 388 times for a color photograph of 224×224 pixels. A certificate in one norm is nearly worthless in the other: choose it by the attacker.
