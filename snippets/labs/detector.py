# %% [markdown]
# # Lab 1. A detector from scratch on shapes
#
# You build a one-stage object detector from nothing: scenes, anchors, targets, loss, network,
# suppression and the metric. Then you take parts away and measure what each was worth.
#
# ![Eight scenes of bright shapes on dark ground. A close box around each ellipse, rectangle and triangle, in a color and line style that says its class; a few shapes have a second box of a wrong class.](attachment:result.png)
#
# **Budget:** about 20 seconds of one core, 280 lines of code without the solutions, an hour of yours. You need
# PyTorch, ONNX Runtime and Matplotlib, and to have trained a small CNN before.
#
# It belongs to two questions:
# [Q5. How do CNNs detect objects?](../vision-tasks/object-detection.html#q5) and
# [Q23. What are anchor boxes for?](../vision-tasks/object-detection.html#q23)

# %%
import matplotlib.pyplot as plt
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from torch import nn

plt.rcParams["figure.dpi"] = 110
SIZE, STRIDE, SLOTS = 64, 8, 6  # pixels, pixels per cell, objects per scene at most
NAMES = ["ellipse", "rectangle", "triangle"]  # classes 1, 2, 3; 0 is background

# %% [markdown]
# ## 1. Data: scenes with a few shapes
#
# A scene has 64 by 64 pixels and up to six objects. Sides are 12 to 30 pixels for a square,
# width over height is between 1/2 and 2. A candidate that shares more than a fifth of the smaller
# box with an object already there is left out, so neighbors touch but seldom hide each other.
# All scenes have six slots, so that they fit into one tensor; class 0 marks an empty slot.
# Boxes are $(x_1, y_1, x_2, y_2)$ in pixels, with no "+ 1" anywhere.


# %%
def intersection(a, b):  # (..., N, 4), (..., M, 4) -> (..., N, M)
    low = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    return (high - low).clamp(min=0).prod(-1)  # clamp: boxes that are apart share nothing


def area(boxes):
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def scenes(n):
    """Images (n, 1, 64, 64), boxes (n, 6, 4) and classes (n, 6)."""
    side, ratio = 12 * 2.5 ** torch.rand(n, SLOTS), 2 ** (2 * torch.rand(n, SLOTS) - 1)
    wh = torch.stack([side * ratio.sqrt(), side / ratio.sqrt()], -1)
    corner = torch.rand(n, SLOTS, 2) * (SIZE - wh)
    boxes, kind = torch.cat([corner, corner + wh], -1), torch.randint(1, 4, (n, SLOTS))
    smaller = torch.minimum(area(boxes)[:, :, None], area(boxes)[:, None])
    crowded = intersection(boxes, boxes) / smaller > 0.2  # (n, 6, 6)
    for k in range(1, SLOTS):
        kind[(crowded[:, k, :k] & (kind[:, :k] > 0)).any(1), k] = 0

    image = 0.1 + 0.2 * torch.rand(n, 1, 1)
    level, pixel = 0.55 + 0.4 * torch.rand(n, SLOTS, 1, 1), torch.arange(0.5, SIZE)
    for k in range(SLOTS):  # x and y run from -1 to 1 across the box
        x, y = (2 * (pixel - corner[:, k, :, None]) / wh[:, k, :, None] - 1).unbind(1)
        x, y, c = x[:, None], y[:, :, None], kind[:, k, None, None]
        ellipse, rectangle = x**2 + y**2 <= 1, torch.maximum(x.abs(), y.abs()) <= 1
        triangle = (x.abs() <= (y + 1) / 2) & (y <= 1)
        inside = torch.where(c == 1, ellipse, torch.where(c == 2, rectangle, triangle))
        image = torch.where(inside & (c > 0), level[:, k], image)
    return (image + 0.05 * torch.randn(n, SIZE, SIZE))[:, None], boxes, kind


torch.manual_seed(0)
images, boxes, kind = scenes(500)
print(f"{(kind > 0).sum(1).double().mean():.1f} objects per scene")

# %% [markdown]
# ## 2. Model, part one: anchors
#
# The network will give its answers on a grid of 8 by 8 cells. At the center of each cell stand
# six reference boxes, two sizes times three ratios: 384 **anchors**. They come from a formula and
# are the same for every image. **IoU**, shared area over covered area, says how well a box fits.
# We check ours by counting unit squares, then ask what no training can change: how well does the
# best anchor fit an object? Two other families will be used at the end.


