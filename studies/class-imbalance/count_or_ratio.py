"""Does the ratio of the classes hurt, or the count of the rare one? One noisy digit against nine others.

Which digit is the rare one follows from the seed. Validation and test count both classes alike.
"""

import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from answerbook.study import Arm, Claim, Study

torch.set_default_dtype(torch.float64)

NOISE, STEPS = 0.35, 600
POSITIVES = {"train": 80, "validation": 30, "test": 60}
NEGATIVES = {"train": 800, "validation": 300, "test": 500}


def data(seed):
    images, digits = map(torch.from_numpy, load_digits(return_X_y=True))
    generator = torch.Generator().manual_seed(seed)
    images = images.view(-1, 1, 8, 8) / 16
    images = images + NOISE * torch.randn(images.shape, generator=generator)
    order = torch.randperm(len(digits), generator=generator)
    rare = torch.randint(10, (1,), generator=generator)
    own, others = order[digits[order] == rare], order[digits[order] != rare]
    parts = {}
    for name, count in POSITIVES.items():
        rows = torch.cat([own[:count], others[: NEGATIVES[name]]])
        own, others = own[count:], others[NEGATIVES[name] :]
        parts[name] = images[rows], (digits[rows] == rare).double()
    return parts


def network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 1),
        nn.Flatten(0),
    )


class Moved(nn.Module):
    """Log odds minus the log odds of the training prior: above 0 is above the prior."""

    def __init__(self, model, log_ratio):
        super().__init__()
        self.model, self.log_ratio = model, log_ratio

    def forward(self, x):
        return self.model(x) + self.log_ratio


def train(run, data, lr, positives, negatives, move):
    x, y = data.train
    rows = torch.cat([torch.where(y == 1)[0][:positives], torch.where(y == 0)[0][:negatives]])
    model = Moved(run.initialize(network), math.log(negatives / positives) if move else 0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for index in run.batches(len(rows), 32, STEPS, watch=model):
        index = rows[index]
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model.model(x[index]), y[index]).backward()
        optimizer.step()
    return run.best(model)


def even(run, data, lr):
    return train(run, data, lr, 8, 8, move=True)


def ten(run, data, lr):
    return train(run, data, lr, 8, 80, move=True)


def hundred_at_half(run, data, lr):
    return train(run, data, lr, 8, 800, move=False)


def hundred(run, data, lr):
    return train(run, data, lr, 8, 800, move=True)


def more(run, data, lr):
    return train(run, data, lr, 80, 800, move=True)


def measure(model, part):
    x, y = part
    alarm = (model(x) > 0).double()
    recall, specificity = alarm[y == 1].mean(), 1 - alarm[y == 0].mean()
    return {"balanced accuracy": (recall + specificity) / 2, "recall": recall}


RATES = {"lr": [0.004, 0.016]}
OTHER = {"batches": "from other training images"}

STUDY = Study(
    question="Does the ratio of the classes hurt, or the count of the rare one?",
    arms=[
        Arm("8 rare, 8 others", even, RATES, OTHER),
        Arm("8 rare, 80 others, cut at the prior", ten, RATES, OTHER),
        Arm(
            "8 rare, 800 others, cut at 0.5",
            hundred_at_half,
            RATES,
            OTHER | {"plateau": "it still finds a few more; compared after equal steps"},
        ),
        Arm("8 rare, 800 others, cut at the prior", hundred, RATES, OTHER),
        Arm("80 rare, 800 others, cut at the prior", more, RATES, OTHER),
    ],
    claims=[
        Claim(
            "ratio-harmless",
            "With the threshold at the prior, 100 to 1 is no worse than 1 to 1 with as many rare images.",
            arm="8 rare, 800 others, cut at the prior",
            rival="8 rare, 8 others",
            metric="balanced accuracy",
            margin=0.02,
            no_worse=True,
            skeptic="So skewed a training set spoils the features, and no threshold repairs them.",
            refutes="The ratio is harmless once the threshold moves.",
        ),
        Claim(
            "more-frequent-images-help",
            "Ten times as many frequent images help to find the rare class.",
            arm="8 rare, 80 others, cut at the prior",
            rival="8 rare, 8 others",
            metric="balanced accuracy",
            margin=0.02,
            skeptic="They only say what is not rare.",
            refutes="Never throw frequent images away.",
        ),
        Claim(
            "threshold-decides",
            "At 100 to 1, moving the threshold to the prior rescues the rare class.",
            arm="8 rare, 800 others, cut at the prior",
            rival="8 rare, 800 others, cut at 0.5",
            metric="balanced accuracy",
            margin=0.05,
            skeptic="A network that fits all its images has probabilities that no threshold can use.",
            refutes="The threshold is all that a large ratio spoils.",
        ),
        Claim(
            "count-matters",
            "Ten times as many images of both classes gain, at the same ratio.",
            arm="80 rare, 800 others, cut at the prior",
            rival="8 rare, 80 others, cut at the prior",
            metric="balanced accuracy",
            margin=0.05,
            skeptic="Eight images show a digit well enough.",
            refutes="The count of rare images is what limits.",
        ),
    ],
    metrics={"balanced accuracy": "larger", "recall": "larger"},
    equal="network, first weights, 600 steps of at most 32 images, the step with the best validation score",
    data=data,
    measure=measure,
    pairs=20,
    plateau=0.01,
)
