# %% [markdown]
# # Lab 2. Mask R-CNN in miniature
#
# You build a detector that gives each of several overlapping shapes its own mask, with every part of Mask R-CNN in place: proposals from trained anchors, non-maximum suppression, RoIAlign, a box head with classes, a mask head with one mask per class, five losses trained together, and mask AP to score it. Then you break its crop and measure what that costs.
#
# ![Four gray pictures of overlapping ellipses, rectangles and triangles; below each, the masks found in it, one color per class, with an initial and a score. Dashed true outlines lie close to most masks, less so where three objects overlap.](attachment:result.png)
#
# **Budget:** about 18 seconds of one core, 410 lines of code, an hour of yours.
#
# You need PyTorch, and to know what a convolution and an IoU (intersection over union) are. The theory is in [Q24](../vision-tasks/instance-segmentation.html#q24), which also shows a network with one class and all anchors as proposals; why a class for each pixel is not enough and how masks are scored is in [Q21](../vision-tasks/instance-segmentation.html#q21), anchors in [Q23](../vision-tasks/object-detection.html#q23). Here all parts are there and only the scale is small: pictures of 48×48 pixels, one feature level in place of a pyramid, and 122 thousand weights in place of 44 million.

# %%
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from matplotlib.colors import to_rgb
from torch import nn

plt.rcParams.update({"figure.dpi": 110, "font.size": 8})
torch.set_num_threads(1)
SIZE, OBJECTS = 48, 4  # pixels a side; objects in a picture at most
CLASSES = "Ellipse", "Rectangle", "Triangle"
K = len(CLASSES)  # classes are 0 to K - 1, and K is the background
PIXEL = torch.arange(SIZE) + 0.5  # centers of the pixels

# %% [markdown]
# ## 1. Data: shapes that cover each other
#
# Two to four shapes a picture, later ones in front, with noise on top. Gray values say nothing about the class; only outlines do. A true mask holds what can be *seen* of an object, its box is the smallest around that, and scenes in which less than 40 % of some object can be seen are not used. Pictures with fewer objects are filled up with empty boxes labeled $K$, so that everything fits into tensors.


# %%
def scenes(n):
    """Images (n, 1, H, W); for each object box (4,), label and mask (H, W)."""
    m = 3 * n  # tries; not all can be used
    labels = torch.randint(K, (m, OBJECTS))
    present = torch.arange(OBJECTS) < torch.randint(2, OBJECTS + 1, (m, 1))
    center = 16 + 16 * torch.rand(m, 1, 2) + 9 * torch.randn(m, OBJECTS, 2)
    center = center.clamp(8, SIZE - 8)
    radius = 6 + 5 * torch.rand(m, OBJECTS, 2)
    u, v = ((PIXEL - center[..., None]) / radius[..., None]).unbind(2)
    u, v = u[:, :, None], v[..., None]  # along a row, along a column
    square = (u.abs() < 0.9) & (v.abs() < 0.9)
    shapes = u**2 + v**2 < 1, square, (u.abs() < (v + 1) / 2) & (v < 1)
    whole = torch.stack(shapes)[labels, torch.arange(m)[:, None], torch.arange(OBJECTS)]
    whole &= present[..., None, None]
    later = whole.flip(1).cumsum(1).flip(1) - whole.int()  # how many lie in front
    masks = whole & (later == 0)
    usable = (masks.sum((2, 3)) >= 0.4 * whole.sum((2, 3))).all(1).nonzero()[:n, 0]
    masks, present = masks[usable], present[usable]
    images = (masks * (0.5 + 0.9 * torch.rand(n, OBJECTS, 1, 1))).sum(1, keepdim=True)
    lines = masks.any(2), masks.any(3)  # columns and rows that each object touches
    low = [torch.where(line, PIXEL - 0.5, SIZE).amin(2) for line in lines]
    high = [torch.where(line, PIXEL + 0.5, 0).amax(2) for line in lines]
    boxes = torch.stack(low + high, 2) * present[..., None]
    images += 0.1 * torch.randn(images.shape)
    return images, boxes, labels[usable].where(present, K), masks


torch.manual_seed(3)
test = images, boxes, labels, masks = scenes(150)
grown = F.max_pool2d(masks.float(), 3, 1, 1) > 0  # by one pixel
meet = (grown[:, :, None] & masks[:, None]).flatten(3).any(3)  # each object meets itself
touching = (meet.sum(2) > 1)[labels < K].float().mean().item()
assert touching > 0.7
print(f"share of the objects that touch another one: {touching:.2f}")

# %% alt="Five gray pictures on dark noise, each with three or four shapes that partly cover each other, outlined and marked E for ellipse, R for rectangle, T for triangle." caption="Scenes with their true masks. What is hidden belongs to nobody: the rectangle behind an ellipse has a bite taken out of it."
COLORS = ["#56b4e9", "#e69f00", "#2ca02c"]