# %%
def iou(a, b):  # (..., N, 4), (..., M, 4) -> (..., N, M)
    shared = intersection(a, b)
    return shared / (area(a)[..., :, None] + area(b)[..., None, :] - shared)


def make_anchors(sides, ratios=(0.5, 1, 2)):
    """Boxes (64 cells x shapes, 4): the cells row by row, all shapes of a cell together."""
    center = torch.arange(STRIDE / 2, SIZE, STRIDE)  # at the cells' centers, not corners
    y, x = torch.meshgrid(center, center, indexing="ij")
    center = torch.stack([x, y], -1).reshape(-1, 1, 2)
    half = torch.tensor([[s * r**0.5 / 2, s / r**0.5 / 2] for s in sides for r in ratios])
    return torch.cat([center - half, center + half], -1).reshape(-1, 4)


for _ in range(200):  # two boxes with whole-number corners, as sets of unit squares
    p, q = torch.randint(0, 12, (2, 2)), torch.randint(1, 12, (2, 2))
    pair = torch.cat([p, p + q], 1)
    sets = [{(x, y) for x in range(a, c) for y in range(b, d)} for a, b, c, d in pair.tolist()]
    counted = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert abs(iou(pair[:1], pair[1:]).item() - counted) < 1e-6

FAMILIES = {
    "six anchors": make_anchors((14, 24)),
    "one anchor": make_anchors((18,), (1,)),
    "six, too large": make_anchors((36, 64)),
}
print("IoU = counted squares on 200 pairs. Best anchor of an object:")
for name, anchors in FAMILIES.items():
    best = iou(anchors, boxes).amax(1)[kind > 0]
    print(f"{name:15} mean IoU {best.mean():.2f}, {(best >= 0.5).double().mean():.2f} have 0.5")

# %% [markdown]
# ## 3. Targets: who answers for whom
#
# Each anchor needs a label. We take RetinaNet's thresholds and the older rule that no object goes
# empty-handed: IoU of at least 0.5 with an object, or the best anchor of an object: **positive**.
# Below 0.4 with all: **background**. Between: **ignored**, because neither label would be fair.
#
# A positive anchor also gets four numbers to predict, the shift of the center in anchor sizes and
# the logarithm of the ratio of sizes:
#
# $$
# t_x = \frac{x - x_a}{w_a}, \quad t_y = \frac{y - y_a}{h_a}, \quad
# t_w = \log\frac{w}{w_a}, \quad t_h = \log\frac{h}{h_a}
# $$


# %%
def center_size(boxes):
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def encode(boxes, anchors):
    (center, size), (anchor, side) = center_size(boxes), center_size(anchors)
    return torch.cat([(center - anchor) / side, (size / side).log()], -1)


def decode(offsets, anchors):
    anchor, side = center_size(anchors)
    center = anchor + offsets[..., :2] * side
    size = side * offsets[..., 2:].clamp(-3, 3).exp()  # a wild output must not overflow
    return torch.cat([center - size / 2, center + size / 2], -1)


def assign(anchors, boxes, kind):
    """Labels (n, A): a class, 0 background or -1 ignored. Offsets (n, A, 4) to the object."""
    overlap = iou(anchors, boxes) * (kind > 0)[:, None]  # (n, A, 6), empty slots never win
    champion = (overlap == overlap.amax(1, keepdim=True)) & (overlap > 0)
    value, owner = (overlap + champion).max(-1)  # + 1: its object comes before any other
    label = torch.where(value >= 0.5, kind.gather(1, owner), torch.where(value < 0.4, 0, -1))
    return label, encode(boxes.gather(1, owner[..., None].expand(-1, -1, 4)), anchors)


anchors = FAMILIES["six anchors"]
label, offsets = assign(anchors, boxes, kind)
back = iou(decode(offsets, anchors), boxes) * (kind > 0)[:, None]  # (n, A, 6)
assert back.amax(-1)[label > 0].min() > 0.999  # the targets decode to the objects
assert ((back > 0.999) & (label > 0)[..., None]).any(1)[kind > 0].double().mean() > 0.999
per_object = (label > 0).sum() / (kind > 0).sum()
print(
    f"background {(label == 0).double().mean():.2f}, ignored {(label < 0).double().mean():.2f}, "
    f"positive {(label > 0).double().mean():.3f} of all anchors"
)
print(f"{per_object:.1f} positive anchors per object")

