"""Does a better teacher make a better student, and what do size, confidence and label smoothing do to it?

Cho and Hariharan, ICCV 2019 (large teachers); Mirzadeh and others, AAAI 2020 (the gap); Müller and others,
NeurIPS 2019 (smoothed teachers). Digits under heavy noise: 500 labeled ones for the teachers, 150 others
for the student. Shapes: images x (N, 1, 8, 8), labels y (N,), logits (N, 10).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from answerbook.study import Arm, Claim, Study, split

torch.set_default_dtype(torch.float64)
STEPS, BATCH, NOISE = 400, 50, 0.35


def data(seed):
    images, digits = map(torch.from_numpy, load_digits(return_X_y=True))
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    images = (images / 16 + NOISE * noise).view(-1, 1, 8, 8)
    return split(seed, (images, digits), train=150, teacher=500, validation=250, test=None)


def accuracy(model, part):
    x, y = part
    return (model(x).argmax(1) == y).double().mean()


def measure(model, part):
    teacher = getattr(model, "learned_from", [])  # a list: no part of the student's weights
    return {
        "accuracy": accuracy(model, part),
        "teacher's accuracy": accuracy(teacher[0], part) if teacher else 1.0,
    }


def network(channels):
    return nn.Sequential(
        nn.Conv2d(1, channels, 4, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(channels, 10, 4), nn.Flatten()
    )


class Ensemble(nn.Module):
    """The mean of the members' log-probabilities."""

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x):
        return torch.stack([member(x).log_softmax(1) for member in self.members]).mean(0)


def teach(own, images, channels, decay=0.3, smoothing=0.0, stop=True, key="model"):
    """A teacher, trained with weight decay and early stopping; without both it ends sure of itself."""
    x, y = images
    model = own.initialize(lambda: network(channels), key=key)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=decay)
    for index in own.batches(len(y), BATCH, STEPS, watch=model, key=key):
        optimizer.zero_grad()
        F.cross_entropy(model(x[index]), y[index], label_smoothing=smoothing).backward()
        optimizer.step()
    return own.best(model, key=key) if stop else model


def ensemble(own, images):
    return Ensemble([teach(own, images, 32, key=f"member {n}") for n in range(4)])


TEACHERS = {
    "small": lambda own, data: teach(own, data.teacher, 3),
    "medium": lambda own, data: teach(own, data.teacher, 8),
    "large": lambda own, data: teach(own, data.teacher, 32),
    "ensemble": lambda own, data: ensemble(own, data.teacher),
    "overconfident": lambda own, data: teach(own, data.teacher, 32, decay=0.0, stop=False),
    "smoothed": lambda own, data: teach(own, data.teacher, 32, smoothing=0.2),
    "large, own images": lambda own, data: teach(own, data.train, 32),
}


def student(run, x, loss, lr, decay=0.0):
    model = run.initialize(lambda: network(3))
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=decay)
    for index in run.batches(len(x), BATCH, STEPS, watch=model):
        optimizer.zero_grad()
        loss(model(x[index]), index).backward()
        optimizer.step()
    return run.best(model)


def labels(run, data, lr, decay, smoothing):
    x, y = data.train

    def loss(logits, index):
        return F.cross_entropy(logits, y[index], label_smoothing=smoothing)

    return student(run, x, loss, lr, decay)


def distill_from(name):
    """The fit of one arm: soft targets and labels, mixed by alpha."""

    def fit(run, data, lr, alpha, T):
        x, y = data.train
        teacher = run.shared(name, lambda own: TEACHERS[name](own, data)).eval()
        with torch.no_grad():
            target = (teacher(x) / T).softmax(1)

        def loss(logits, index):
            soft = F.kl_div((logits / T).log_softmax(1), target[index], reduction="batchmean")
            return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(logits, y[index])

        model = student(run, x, loss, lr)
        model.learned_from = [teacher]
        return model

    return fit


RATES = [0.01, 0.03]
KNOBS = {"lr": RATES, "alpha": [0.5, 1.0], "T": [1.0, 4.0, 16.0, 64.0]}
COSTLY = "A student of 3 channels is full; and T, tuned for each teacher, makes up for the rest."

STUDY = Study(
    question="Which teacher makes the best student?",
    arms=[
        Arm("labels", labels, {"lr": RATES, "decay": [0.3, 1.0, 3.0, 10.0], "smoothing": [0.0, 0.2]}),
        *(Arm(name, distill_from(name), KNOBS) for name in TEACHERS),
    ],
    claims=[
        Claim(
            "no-larger",
            "A teacher no larger than the student gains two points over tuned labels.",
            arm="small",
            rival="labels",
            metric="accuracy",
            margin=0.02,
            skeptic="Weight decay and label smoothing, tuned as hard, do as much for 150 labels.",
            refutes="A teacher need not be larger than its student.",
        ),
        Claim(
            "own-images",
            "A large teacher that saw only the student's own images gains a point over tuned labels.",
            arm="large, own images",
            rival="labels",
            metric="accuracy",
            margin=0.01,
            skeptic="Without further labels there is nothing to pass on.",
            refutes="A large teacher helps even if it saw no other label than the student.",
        ),
        Claim(
            "larger-helps",
            "The students of a large teacher are a point better than those of a small one.",
            arm="large",
            rival="small",
            metric="accuracy",
            margin=0.01,
            skeptic=COSTLY,
            refutes="A larger teacher makes a better student.",
        ),
        Claim(
            "gap-hurts",
            "A teacher of middle size makes students a point better than a large one does.",
            arm="medium",
            rival="large",
            metric="accuracy",
            margin=0.01,
            skeptic="A large teacher only needs another temperature.",
            refutes="The larger the gap between teacher and student, the worse.",
        ),
        Claim(
            "ensemble-helps",
            "The students of an ensemble are a point better than those of one of its kind.",
            arm="ensemble",
            rival="large",
            metric="accuracy",
            margin=0.01,
            skeptic=COSTLY,
            refutes="An ensemble is the better teacher.",
        ),
        Claim(
            "overconfident-hurts",
            "Teachers stopped in time make students a point better than overtrained ones.",
            arm="large",
            rival="overconfident",
            metric="accuracy",
            margin=0.01,
            skeptic="A high temperature undoes the confidence.",
            refutes="An overconfident teacher only needs a higher temperature.",
        ),
        Claim(
            "smoothed-is-better",
            "The smoothed teacher is itself more accurate than the plain one.",
            arm="smoothed",
            rival="large",
            metric="teacher's accuracy",
            margin=0.0,
            skeptic="Early stopping and weight decay regularize as much.",
            refutes="Label smoothing makes the better teacher network.",
        ),
        Claim(
            "smoothing-hurts",
            "Students of the plain teacher are a point better than those of the smoothed one.",
            arm="large",
            rival="smoothed",
            metric="accuracy",
            margin=0.01,
            skeptic="T = 1 suits a smoothed teacher; it is among the candidates.",
            refutes="Label smoothing ruins a teacher.",
        ),
    ],
    metrics={"accuracy": "larger", "teacher's accuracy": "larger"},
    equal="student, first weights, batches, 400 steps, 16 candidates, early stopping on 250 images",
    data=data,
    measure=measure,
    tuning_seeds=(0, 1),
    pairs=12,
    budget=420,
)
