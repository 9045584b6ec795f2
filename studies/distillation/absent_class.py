"""Does a student learn a class it was never shown from the teacher's small probabilities?

Hinton, Vinyals, Dean, 2015 (the left-out 3); Müller and others, NeurIPS 2019, and Chandrasegaran and others,
ICML 2022 (smoothed teachers). The teacher saw all ten digits, the student's images hold no 3.
Shapes: images x (N, 1, 8, 8), labels y (N,), logits (N, 10).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from answerbook.study import Arm, Claim, Study, split

torch.set_default_dtype(torch.float64)
STEPS, BATCH = 600, 50


def data(seed):
    images, digits = map(torch.from_numpy, load_digits(return_X_y=True))
    images = images.view(-1, 1, 8, 8) / 16
    parts = split(seed, (images, digits), teacher=400, train=400, validation=300, test=None)
    x, y = parts["train"]
    return parts | {"train": (x[y != 3], y[y != 3])}


def measure(model, part):
    x, y = part
    right = (model(x).argmax(1) == y).double()
    return {"accuracy": right.mean(), "3s": right[y == 3].mean(), "other digits": right[y != 3].mean()}


def network(channels):
    return nn.Sequential(
        nn.Conv2d(1, channels, 4, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(channels, 10, 4), nn.Flatten()
    )


def train(run, examples, channels, loss, lr):
    model = run.initialize(lambda: network(channels))
    x, y = examples
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for index in run.batches(len(y), BATCH, STEPS, watch=model):
        optimizer.zero_grad()
        loss(model(x[index]), index).backward()
        optimizer.step()
    return run.best(model)


def teacher_of(run, data, smoothing):
    y = data.teacher[1]

    def loss(logits, index):
        return F.cross_entropy(logits, y[index], label_smoothing=smoothing)

    return run.shared(f"teacher {smoothing}", lambda own: train(own, data.teacher, 32, loss, 0.01)).eval()


def distill(run, data, lr, T, smoothing=0.0, leveled=False):
    """Soft targets alone; leveled: the largest probability stays, the others share the rest alike."""
    x, teacher = data.train[0], teacher_of(run, data, smoothing)
    with torch.no_grad():
        target = (teacher(x) / T).softmax(1)
    if leveled:
        top = target.amax(1, keepdim=True)
        target = torch.where(target == top, top, (1 - top) / 9)

    def loss(logits, index):
        return T**2 * F.kl_div((logits / T).log_softmax(1), target[index], reduction="batchmean")

    return train(run, data.train, 4, loss, lr)


def labels(run, data, lr):
    y = data.train[1]
    return train(run, data.train, 4, lambda logits, index: F.cross_entropy(logits, y[index]), lr)


def soft(T, smoothing=0.0, leveled=False):
    return lambda run, data, lr: distill(run, data, lr, T, smoothing, leveled)


RATE = {"lr": [0.01, 0.03]}

STUDY = Study(
    question="Does a student learn a class it was never shown?",
    arms=[
        Arm("labels", labels, RATE),
        Arm("leveled, T = 4", soft(4.0, leveled=True), RATE),
        Arm("soft, T = 1", soft(1.0), RATE),
        Arm("soft, T = 4", soft(4.0), RATE),
        Arm("soft, T = 16", soft(16.0), RATE),
        Arm("smoothed teacher, T = 1", soft(1.0, 0.2), RATE),
        Arm("smoothed teacher, T = 4", soft(4.0, 0.2), RATE),
        Arm("smoothed teacher, T = 16", soft(16.0, 0.2), RATE),
    ],
    claims=[
        Claim(
            "small-probabilities",
            "Soft targets at T = 4 teach a fifth more of the unseen 3s than targets as soft but leveled.",
            arm="soft, T = 4",
            rival="leveled, T = 4",
            metric="3s",
            margin=0.2,
            skeptic="Less confidence does it, as label smoothing would.",
            refutes="The small probabilities carry knowledge.",
        ),
        Claim(
            "temperature",
            "T = 4 teaches a tenth more of the unseen 3s than T = 1.",
            arm="soft, T = 4",
            rival="soft, T = 1",
            metric="3s",
            margin=0.1,
            skeptic="The student reads small probabilities at T = 1 too, if it trains to the end.",
            refutes="Temperature brings the knowledge out.",
        ),
        Claim(
            "cost",
            "T = 4 costs at most two points on the other digits against labels.",
            arm="soft, T = 4",
            rival="labels",
            metric="other digits",
            margin=0.02,
            no_worse=True,
            skeptic="What is given to the 3s is taken from the other digits.",
            refutes="The unseen class comes at no cost.",
        ),
        Claim(
            "smoothing-erases",
            "At T = 16 a plain teacher teaches a tenth more of the unseen 3s than a smoothed one.",
            arm="soft, T = 16",
            rival="smoothed teacher, T = 16",
            metric="3s",
            margin=0.1,
            skeptic="The smoothed teacher's logits only have another scale.",
            refutes="Label smoothing erases what a teacher knows of similar classes.",
        ),
        Claim(
            "smoothing-at-one",
            "At T = 1 a smoothed teacher teaches a tenth more of the unseen 3s than a plain one.",
            arm="smoothed teacher, T = 1",
            rival="soft, T = 1",
            metric="3s",
            margin=0.1,
            skeptic="Softness without resemblance teaches nothing.",
            refutes="A smoothed teacher is the better one at a low temperature.",
        ),
    ],
    metrics={"accuracy": "larger", "3s": "larger", "other digits": "larger"},
    equal="student, first weights, batches, 600 steps, 2 candidates, early stopping on 300 images",
    data=data,
    measure=measure,
    tuning_seeds=(0, 1),
    pairs=12,
    budget=300,
)