# %% [markdown]
# Most anchors are background, and an object has several positive ones. Remember both:
# the first asks for a special loss, the second for suppression.


# %%
STYLE = {1: ("#ffb000", "-"), 2: ("#4dd2ff", "--"), 3: ("#ff7ac0", ":")}


def draw(axes, image, boxes, kind, width=1.8):
    gray = (image[0].numpy() * 4).round() / 4  # five levels, so that the file stays small
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1.2, interpolation="nearest")
    for (x1, y1, x2, y2), k in zip(boxes.tolist(), kind.tolist()):
        color, line = STYLE[k]
        at = (x1 - 0.5, y1 - 0.5)  # imshow puts the first pixel's center, not corner, at 0
        axes.add_patch(plt.Rectangle(at, x2 - x1, y2 - y1, fill=False, ec=color, ls=line, lw=width))
    axes.set(xticks=[], yticks=[], xlim=(-0.5, SIZE - 0.5), ylim=(SIZE - 0.5, -0.5))


# %% alt="Four scenes in two rows. Above, each with a box around every shape: solid yellow ellipses, dashed blue rectangles, dotted pink triangles. Below, the same scenes with the positive anchors, one to many on each shape, none fitting exactly." caption="Above: the objects. Below: their positive anchors, before any correction. Solid yellow: ellipse. Dashed blue: rectangle. Dotted pink: triangle."
figure, grid = plt.subplots(2, 4, figsize=(6.5, 3.4), layout="constrained")
for n in range(4):
    there, on = kind[n] > 0, label[n] > 0
    draw(grid[0, n], images[n], boxes[n][there], kind[n][there])
    draw(grid[1, n], images[n], anchors[on], label[n][on], 1.2)
plt.show()

# %% [markdown]
# ## 4. Loss and network
#
# **Focal loss** for the classes: each of the three has its own sigmoid, and the cross-entropy of
# each answer is multiplied by $(1 - p)^2$, where $p$ is the probability of the right answer. What
# is already right costs next to nothing, so thousands of easy backgrounds do not drown the objects.
# **Smooth L1** for the four offsets, on positive anchors only. Both are divided by the number of
# positive anchors. RetinaNet's weight $\alpha$ is left out: the objects manage without.
#
# The network is four convolutions down to the grid of cells and a 1×1 convolution that gives each
# anchor 3 class scores and 4 offsets. The last bias of the scores starts at $-4$, a probability of
# 0.02. So the first steps are not spent on learning that most of the image is empty.


# %%
def focal_loss(logits, label):  # (n, A, 3), (n, A) -> a sum over anchors not ignored
    target = F.one_hot(label.clamp(min=0), 4)[..., 1:].to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((1 - torch.exp(-entropy)) ** 2 * entropy)[label >= 0].sum()


def make_net(per_cell):
    layers, channels = [], 1
    for width, kernel, stride, pad in ((16, 8, 4, 2), (32, 3, 2, 1), (48, 3, 1, 1), (48, 3, 1, 1)):
        layers += [nn.Conv2d(channels, width, kernel, stride, pad)]
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    head = nn.Conv2d(channels, per_cell * 7, 1)
    with torch.no_grad():
        head.bias.view(per_cell, 7)[:, :3] = -4.0
    return nn.Sequential(*layers, head, nn.Flatten(2))  # (n, per_cell * 7, 64)


def predict(net, images, anchors):  # class logits (n, A, 3), offsets (n, A, 4)
    return net(images).mT.reshape(len(images), len(anchors), 7).split((3, 4), -1)


plain = torch.linspace(-5, 5, 11)  # (1 - p)^2 log p, written out
p = plain.sigmoid()
for target, expected in ((1, -((1 - p) ** 2) * p.log()), (0, -(p**2) * (1 - p).log())):
    three = torch.stack([plain, plain * 0 - 50, plain * 0 - 50], -1)
    ours = focal_loss(three, torch.full((11,), target))
    assert abs(ours - expected.sum()) < 1e-4
net = make_net(6)
weights = sum(w.numel() for w in net.parameters())
print(f"{weights} parameters, output {tuple(net(images[:2]).shape)}")