def outline(ax, mask, color, style="solid"):
    look = {"colors": [color], "linestyles": [style], "linewidths": 1.2}
    ax.contour(mask.float().numpy(), levels=[0.5], **look)


def picture(ax, image):
    ax.imshow(image[0].numpy(), cmap="gray", vmin=-0.4, vmax=1.8, interpolation="nearest")
    ax.axis("off")


crowded = ((labels < K).sum(1) >= 3).nonzero()[:, 0].tolist()  # three objects or four
axes = plt.subplots(1, 5, figsize=(6.5, 1.5), layout="tight")[1]
for i, ax in zip(crowded[4:], axes):
    picture(ax, images[i])
    for label, mask in zip(labels[i], masks[i]):
        if label < K:
            outline(ax, mask, COLORS[label])
            y, x = mask.nonzero().float().mean(0)
            look = {"color": "white", "weight": "bold", "ha": "center", "va": "center"}
            ax.text(x, y, CLASSES[label][0], **look)
plt.show()

# %% [markdown]
# ## 2. Boxes: overlap, offsets, suppression
#
# Both stages use these. `encode` writes a box relative to a reference box $r$, so that an offset means the same for small and large references:
#
# $$
# t = 5 \left( \frac{x - x_r}{w_r}, \; \frac{y - y_r}{h_r}, \; \ln \frac{w}{w_r}, \; \ln \frac{h}{h_r} \right)
# $$
#
# with centers $x, y$ and sides $w, h$; the 5 brings the targets to about unit size. `nms` keeps a box unless a better box *that is kept itself* overlaps it too much. The usual loop resolves this circular rule box by box. Applying it to all boxes at once until nothing changes ends in the same place, since after $i$ rounds the $i$ best boxes are settled.


# %%
def iou(a, b):  # (N, A, 4), (N, B, 4) -> (N, A, B)
    a, b = a[:, :, None], b[:, None]
    area_a, area_b = ((box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b))
    sides = torch.minimum(a, b)[..., 2:] - torch.maximum(a, b)[..., :2]
    shared = sides.clamp(min=0).prod(-1)
    return shared / (area_a + area_b - shared).clamp(min=1e-9)


def center_and_sides(box):
    return (box[..., :2] + box[..., 2:]) / 2, (box[..., 2:] - box[..., :2]).clamp(min=0.1)


def encode(box, reference):
    (center, sides), (origin, unit) = center_and_sides(box), center_and_sides(reference)
    return 5 * torch.cat([(center - origin) / unit, (sides / unit).log()], -1)


def decode(offsets, reference):  # the inverse, cut to the picture
    origin, unit = center_and_sides(reference)
    center = origin + unit * offsets[..., :2] / 5
    half = unit * (offsets[..., 2:] / 5).clamp(max=2).exp() / 2
    return torch.cat([center - half, center + half], -1).clamp(0, SIZE)


def nms(boxes, threshold):  # (N, R, 4), best first -> (N, R), True where kept
    beaten = (iou(boxes, boxes) > threshold).tril(-1)  # i by a better j
    keep = torch.ones(boxes.shape[:2], dtype=torch.bool)
    while not keep.equal(updated := ~(beaten & keep[:, None]).any(2)):
        keep = updated
    return keep


def take(values, index):  # (N, R, 4), (N, M) -> (N, M, 4)
    return values.gather(1, index[..., None].expand(-1, -1, 4))


# %% [markdown]
# ## 3. RoIAlign
#
# Each region, whatever its size, becomes a crop of 6×6 bins. RoIAlign puts 2×2 points into each bin, reads the map there by bilinear interpolation and averages; nothing is rounded. Interpolation weights of rows and columns multiply, so a crop is two small matrix products: rows × map × columns. Cell $i$ of a map with stride $s$ has its center at $(i + \frac12) s$ pixels, hence the half that is subtracted. Two defects are built in for later: `"round"` snaps the box to whole cells first, as RoIPool does, and `"shift"` forgets the half.


# %%
def weights(start, end, size, cells):  # (R,), (R,) -> (R, size, cells), along one axis
    places = (torch.arange(2 * size) + 0.5) / (2 * size)  # two points a bin
    at = start[:, None] + (end - start)[:, None] * places
    inside = (at >= -1) & (at <= cells)  # points further out count as 0
    distance = (at.clamp(0, cells - 1)[..., None] - torch.arange(cells)).abs()
    bilinear = (1 - distance).clamp(min=0) * inside[..., None]
    return bilinear.unflatten(1, (size, 2)).mean(2)


