"""Which remedy finds rare classes? Ten digits with 90 down to 4 training images.

Class 0 is the most frequent digit of a pair, class 9 the rarest; which digits these are follows from the
seed, so that no digit's difficulty decides. Validation and test hold every class equally often.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from answerbook.study import Arm, Claim, Study

torch.set_default_dtype(torch.float64)

COUNTS = torch.tensor([90, 64, 45, 32, 23, 16, 11, 8, 6, 4])
LOG_PRIOR = (COUNTS / COUNTS.sum()).log()
TAIL = 3  # the rarest classes
STEPS, LONG, BATCH = 300, 900, 32


def data(seed):
    images, digits = map(torch.from_numpy, load_digits(return_X_y=True))
    images = images.view(-1, 1, 8, 8) / 16
    generator = torch.Generator().manual_seed(seed)
    parts = {"train": [], "validation": [], "test": []}
    for rank, digit in enumerate(torch.randperm(10, generator=generator)):
        rows = torch.where(digits == digit)[0]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        for name, own in zip(parts, (rows[: COUNTS[rank]], rows[90:120], rows[120:170]), strict=True):
            parts[name].append((images[own], torch.full((len(own),), rank)))
    return {name: tuple(torch.cat(one) for one in zip(*part)) for name, part in parts.items()}


def network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


class Shifted(nn.Module):
    """Log probabilities of one network, or of the mean of several, minus tau log prior."""

    def __init__(self, members, tau=0.0):
        super().__init__()
        self.members, self.tau = nn.ModuleList(members), tau

    def forward(self, x):
        p = torch.stack([member(x).softmax(1) for member in self.members]).mean(0)
        return p.log() - self.tau * LOG_PRIOR


def jitter(x, generator):
    """Each image turned by up to 20 degrees, scaled by up to 15 % and moved by up to one pixel."""
    turn, scale = (torch.rand(2, len(x), generator=generator) - 0.5) * torch.tensor([[0.7], [0.3]])
    move = (torch.rand(2, len(x), generator=generator) - 0.5) * 0.5
    rows = [(1 + scale) * turn.cos(), -turn.sin(), move[0], turn.sin(), (1 + scale) * turn.cos(), move[1]]
    grid = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def balanced(y, most):
    """Rows of a training set in which every class stands ``most`` times, by copies or by leaving out."""
    own = [torch.where(y == c)[0] for c in range(10)]
    return torch.cat([rows.repeat(-(-most // len(rows)))[:most] for rows in own])


def train(run, x, y, lr, loss=F.cross_entropy, steps=STEPS, rows=None, augment=None, tau=None, key="model"):
    """One network on the given rows; with ``tau`` its logits are shifted afterwards. All arms of a pair
    start from the same weights."""
    model = run.initialize(network, key=key)
    if tau is not None:
        model = Shifted([model], tau)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    rows = torch.arange(len(y)) if rows is None else rows
    generator = run.generator(f"augmentation {key}")
    for index in run.batches(len(rows), BATCH, steps, watch=model, key=key):
        index = rows[index]
        images = x[index]
        if augment is not None:
            images = torch.where(augment[y[index]].view(-1, 1, 1, 1), jitter(images, generator), images)
        optimizer.zero_grad()
        loss(model(images) if tau is None else model.members[0](images), y[index]).backward()
        optimizer.step()
    return model


def plain(run, data, lr):
    return train(run, *data.train, lr)


def longer(run, data, lr):
    return train(run, *data.train, lr, steps=LONG)


def shift(run, data, lr, tau):
    return train(run, *data.train, lr, tau=tau)


def oversampling(run, data, lr):
    x, y = data.train
    return train(run, x, y, lr, rows=balanced(y, 90))


def undersampling(run, data, lr):
    x, y = data.train
    return train(run, x, y, lr, rows=balanced(y, 4))


def weights(run, data, lr, power):
    weight = COUNTS**-power
    weight = weight * COUNTS.sum() / (COUNTS * weight).sum()  # mean 1 over the images

    def loss(z, y):
        return (weight[y] * F.cross_entropy(z, y, reduction="none")).mean()

    return train(run, *data.train, lr, loss)


def focal(run, data, lr, gamma):
    def loss(z, y):
        ce = F.cross_entropy(z, y, reduction="none")
        return ((1 - (-ce).exp()) ** gamma * ce).mean()

    return train(run, *data.train, lr, loss)


def adjusted(run, data, lr, tau):
    def loss(z, y):
        return F.cross_entropy(z + tau * LOG_PRIOR, y)

    return train(run, *data.train, lr, loss)


def decoupled(run, data, lr, steps):
    """Kang and others, 2020: natural batches, then a new last layer on balanced ones."""
    x, y = data.train
    model = train(run, x, y, lr)
    with torch.no_grad():
        features = model[:-1](x)
    head = run.initialize(lambda: nn.Linear(256, 10), key="head")
    optimizer = torch.optim.Adam(head.parameters(), lr)
    rows = balanced(y, 90)
    for index in run.batches(len(rows), BATCH, steps, key="head"):
        index = rows[index]
        optimizer.zero_grad()
        F.cross_entropy(head(features[index]), y[index]).backward()
        optimizer.step()
    model[-1] = head
    return model


def members(run, data, lr, count, even):
    x, y = data.train
    found = []
    for number in range(count):
        key = f"member {number}" if number else "model"
        order = torch.randperm(len(y), generator=run.generator(f"part {number}"))
        rows = order[balanced(y[order], 4)] if even else None
        found.append(train(run, x, y, lr, steps=LONG // count, rows=rows, key=key))
    return found


def balanced_ensemble(run, data, lr):
    """Liu and others, 2009: each member sees all rare images and another few of the frequent ones."""
    return Shifted(members(run, data, lr, 5, even=True))


def plain_ensemble(run, data, lr, tau):
    return Shifted(members(run, data, lr, 3, even=False), tau)


def augmented(run, data, lr, tau):
    return train(run, *data.train, lr, steps=LONG, augment=torch.ones(10, dtype=bool), tau=tau)


def augmented_copies(run, data, lr, classes):
    x, y = data.train
    which = torch.arange(10) >= 10 - classes
    return train(run, x, y, lr, steps=LONG, rows=balanced(y, 90), augment=which)


def augmented_all_copies(run, data, lr):
    return augmented_copies(run, data, lr, 10)


def measure(model, part):
    """The logits are read as those for classes that are equally frequent."""
    x, y = part
    z = model(x).log_softmax(1)
    hit = (z.argmax(1) == y).double()
    recall = torch.stack([hit[y == c].mean() for c in range(10)])
    confidence = z.max(1).values.exp()
    bins = (confidence * 10).long().clamp(max=9)
    gaps = torch.zeros(10).index_add(0, bins, confidence - hit)
    return {
        "balanced accuracy": recall.mean(),
        "rare recall": recall[-TAIL:].mean(),
        "NLL": F.nll_loss(z, y),
        "ECE": gaps.abs().sum() / len(y),
    }


RATES = [0.005, 0.01, 0.02, 0.04]
TWO, TAUS = RATES[1:3], [1.0, 1.5]
RESAMPLED = {"batches": "from the resampled images"}
TRIPLE = {"steps": "three times as many", "batches": "more of them"}

SLOW = TRIPLE | {"plateau": "turned images still teach, so the gain is a lower bound"}

STUDY = Study(
    question="Which remedy finds rare classes?",
    arms=[
        Arm("plain", plain, {"lr": RATES}),
        Arm("plain, three times as long", longer, {"lr": RATES}, TRIPLE),
        Arm("plain, shifted", shift, {"lr": TWO, "tau": TAUS}),
        Arm("oversampling", oversampling, {"lr": RATES}, RESAMPLED),
        Arm("undersampling", undersampling, {"lr": RATES}, RESAMPLED),
        Arm("class weights", weights, {"lr": TWO, "power": [0.5, 1.0]}),
        Arm("focal loss", focal, {"lr": TWO, "gamma": [1.0, 2.0]}),
        Arm("logit-adjusted loss", adjusted, {"lr": TWO, "tau": TAUS}),
        Arm("new head", decoupled, {"lr": TWO, "steps": [150, 300]}, {"steps": "and a second stage"}),
        Arm("balanced ensemble", balanced_ensemble, {"lr": RATES}, RESAMPLED | {"steps": "five networks"}),
        Arm("plain ensemble, shifted", plain_ensemble, {"lr": TWO, "tau": TAUS}, {"steps": "three networks"}),
        Arm("augmented, shifted", augmented, {"lr": TWO, "tau": TAUS}, SLOW),
        Arm(
            "rare copies augmented",
            augmented_copies,
            {"lr": TWO, "classes": [3, 5]},
            RESAMPLED | SLOW,
        ),
        Arm("all copies augmented", augmented_all_copies, {"lr": RATES}, RESAMPLED | SLOW),
    ],
    claims=[
        Claim(
            "shift-beats-longer",
            "A free shift of the logits gains more than training three times as long.",
            arm="plain, shifted",
            rival="plain, three times as long",
            metric="balanced accuracy",
            margin=0.01,
            skeptic="Plain training had not finished: rare classes are merely learned last.",
            refutes="Rare classes need more than patience.",
        ),
        Claim(
            "weights-beat-shift",
            "Class weights find more than the free shift.",
            arm="class weights",
            rival="plain, shifted",
            metric="balanced accuracy",
            margin=0.01,
            skeptic="Weights only move the decision, and a shift does that without training.",
            refutes="Re-weighting the loss is better than moving the decision afterwards.",
        ),
        Claim(
            "oversampling-beats-longer",
            "Oversampling beats plain training that takes three times as long.",
            arm="oversampling",
            rival="plain, three times as long",
            metric="balanced accuracy",
            margin=0.01,
            skeptic="Copies only make the rare classes learned sooner.",
            refutes="Oversampling finds rare classes that plain training misses.",
        ),
        Claim(
            "oversampling-beats-undersampling",
            "Oversampling beats undersampling.",
            arm="oversampling",
            rival="undersampling",
            metric="balanced accuracy",
            margin=0.02,
            skeptic="Copies overfit; forty images, four of each class, are as good.",
            refutes="For CNNs oversampling is better than undersampling.",
        ),
        Claim(
            "focal-finds-rare",
            "Focal loss finds more rare images than cross-entropy.",
            arm="focal loss",
            rival="plain",
            metric="rare recall",
            margin=0.03,
            skeptic="It knows nothing of class frequency.",
            refutes="Focal loss is a remedy for rare classes.",
        ),
        Claim(
            "loss-beats-shift",
            "The logit-adjusted loss beats the same shift after training.",
            arm="logit-adjusted loss",
            rival="plain, shifted",
            metric="balanced accuracy",
            margin=0.01,
            skeptic="Both move the output bias by the log prior.",
            refutes="The prior must be in the loss to be of use.",
        ),
        Claim(
            "head-beats-shift",
            "A head re-trained on balanced batches beats the shift of the old head.",
            arm="new head",
            rival="plain, shifted",
            metric="balanced accuracy",
            margin=0.01,
            skeptic="The old head is wrong in its bias, and the shift repairs that.",
            refutes="Decoupling beats the shift.",
        ),
        Claim(
            "balanced-ensemble-wins",
            "An ensemble of balanced members beats a plain ensemble that is shifted.",
            arm="balanced ensemble",
            rival="plain ensemble, shifted",
            metric="balanced accuracy",
            margin=0.01,
            skeptic="Averaging helps any network, and the shift does the rest.",
            refutes="Members of an ensemble must be trained on balanced data.",
        ),
        Claim(
            "augmentation-adds",
            "Augmenting every image gains over the shift alone.",
            arm="augmented, shifted",
            rival="plain, shifted",
            metric="balanced accuracy",
            margin=0.01,
            skeptic="Turned copies are no new images.",
            refutes="Augmentation supplies what rare classes lack.",
        ),
        Claim(
            "augment-rare-only",
            "Augmenting only the copies of rare images loses against augmenting every copy.",
            arm="all copies augmented",
            rival="rare copies augmented",
            metric="balanced accuracy",
            margin=0.01,
            skeptic="Frequent classes have variety enough.",
            refutes="Augment every class alike, not the rare ones alone.",
        ),
    ],
    metrics={"balanced accuracy": "larger", "rare recall": "larger", "NLL": "smaller", "ECE": "smaller"},
    equal="network, first weights, batches of 32, Adam with a constant rate, last weights; 300 steps, or 900 "
    "where an arm says so (in an ensemble divided among its members)",
    data=data,
    measure=measure,
    pairs=14,
    plateau=0.01,
)