# %% [markdown]
# ## 5. Training
#
# 1024 scenes, four passes, 256 steps of Adam with a one-cycle schedule. Everything about the
# anchors is computed once before the first step.


# %%
def train(data, anchors, epochs=4, batch=16):
    images, boxes, kind = data
    net, (label, offsets) = make_net(len(anchors) // 64), assign(anchors, boxes, kind)
    adam = torch.optim.Adam(net.parameters())
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.02, total_steps=steps)
    for _ in range(epochs):
        for i in torch.randperm(len(images)).split(batch):
            logits, out = predict(net, images[i], anchors)
            on = label[i] > 0
            loss = focal_loss(logits, label[i])
            loss = loss + F.smooth_l1_loss(out[on], offsets[i][on], beta=0.1, reduction="sum")
            adam.zero_grad()
            (loss / on.sum()).backward()
            adam.step()
            schedule.step()
    return net.eval()


# %% [markdown]
# ## 6. From outputs to boxes: suppression
#
# The 100 best scores of an image are decoded. Greedy **NMS** goes down the list, best first. Each
# box that is still there deletes the later ones of its class that overlap it by more than 0.5. Ours
# does this for many images at once. ONNX Runtime's NonMaxSuppression says whether it is right.


# %%
def detect(net, images, anchors, top=100):
    """Boxes (n, top, 4), classes (n, top) and scores (n, top), best score first."""
    with torch.no_grad():
        logits, offsets = predict(net, images, anchors)
    score, index = logits.sigmoid().flatten(1).topk(top)  # over anchors and classes
    owner = (index // 3)[..., None].expand(-1, -1, 4)
    guess = decode(offsets, anchors).clamp(0, SIZE).gather(1, owner)
    return guess, index % 3 + 1, score


def nms(boxes, kind, limit=0.5):  # sorted (n, K, 4), (n, K) -> which stay (n, K)
    rival = (iou(boxes, boxes) > limit) & (kind[:, :, None] == kind[:, None])
    kept = torch.ones_like(kind, dtype=torch.bool)
    for k in range(kept.shape[1]):  # only a box that is still there may delete
        kept[:, k + 1 :] &= ~(kept[:, k, None] & rival[:, k, k + 1 :])
    return kept


graph = """<ir_version: 10, opset_import: ["": 21]> nms
  (float[1, N, 4] boxes, float[1, C, N] scores, int64[1] most, float[1] limit, float[1] least)
  => (int64[K, 3] kept) { kept = NonMaxSuppression(boxes, scores, most, limit, least) }"""
model = onnx.parser.parse_model(graph).SerializeToString()
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
for case in range(40):  # 60 boxes of three classes, sparse to crowded
    corner, k = (20 + 2 * case) * torch.rand(60, 2), torch.randint(1, 4, (60,))
    b = torch.cat([corner, corner + 5 + 25 * torch.rand(60, 2)], 1)
    score = torch.rand(60).sort(descending=True).values
    limit = (0.3, 0.5, 0.7)[case % 3]
    scores = score * F.one_hot(k, 4).T[1:]  # (3, 60), 0 for the other classes
    feeds = {"boxes": b[None], "scores": scores[None], "most": torch.tensor([60])}
    feeds |= {"limit": torch.tensor([limit]), "least": torch.tensor([0.0])}
    kept = session.run(None, {name: v.numpy() for name, v in feeds.items()})[0]
    assert sorted(kept[:, 2]) == nms(b[None], k[None], limit)[0].nonzero().flatten().tolist()
print("NMS = ONNX Runtime's on 40 random cases")

# %% [markdown]
# ## 7. Evaluation: COCO's average precision
#
# Down the list of one class over all images, a detection is a **hit** if its IoU with an object
# that is still free reaches the threshold, and takes the best-fitting such object. A second box on
# the same object is a false alarm. Precision as a function of recall is lifted to its envelope and
# read at the 101 recalls 0, 0.01, …, 1. **AP** is the mean over classes and over the ten thresholds
# 0.50, 0.55, …, 0.95. AP50 and AP75 take one threshold.
#
# A brute force that shares no line with ours, one class and one threshold at a time and the recalls
# as fractions of whole numbers, has to agree on random detections.

# %%
LEVELS = torch.arange(50, 100, 5) / 100  # (10,)


def average_precision(found, boxes, kind, kept):
    """AP (3 classes, 10 thresholds) of detect()'s three tensors."""
    guess, guessed, score = found
    overlap = iou(guess, boxes) * (guessed[:, :, None] == kind[:, None])  # (n, K, 6)
    free = torch.ones(len(boxes), 10, boxes.shape[1], dtype=torch.bool)
    hit = torch.zeros(10, *score.shape, dtype=torch.bool)
    for k in range(score.shape[1]):  # rank by rank, in all images and at all thresholds
        fit, taken = (overlap[:, k, None] * free * kept[:, k, None, None]).max(-1)
        hit[..., k] = (fit >= LEVELS).T
        free &= ~(F.one_hot(taken, boxes.shape[1]).bool() & (fit >= LEVELS)[..., None])
    result = torch.zeros(3, 10)
    for c in (1, 2, 3):
        mine, objects = (guessed == c) & kept, (kind == c).sum()
        order = score[mine].argsort(descending=True)
        hits = hit[:, mine][:, order].long().cumsum(1)  # (10, detections of the class)
        precision = hits.double() / torch.arange(1, hits.shape[1] + 1)
        envelope = precision.flip(1).cummax(1).values.flip(1)
        envelope = F.pad(envelope, (0, 1))  # a recall that is never reached has precision 0
        for t in range(10):  # the first detection at which hits / objects >= i / 100
            at = torch.searchsorted(100 * hits[t], torch.arange(101) * objects)
            result[c - 1, t] = envelope[t, at].mean()
    return result


def brute_force(found, boxes, kind, c, level):
    rows = [
        (score, n, box)
        for n, (bs, ks, ss) in enumerate(zip(*(v.tolist() for v in found)))
        for box, k, score in zip(bs, ks, ss)
        if k == c
    ]
    free = {(n, m) for n, m in (kind == c).nonzero().tolist()}
    objects, curve, hits = len(free), [], 0
    for rank, (_, n, box) in enumerate(sorted(rows, reverse=True), 1):
        mine = [m for i, m in free if i == n]
        fits = [(iou(torch.tensor([box]), boxes[n, m][None]).item(), m) for m in mine]
        fit, m = max(fits, default=(0, None))
        if fit >= level:
            free.remove((n, m))
            hits += 1
        curve.append((hits, hits / rank))
    best = [max((p for h, p in curve if 100 * h >= i * objects), default=0) for i in range(101)]
    return sum(best) / 101


for case in range(3):  # ten copies of the objects, shaken, in part with another class
    pick = torch.randint(0, SLOTS, (8, 10))
    b, k = boxes[:8].gather(1, pick[..., None].expand(-1, -1, 4)), kind[:8].gather(1, pick)
    k = torch.where((torch.rand(8, 10) < 0.2) | (k == 0), torch.randint(1, 4, (8, 10)), k)
    score = torch.rand(8, 10).sort(descending=True).values
    found = (b + (1 + case) * torch.randn(8, 10, 4), k, score)
    ours = average_precision(found, boxes[:8], kind[:8], torch.ones(8, 10, dtype=torch.bool))
    for c, t in ((1, 0), (2, 0), (3, 0), (1, 5), (2, 3), (3, 2)):
        assert abs(ours[c - 1, t] - brute_force(found, boxes[:8], kind[:8], c, LEVELS[t])) < 1e-6
print("AP = brute force on 18 random cases")

# %% [markdown]
# ## 8. The result, and what breaks it
#
# Three seeds: new scenes, new weights. Each trains the three families of anchors on the same
# scenes with the same schedule and is scored on 200 fresh scenes, with NMS and without. The numbers
# are from 32-bit training, so the second decimal may differ on your processor.

# %% tolerance=0.05
SEEDS = 3
runs, aps, curves = [], {}, {}  # aps[family, with or without NMS]: (seeds, 3)
for seed in range(SEEDS):
    torch.manual_seed(seed)
    data, test, nets = scenes(1024), scenes(200), {}
    for name, anchors in FAMILIES.items():
        nets[name] = train(data, anchors)
        found = detect(nets[name], test[0], anchors, 100)
        for suppress in (True, False):
            kept = nms(found[0], found[1], 0.5 if suppress else 1.0)
            ap = average_precision(found, *test[1:], kept).mean(0)
            curves.setdefault((name, suppress), ap)  # the first seed, for a figure
            three = torch.stack([ap[0], ap[5], ap.mean()])
            aps.setdefault((name, suppress), []).append(three)
    runs.append((nets["six anchors"], data, test))

print("                             AP50            AP75            AP (range of 3 seeds)")
for (name, suppress), values in aps.items():
    aps[name, suppress] = values = torch.stack(values)
    spread = "    ".join(f"{v.min():.2f} to {v.max():.2f}" for v in values.T)
    print(f"{name:15} {'NMS   ' if suppress else 'no NMS'}     {spread}")

# %% [markdown]
# What the table says:
#
# - **The detector works.** With six anchors it finds nearly all objects at IoU 0.5. At 0.75 it is
#   worse, and COCO's AP is lower still, because a box of 15 pixels must be right to a fraction of a
#   pixel to pass 0.95.
# - **NMS is half of the result** with six anchors: the labels asked several anchors to fire for
#   each object, and every further box is a false alarm.
# - **One anchor per cell is as good as six.** The usual reason for many anchors, "objects have many
#   shapes, so each needs its own anchor", fails here: for four
#   objects in ten the one square does not even reach 0.5, but the offsets repair it, and the best-anchor rule gives each object its
#   positive. It also has far fewer duplicates. That is no proof for crowds: two objects whose
#   centers share a cell need two anchors, and here objects keep apart.
# - **Anchors of the wrong size do harm.** They fit so badly that most objects live on the
#   best-anchor rule. A likely reason, not tested here: the neighbors of that best anchor, with
#   almost the same overlap and the same pixels, are told that they are background.
#
# So the number of anchors mattered less here than which of them the assignment makes responsible,
# in line with what [ATSS](https://arxiv.org/abs/1912.02424) reports on COCO. The same six
# comparisons held on five more seeds.

# %%
six, one, large = (aps[name, True] for name in FAMILIES)
assert six[:, 0].min() > 0.8 and six[:, 2].min() > 0.5
assert (six[:, 2] < six[:, 0] - 0.2).all()
assert (aps["six anchors", False][:, 0] < six[:, 0] - 0.3).all()
assert (one[:, 0] > six[:, 0] - 0.04).all()
assert (aps["one anchor", False][:, 0] > aps["six anchors", False][:, 0] + 0.2).all()
assert (large[:, 0] < six[:, 0] - 0.15).all()
print("on each seed: AP50 above 0.8; NMS is worth more than 0.3; one anchor costs less than 0.04;")
print("anchors that are too large cost more than 0.15")

# %% alt="Eight test scenes with the detector's boxes. Every shape has a close box, solid yellow for ellipses, dashed blue for rectangles, dotted pink for triangles. A few have a second box of a wrong class." caption="Test scenes of the first seed, boxes with a score above 0.4 after NMS. NMS compares boxes of one class only, so a shape may keep a box of each class. Solid yellow: ellipse. Dashed blue: rectangle. Dotted pink: triangle." tags=["result"]
net, _, (test_images, *truth) = runs[0]
guess, guessed, score = detect(net, test_images[:8], FAMILIES["six anchors"])
shown = nms(guess, guessed) & (score > 0.4)
figure, grid = plt.subplots(2, 4, figsize=(6.5, 3.4), layout="constrained")
for n, axes in enumerate(grid.flat):
    draw(axes, test_images[n], guess[n][shown[n]], guessed[n][shown[n]])
plt.show()

# %% alt="AP over the IoU threshold from 0.50 to 0.95, first seed. Six anchors with NMS start near 0.95 and fall to near 0 at 0.95. The same without NMS starts at half. Anchors that are too large start at about 0.6 and are near 0 from 0.85 on. One anchor is close to six." caption="First seed. The strictest thresholds ask for more than this small network can place; without NMS the curve starts at half."
figure, axes = plt.subplots(figsize=(5.6, 3), layout="constrained")
for name, suppress, line in (
    ("six anchors", True, "o-"),
    ("one anchor", True, "s--"),
    ("six anchors", False, "^:"),
    ("six, too large", True, "x-."),
):
    label = name if suppress else f"{name}, no NMS"
    axes.plot(LEVELS.tolist(), curves[name, suppress].tolist(), line, label=label)
axes.set(xlabel="IoU threshold of a hit", ylabel="AP, mean of three classes", ylim=(0, 1))
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## 9. Exercises
#
# ### Exercise 1. Which threshold should NMS have?
#
# Score the six-anchor nets of all seeds with NMS at 0.1, 0.3, 0.5, 0.7 and 0.9. What goes wrong at
# each end, and how careful must you be between? Hint: no two objects here overlap by much.

# %% tags=["solution"] tolerance=0.05
anchors, rows = FAMILIES["six anchors"], []
for net, _, (test_images, *truth) in runs:
    found = detect(net, test_images, anchors)
    kept = [nms(found[0], found[1], limit) for limit in (0.1, 0.3, 0.5, 0.7, 0.9)]
    rows.append([average_precision(found, *truth, k)[:, 0].mean().item() for k in kept])
rows = torch.tensor(rows)  # (seeds, 5)
for limit, v in zip((0.1, 0.3, 0.5, 0.7, 0.9), rows.T):
    print(f"NMS at {limit}: AP50 {v.min():.2f} to {v.max():.2f}")
assert (rows[:, 1:3].min(1).values > 0.85).all()  # wide plateau
assert (rows[:, 4] < rows[:, 2] - 0.2).all()  # duplicates stay

# %% [markdown]
# Low thresholds cost little, because objects of one class seldom overlap; in a crowd they
# would delete neighbors. High thresholds leave the duplicates.
#
# ### Exercise 2. Let the data choose the anchors
#
# Cluster the widths and heights of the training objects into six shapes by k-means with
# $1 - \text{IoU}$ as the distance, as YOLOv2 did. How much better do they fit than our hand-made
# six? Compare shapes only: put all boxes at the same center. Hint: start from six random objects;
# a cluster's mean width and height is its new shape.


# %% tags=["solution"]
def shape_iou(a, b):  # sizes (N, 2), (M, 2) as boxes around one center
    return iou(torch.cat([-a / 2, a / 2], 1), torch.cat([-b / 2, b / 2], 1))


hand_made = center_size(FAMILIES["six anchors"][:6])[1]
gains = []
for seed, (_, (_, boxes, kind), _) in enumerate(runs):
    torch.manual_seed(seed)
    size = center_size(boxes)[1][kind > 0]  # (objects, 2)
    shapes = size[torch.randperm(len(size))[:6]]
    for _ in range(30):
        nearest = shape_iou(size, shapes).argmax(1)
        shapes = torch.stack([size[nearest == k].mean(0) for k in range(6)])
    before, after = (shape_iou(size, s).amax(1).mean().item() for s in (hand_made, shapes))
    gains.append(after - before)
    print(f"mean IoU of the best shape: hand-made {before:.2f}, k-means {after:.2f}")
assert min(gains) > 0.02

# %% [markdown]
# ### Exercise 3. Boxes or classes: which errors cost more?
#
# Let an oracle repair one kind of error at a time. First, give each detection the exact box
# of the object that it overlaps most, if that IoU is at least 0.1. Second, leave the boxes, and
# give each detection that object's class, if the IoU is at least 0.5. Run NMS afterwards. What
# does AP gain? Hint: an object's empty slot must not be chosen.

# %% tags=["solution"] tolerance=0.05
rows = []
for net, _, (test_images, boxes, kind) in runs:
    guess, guessed, score = detect(net, test_images, anchors)
    fit, owner = (iou(guess, boxes) * (kind > 0)[:, None]).max(-1)  # (n, 100)
    true_box = boxes.gather(1, owner[..., None].expand(-1, -1, 4))
    exact = torch.where((fit >= 0.1)[..., None], true_box, guess)
    right = torch.where(fit >= 0.5, kind.gather(1, owner), guessed)
    versions = ((guess, guessed, score), (exact, guessed, score), (guess, right, score))
    rows.append([average_precision(v, boxes, kind, nms(*v[:2])).mean().item() for v in versions])
rows = torch.tensor(rows)  # (seeds, 3)
for name, v in zip(("as it is", "exact boxes", "right classes"), rows.T):
    print(f"{name:14} AP {v.min():.2f} to {v.max():.2f}")
assert (rows[:, 1] > rows[:, 2] + 0.1).all() and (rows[:, 2] > rows[:, 0]).all()

# %% [markdown]
# The boxes are the bottleneck of this detector, not the classes. A finer grid of features, a box
# loss made from IoU or longer training is where to go on.