def roi_align(maps, boxes, owner, stride, size, crop="align"):
    """Maps (N, C, H, W), boxes (R, 4), their images (R,) -> (R, C, size, size)."""
    low, high = (boxes / stride).unflatten(1, (2, 2)).unbind(1)  # in cells, (R, 2) each
    if crop == "round":
        low, high = low.round(), torch.maximum(high.round(), low.round() + 1)
    if crop != "shift":
        low, high = low - 0.5, high - 0.5
    columns = weights(low[:, 0], high[:, 0], size, maps.shape[3])
    rows = weights(low[:, 1], high[:, 1], size, maps.shape[2])
    return rows[:, None] @ maps[owner] @ columns[:, None].mT


# %% [markdown]
# Such code is easily wrong in one line and still trains. So both algorithms meet ONNX Runtime's operators, on random boxes of which some cross the border.


# %%
def in_onnx(graph, **feeds):  # the first output of a graph in ONNX's text form
    text = f'<ir_version: 10, opset_import: ["": 21]> g {graph}'
    model = onnx.parser.parse_model(text).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    feeds = {name: np.asarray(value) for name, value in feeds.items()}
    return torch.tensor(session.run(None, feeds)[0])


NMS = """(float[1, N, 4] boxes, float[1, 1, N] scores, int64[1] most, float[1] limit)
    => (int64[R, 3] kept) { kept = NonMaxSuppression(boxes, scores, most, limit) }"""
ALIGN = """(float[N, C, H, W] x, float[R, 4] boxes, int64[R] owner)
    => (float[R, C, Y, X] out) { out = RoiAlign <
        coordinate_transformation_mode = "MODE", output_height = 6, output_width = 6,
        sampling_ratio = 2, spatial_scale = 0.25> (x, boxes, owner) }"""
maps, owner = torch.randn(3, 5, 12, 13), torch.arange(300) % 3
corner = 60 * torch.rand(300, 2) - 12
some = torch.cat([corner, corner + 5 + 20 * torch.rand(300, 2)], 1)
inner = some[(some.amin(1) > 0) & (some.amax(1) < SIZE)]
for limit in (0.2, 0.5, 0.7):
    scores = torch.arange(300.0, 0, -1)[None, None]
    limits = {"most": [300], "limit": np.float32([limit])}
    kept = in_onnx(NMS, boxes=some[None], scores=scores, **limits)[:, 2]
    assert nms(some[None], limit)[0].nonzero()[:, 0].tolist() == kept.tolist()
for crop in ("align", "round", "shift"):
    mode = "output_half_pixel" if crop == "shift" else "half_pixel"
    given, used = (inner, 4 * (inner / 4).round()) if crop == "round" else (some, some)
    feeds = {"x": maps, "boxes": used, "owner": owner[: len(used)]}
    out = in_onnx(ALIGN.replace("MODE", mode), **feeds)
    assert (roi_align(maps, given, feeds["owner"], 4, 6, crop) - out).abs().max() < 1e-4
assert (decode(encode(inner, inner.flip(0)), inner.flip(0)) - inner).abs().max() < 1e-3
print("nms and roi_align equal ONNX Runtime's operators")

# %% [markdown]
# ## 4. The network
#
# The backbone halves the picture twice: 12×12 cells of 4 pixels. At each cell the **region proposal network** (RPN) looks at two anchors, squares of 12 and 20 pixels, and gives each a score for "some object" and four offsets. **Box head and mask head** read crops: the first gives $K + 1$ class scores and four offsets, the second $K$ masks of 12×12, one for each class. (The paper has three anchors a cell on five levels, crops of 7×7 and 14×14, masks of 28×28, and separate offsets for each class.)

# %%
STRIDE, SIDES, CHANNELS = 4, torch.tensor([12.0, 20.0]), 32
cell = STRIDE * (torch.arange(SIZE // STRIDE) + 0.5)
middle = torch.cartesian_prod(cell, cell).flip(1)[:, None]  # (144, 1, 2): x, y
half = SIDES[:, None] / 2
ANCHORS = torch.cat([middle - half, middle + half], 2).flatten(0, 1)[None]  # (1, 288, 4)


def mask_head():  # crops (R, C, 6, 6) -> logits (R, K, 12, 12)
    up = nn.ConvTranspose2d(CHANNELS, 24, 2, 2)
    first = nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1)
    return nn.Sequential(first, nn.ReLU(), up, nn.ReLU(), nn.Conv2d(24, K, 1))


class MaskRCNN(nn.Module):
    def __init__(self):
        super().__init__()
        c, layers = CHANNELS, []
        for a, b, size, stride in ((1, 24, 5, 2), (24, c, 3, 2), (c, c, 3, 1), (c, c, 3, 1)):
            layers += [nn.Conv2d(a, b, size, stride, size // 2), nn.ReLU()]
        self.backbone = nn.Sequential(*layers)
        hidden, last = nn.Conv2d(c, c, 3, 1, 1), nn.Conv2d(c, len(SIDES) * 5, 1)
        self.rpn = nn.Sequential(hidden, nn.ReLU(), last)
        hidden, last = nn.Linear(36 * c, 64), nn.Linear(64, K + 5)
        self.box = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), last)
        self.mask = mask_head()

    def first_stage(self, images):  # -> (N, C, 12, 12), (N, 288), (N, 288, 4)
        features = self.backbone(images)
        out = self.rpn(features).permute(0, 2, 3, 1).reshape(len(images), -1, 5)
        return features, out[..., 0], out[..., 1:]


@torch.no_grad()  # no gradient flows into the coordinates of proposals
def propose(scores, offsets):  # the 64 best anchors -> nms -> 16 boxes, (N, 16, 4)
    best = scores.topk(64, 1).indices
    boxes = take(decode(offsets, ANCHORS), best)
    kept_first = (~nms(boxes, 0.7)).int().argsort(dim=1, stable=True)  # then the others
    return take(boxes, kept_first[:, :16])


torch.manual_seed(2)
net = MaskRCNN()
print(f"{sum(p.numel() for p in net.parameters())} weights, {ANCHORS.shape[1]} anchors")

# %% [markdown]
# ## 5. Five losses
#
# $$
# L = L_{\text{obj}} + L_{\text{rpn box}} + L_{\text{cls}} + L_{\text{box}} + L_{\text{mask}}
# $$
#
# **RPN.** An anchor is positive if its IoU with an object is at least 0.5, or if it is the best that the object has; negative below 0.3; in between it counts as neither. Positives are rare, so both groups are averaged separately. (The paper demands 0.7 and draws a balanced sample of anchors.) **Heads.** Regions are the proposals and, so that there are positives from the first step, the true boxes. A region with IoU of at least 0.5 learns the object's class, offsets and mask, any other the class "background". **Mask.** Only the mask of the true class enters, each pixel by its own sigmoid. The target is the object's mask cropped to the *region*, and RoIAlign itself does the cropping.


# %%
def losses(net, images, truth, labels, masks):  # -> (5,)
    features, scores, offsets = net.first_stage(images)
    overlap = iou(ANCHORS, truth)  # (N, 288, OBJECTS)
    best, which = overlap.max(2)
    champion = (overlap == overlap.amax(1, keepdim=True)) & (labels < K)[:, None]
    positive = (best >= 0.5) | champion.any(2)
    negative = (best < 0.3) & ~positive
    objectness = F.softplus(-scores[positive]).mean() + F.softplus(scores[negative]).mean()
    target = encode(take(truth, which), ANCHORS)
    rpn_box = F.smooth_l1_loss(offsets[positive], target[positive])

    regions = torch.cat([propose(scores, offsets), truth], 1)  # (N, 16 + OBJECTS, 4)
    best, which = iou(regions, truth).max(2)
    use = torch.cat([best[:, :-OBJECTS] >= 0, labels < K], 1)  # no empty boxes
    owner = use.nonzero()[:, 0]
    regions, hit, which = regions[use], best[use] >= 0.5, which[use]
    crops = roi_align(features, regions, owner, STRIDE, 6)
    logits, offsets = net.box(crops).split((K + 1, 4), 1)
    classification = F.cross_entropy(logits, labels[owner, which].where(hit, K))
    regions, owner, which, crops = regions[hit], owner[hit], which[hit], crops[hit]
    box = F.smooth_l1_loss(offsets[hit], encode(truth[owner, which], regions))

    few = torch.randperm(len(owner))[:64]  # enough for the mask, and cheaper
    owner, which = owner[few], which[few]
    whole = masks.flatten(0, 1)[:, None].float()  # (N * OBJECTS, 1, H, W)
    target = roi_align(whole, regions[few], owner * OBJECTS + which, 1, 12)[:, 0] >= 0.5
    of_class = net.mask(crops[few])[torch.arange(len(few)), labels[owner, which]]
    mask = F.binary_cross_entropy_with_logits(of_class, target.float())
    return torch.stack([objectness, rpn_box, classification, box, mask])


# %% [markdown]
# ## 6. Training
#
# Everything at once, from random weights, on fresh scenes in each step. Before it starts, note which boxes the untrained RPN proposes. Training amplifies the rounding of different processors, so from here on your decimals may differ from these by a few hundredths (the tests allow 0.1).

# %% tolerance=0.1
with torch.no_grad():
    untrained = propose(*net.first_stage(images)[1:])
STEPS, history = 300, []
adam = torch.optim.Adam(net.parameters())
rate = torch.optim.lr_scheduler.OneCycleLR(adam, 7e-3, total_steps=STEPS, pct_start=0.2)
for _ in range(STEPS):
    each = losses(net, *scenes(16))
    adam.zero_grad()
    each.sum().backward()
    adam.step()
    rate.step()
    history.append(each.detach())
history = torch.stack(history)
print("mean of         objectness  RPN box  class   box  mask")
for name, rows in (("first 20 steps", history[:20]), ("last 20 steps", history[-20:])):
    print(f"{name:14}" + "".join(f"{v:{w}.2f}" for v, w in zip(rows.mean(0), (12, 9, 7, 6, 6))))

# %% [markdown]
# All five fall together, on one backbone that serves them all.
#
# ## 7. What the proposals are worth
#
# A proposal network is judged by its recall: the share of objects that some proposal fits. What it misses, no head can find.

# %% tolerance=0.1
with torch.no_grad():
    proposals = propose(*net.first_stage(images)[1:])
recall = {}
print("share of objects with a box of IoU at least   0.5   0.7")
for name, offered in (
    ("16 proposals, untrained", untrained),
    ("all 288 anchors", ANCHORS),
    ("16 proposals, trained", proposals),
):
    fit = iou(offered, boxes).amax(1)[labels < K]
    recall[name] = [(fit >= limit).float().mean().item() for limit in (0.5, 0.7)]
    print(f"{name:44}  {recall[name][0]:.2f}  {recall[name][1]:.2f}")
assert recall["16 proposals, trained"][1] > max(0.75, recall["all 288 anchors"][1] + 0.3)

# %% [markdown]
# The anchors come near every object, but only a third of the objects are fitted well by one. Sixteen trained proposals fit about nine of ten: the RPN does not just choose among its anchors, its offsets move them onto the objects.
#
# ## 8. Inference, in the right order
#
# Training shows all heads the same regions. Inference has an order: proposals, then class and refined box, then NMS within each class (boxes of different classes are moved apart so that they cannot meet), and **masks last**, cropped from the *refined* boxes. Pasting resizes a mask to its box, with the same convention for the half pixel, and cuts at 0.5.


# %%
@torch.no_grad()
def find(net, images):  # all but the masks: D detections; owner tells whose
    features, scores, offsets = net.first_stage(images)
    regions = propose(scores, offsets)  # (N, 16, 4)
    shape = regions.shape[:2]
    owner = torch.arange(len(images))[:, None].expand(shape)
    crops = roi_align(features, regions.flatten(0, 1), owner.flatten(), STRIDE, 6)
    logits, offsets = net.box(crops).split((K + 1, 4), 1)
    scores, found = logits.softmax(1)[:, :K].max(1)  # best class but the background
    scores, order = scores.view(shape).sort(1, descending=True)
    found, regions = found.view(shape).gather(1, order), take(regions, order)
    refined = decode(take(offsets.view(*shape, 4), order), regions)
    keep = nms(refined + 2 * SIZE * found[..., None], 0.5) & (scores > 0.05)
    return SimpleNamespace(
        features=features,
        owner=owner[keep],
        regions=regions[keep],
        boxes=refined[keep],
        labels=found[keep],
        scores=scores[keep],
    )


@torch.no_grad()
def segment(head, features, owner, boxes, channel, crop="align"):  # -> masks (D, H, W)
    logits = head(roi_align(features, boxes, owner, STRIDE, 6, crop))
    small = logits[torch.arange(len(boxes)), channel].sigmoid()[:, None]  # (D, 1, 12, 12)
    x1, y1, x2, y2 = boxes.T[..., None]
    u = 2 * (PIXEL - x1) / (x2 - x1).clamp(min=1) - 1  # place in the box, -1 to 1
    v = 2 * (PIXEL - y1) / (y2 - y1).clamp(min=1) - 1
    grid = torch.stack(torch.broadcast_tensors(u[:, None], v[:, :, None]), 3)
    return F.grid_sample(small, grid, align_corners=False)[:, 0] > 0.5


def masks_of(found, boxes=None, crop="align", head=net.mask):
    boxes = found.boxes if boxes is None else boxes
    return segment(head, found.features, found.owner, boxes, found.labels, crop)


found = find(net, images)
predicted = masks_of(found)

# %% alt="The same picture of two rectangles, a triangle and an ellipse four times. Untrained: sixteen boxes of two sizes on a grid. Trained: sixteen boxes crowd around the shapes. Then one box for each shape, orange for rectangles, green for the triangle, blue for the ellipse. Last, four outlines close to the shapes." caption="From proposals to masks. The trained proposals offer several boxes for each object and know no class; the box head names, refines and thins them out."
i = crowded[0]
sure = (found.owner == i) & (found.scores > 0.5)
columns = (
    ("proposed, untrained", untrained[i], ["white"] * 16),
    ("proposed, trained", proposals[i], ["white"] * 16),
    ("refined, classified, NMS", found.boxes[sure], [COLORS[k] for k in found.labels[sure]]),
)
axes = plt.subplots(1, 4, figsize=(6.5, 1.9), layout="tight")[1]
for ax, (title, drawn, colors) in zip(axes, columns):
    for (x1, y1, x2, y2), color in zip(drawn.tolist(), colors):
        corner = x1 - 0.5, y1 - 0.5
        ax.add_patch(plt.Rectangle(corner, x2 - x1, y2 - y1, fill=False, ec=color))
    ax.set_title(title, fontsize=8)
for mask, k in zip(predicted[sure], found.labels[sure]):
    outline(axes[3], mask, COLORS[k])
axes[3].set_title("masks", fontsize=8)
for ax in axes:
    picture(ax, images[i])
plt.show()

# %% tags=["result"] alt="Four gray pictures of overlapping ellipses, rectangles and triangles; below each, the masks found in it, one color per class, with an initial and a score. Dashed true outlines lie close to most masks, less so where three objects overlap." caption="The first four test pictures with three objects or more, and all detections with a score above 0.5. White: the masks. Dashed: the truth. In the last picture, where three objects overlap, the triangle is found twice, in pieces."
axes = plt.subplots(2, 4, figsize=(6.5, 3.3), layout="tight")[1]
for i, (above, below) in zip(crowded, axes.T):
    picture(above, images[i])
    flat, front = torch.ones(SIZE, SIZE, 3), torch.full((SIZE, SIZE), -1)
    sure = ((found.owner == i) & (found.scores > 0.5)).nonzero()[:, 0]
    for d in sure.flip(0):  # the best last, on top
        flat[predicted[d]] = torch.tensor(to_rgb(COLORS[found.labels[d]]))
        front[predicted[d]] = d
    below.imshow(flat.numpy(), interpolation="nearest")
    for d in sure:
        y, x = (front == d).nonzero().float().mean(0)
        text = f"{CLASSES[found.labels[d]][0]} {found.scores[d]:.2f}"
        outline(below, predicted[d], "white")
        below.text(x, y, text, fontsize=7, weight="bold", ha="center", va="center")
    for mask in masks[i][labels[i] < K]:
        outline(below, mask, "black", "dashed")
    below.axis("off")
plt.show()

# %% [markdown]
# ## 9. Mask AP
#
# COCO's rule. For each class, rank all detections by score. Each takes, among the objects of its picture and class that are still free, the one with the largest mask IoU; it is a hit if that reaches the threshold. Walking down the ranking gives precision and recall; AP is the mean, over 101 recalls from 0 to 1, of the best precision at that recall or beyond. Then average over classes and over the ten thresholds 0.50, 0.55 … 0.95. With boxes in place of masks the same code gives box AP.

# %%
LIMITS, RECALLS = np.arange(50, 100, 5) / 100, np.linspace(0, 1, 101)


def area_under(hits, objects):  # hits (D, T) by rank -> AP (T,)
    hits = hits.cumsum(0)
    precision, recall = hits / np.arange(1, len(hits) + 1)[:, None], hits / objects
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this rank or later
    best = np.concatenate([best, np.zeros((1, hits.shape[1]))])  # recalls never reached
    return np.mean([best[np.searchsorted(r, RECALLS), t] for t, r in enumerate(recall.T)], 1)


def average_precision(owner, kinds, scores, overlap, labels):  # -> (10,)
    every = []
    for k in range(K):
        free = (labels == k).numpy()[None].repeat(len(LIMITS), 0)  # (10, N, OBJECTS)
        objects, hits, order = free[0].sum(), [], scores.argsort(descending=True)
        for d in order[kinds[order] == k]:
            row = np.where(free[:, owner[d]], overlap[d], -1)
            hits.append(row.max(1) >= LIMITS)
            free[np.arange(10), owner[d], row.argmax(1)] &= ~hits[-1]
        every.append(area_under(np.array(hits), objects))
    return np.mean(every, 0)


def mask_iou(a, b):  # (D, H, W), (D, OBJECTS, H, W) -> (D, OBJECTS)
    a, b = a.flatten(1).float(), b.flatten(2).float()
    shared = torch.einsum("dp,dop->do", a, b)
    return shared / (a.sum(1)[:, None] + b.sum(2) - shared).clamp(min=1)


def mask_ap(found, predicted):
    overlap = mask_iou(predicted, masks[found.owner])
    overlap = overlap.numpy()  # (D, OBJECTS)
    return average_precision(found.owner, found.labels, found.scores, overlap, labels)


for _ in range(50):  # the definition, word by word
    hits, objects = torch.rand(12, 1).numpy() < 0.6, 15
    ranks = [(hits[:n].sum() / n, hits[:n].sum() / objects) for n in range(1, 13)]
    slow = [max([p for p, r in ranks if r >= limit], default=0) for limit in RECALLS]
    assert abs(area_under(hits, objects)[0] - np.mean(slow)) < 1e-9
kinds = torch.tensor([0, 0, 1, 2])  # one object of class 0 is found twice, one never
overlap = np.eye(4)[[0, 0, 2, 3]]
once = average_precision(torch.zeros(4).long(), kinds, torch.ones(4), overlap, kinds[None])
assert np.allclose(once, (51 / 101 + 1 + 1) / 3)
print("AP follows the definition, and an object found twice counts once")

# %% tolerance=0.1
box_overlap = iou(found.boxes[:, None], boxes[found.owner])[:, 0].numpy()
box_ap = average_precision(found.owner, found.labels, found.scores, box_overlap, labels)
ap = {"align": mask_ap(found, predicted)}
for name, value in (("box", box_ap), ("mask", ap["align"])):
    print(f"{name:4} AP {value.mean():.2f}, at IoU 0.5 {value[0]:.2f}, at 0.75 {value[5]:.2f}")
assert ap["align"].mean() > 0.42 and ap["align"][0] > 0.72 and box_ap[0] > 0.82

# %% [markdown]
# On seven other seeds, with other pictures, box AP was 0.57 to 0.64 and mask AP 0.50 to 0.59; mask AP at IoU 0.5 was always 0.8 or more.
#
# ## 10. What breaks it: the crop
#
# The detections stay, only the mask head's crop changes. First **swapped** under the trained network, as happens when training and export follow different conventions. Then, since the network never saw such crops, a new mask head is **trained anew** on crops of that kind, from three seeds, with the backbone as it is.

# %% tolerance=0.1
for crop in ("round", "shift"):
    ap[crop] = mask_ap(found, masks_of(found, crop=crop))
pool = scenes(400)
seen = find(net, pool[0])
fit, which = iou(seen.boxes[:, None], pool[1][seen.owner])[:, 0].max(1)
good = fit >= 0.5
regions, owner, which = seen.boxes[good], seen.owner[good], which[good]
channel, index = pool[2][owner, which], owner * OBJECTS + which
whole = pool[3].flatten(0, 1)[:, None].float()
targets = roi_align(whole, regions, index, 1, 12)[:, 0] >= 0.5
again = {crop: [] for crop in ap}
for crop in ap:
    with torch.no_grad():
        crops = roi_align(seen.features, regions, owner, STRIDE, 6, crop)
    for seed in range(3):
        torch.manual_seed(seed)
        head = mask_head()
        adam = torch.optim.Adam(head.parameters(), 5e-3)
        for _ in range(120):
            batch = torch.randint(len(crops), (48,))
            logits = head(crops[batch])[torch.arange(48), channel[batch]]
            adam.zero_grad()
            F.binary_cross_entropy_with_logits(logits, targets[batch].float()).backward()
            adam.step()
        again[crop].append(mask_ap(found, masks_of(found, crop=crop, head=head)))
mean = {crop: np.mean(values, 0) for crop, values in again.items()}
print("mask AP    crop swapped   head trained anew with this crop")
for crop in ap:
    each = "  ".join(f"{value.mean():.2f}" for value in again[crop])
    print(f"{crop:10}  {ap[crop].mean():.2f}          {each}")
assert ap["shift"].mean() < ap["round"].mean() - 0.1 < ap["align"].mean() - 0.13
assert mean["align"].mean() - 0.05 < mean["shift"].mean() > mean["round"].mean() + 0.015

# %% alt="Two plots of AP against the mask IoU demanded. Left, crop swapped: align falls from above 0.8 to 0, round lies below it, and shift far below, near 0 from 0.8 on. Right, heads trained anew: align and shift nearly coincide, round lies below both from 0.7 on." caption="The stricter the threshold, the more the crop matters, until no mask is good enough. A constant shift can be learned, rounding cannot."
axes = plt.subplots(1, 2, figsize=(6.5, 2.4), layout="tight", sharey=True)[1]
titles = "crop swapped after training", "head trained anew (mean of 3)"
for ax, title, curves in zip(axes, titles, (ap, mean)):
    for (crop, curve), style in zip(curves.items(), ("-o", "--s", ":^")):
        ax.plot(LIMITS, curve, style, ms=3.5, label=crop)
    ax.set(title=title, xlabel="mask IoU demanded", ylim=(0, 1))
    ax.grid(alpha=0.3)
axes[0].set_ylabel("AP")
axes[1].legend()
plt.show()

# %% [markdown]
# **Swapped**, both defects hurt, and the missing half pixel hurts most. Half a cell of the map is two pixels of the picture: every crop lies that far to the right and down, on objects 11 to 22 pixels wide where nothing hides them. AP falls to less than half. At IoU 0.5 most masks still pass, at 0.8 next to none.
#
# **Trained anew**, the same shift costs 0.01 to 0.02 AP (eight seeds, each with three heads). It is the same for every box, so the head learns to draw each mask back into place. The popular statement "without the half pixel, masks are bad" fails here as long as training and inference agree; what hurts is a change of convention in between. **Rounding** still costs about 0.05: each box is off by another amount, and its crop does not tell by how much. Swapped, it cost 0.09 to 0.15, and the shift 0.28 to 0.35.
#
# The backbone was trained with RoIAlign, which could favor it. Trainings of the whole network with each crop (three seeds, not run here) gave the same order: mask AP 0.55 to 0.61 with RoIAlign, 0.54 to 0.61 without the half pixel, and 0.40 to 0.48 with rounding, where box AP falls as well, from 0.60–0.65 to 0.49–0.53. `"round"` has only the first of RoIPool's two roundings, and still reads by interpolation. The [paper](https://arxiv.org/abs/1703.06870) describes RoIWarp that way, and found it no better than RoIPool.

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Masks last, or at once?
#
# Crop the masks from the proposals that the detections came from, as if all heads ran side by side at inference. What does it do to mask AP, and how many crops would it take? (Hint: `found.regions` holds those proposals.)

# %% tags=["solution"] tolerance=0.1
early = mask_ap(found, masks_of(found, found.regions)).mean()
share = len(found.boxes) / (len(images) * 16)
print(f"mask AP {ap['align'].mean():.2f} from refined boxes, {early:.2f} from proposals")
print(f"crops: {share:.2f} of those that masks for all proposals would take")
assert early < ap["align"].mean() + 0.02 and share < 0.5

# %% [markdown]
# The order saves three quarters of the crops here. The refined box also fits better, but that gains little: 0.00 to 0.04 AP over twelve trainings. One reason may be that the mask head learned on just such loose boxes.
#
# ### Exercise 2. Ask the wrong channel
#
# The mask head has a channel for each class. Crop all true boxes, read each object from each channel and compare with its true mask. Which channels understand which objects? (Hint: `segment` takes the channel for each box.)

# %% tags=["solution"] tolerance=0.1
there = labels < K
owner, kinds = there.nonzero()[:, 0], labels[there]
true_boxes, true_masks = boxes[there], masks[there]
quality = torch.zeros(K, K)
for channel in range(K):
    asked = torch.full_like(owner, channel)
    drawn = segment(net.mask, found.features, owner, true_boxes, asked)
    overlap = mask_iou(drawn, true_masks[:, None])[:, 0]
    quality[:, channel] = torch.stack([overlap[kinds == k].mean() for k in range(K)])
own, swapped = quality.diagonal().mean(), (quality[0, 1] + quality[1, 0]) / 2
print(f"mean IoU {own:.2f} from an object's own channel")
print(f"         {swapped:.2f} with the channels of ellipses and rectangles swapped")
foreign = (quality.sum() - K * own) / (K * K - K)
assert own > foreign + 0.05 and (quality[:2, :2] > 0.7).all()

# %% [markdown]
# The channels for ellipses and rectangles read each other's objects nearly as well as their own, although neither was trained on the other: they seem to follow the edge in the crop and to hold no template. Only the triangle's channel depends much on its class: asked for an ellipse or a rectangle it reached 0.42 to 0.58, depending on the processor's rounding, so no digit of it is printed. That fits the paper, where one mask for all classes lost little (29.7 against 30.3 AP); what matters is that channels [do not compete](../vision-tasks/instance-segmentation.html#q24-sigmoid-masks).
#
# ### Exercise 3. Where are the points lost?
#
# Mask AP is far from 1. Is the detector to blame or the mask head? Replace one of them by the truth: true boxes and classes with predicted masks, then predicted boxes, classes and scores with true masks. (Hint: give each detection the mask of the object that its box overlaps most, if the IoU is at least 0.5.)

# %% tags=["solution"] tolerance=0.1
drawn = segment(net.mask, found.features, owner, true_boxes, kinds)
overlap = mask_iou(drawn, masks[owner]).numpy()
scores = torch.ones(len(owner))
with_boxes = average_precision(owner, kinds, scores, overlap, labels).mean()
fit, which = iou(found.boxes[:, None], boxes[found.owner])[:, 0].max(1)
ideal = masks[found.owner, which] & (fit >= 0.5)[:, None, None]
with_masks = mask_ap(found, ideal).mean()
print(f"mask AP {ap['align'].mean():.2f} as it is")
print(f"        {with_boxes:.2f} with true boxes and classes, predicted masks")
print(f"        {with_masks:.2f} with predicted boxes and classes, true masks")
assert with_masks > with_boxes + 0.15 and with_boxes > ap["align"].mean()

# %% [markdown]
# Mostly the mask head is to blame. On eight seeds, perfect boxes and classes gained 0.03 to 0.08, perfect masks 0.34 to 0.40. An outline that lies one pixel too far inside leaves a square of 16 pixels an IoU of $(14/16)^2 = 0.77$, and the head has to find it from cells of four pixels. (The paper enlarges its pictures to 800 pixels and more, so that an object covers more cells.)
#
# ## What is left out
#
# A feature pyramid, pretrained weights, box offsets for each class, sampling of regions, and real pictures. The numbers show how the parts work together and are no benchmark. The score of a detection still comes from the class alone, so a mask that spills over its neighbor ranks as high as a clean one; Mask Scoring R-CNN (2019) mends that.
