"""Which remedies keep probabilities usable, and do they rank better? One noisy digit against nine others.

Which digit is the rare one follows from the seed. All values are those for the natural mix, 1 positive
in 21: the examples of validation and test are weighted to it.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from answerbook.study import Arm, Claim, Study

torch.set_default_dtype(torch.float64)

RATIO, NOISE = 20, 0.35  # negatives per positive; standard deviation, where pixels are 0 to 1
PRIOR = 1 / (1 + RATIO)
POSITIVES = {"train": 30, "validation": 40, "test": 100}
NEGATIVES = {"train": 600, "validation": 400, "test": 600}
STEPS, BATCH = 600, 32


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


class Corrected(nn.Module):
    """A network's log odds, divided by a temperature and moved; alarms where they are above ``cut``."""

    def __init__(self, model, move=0.0):
        super().__init__()
        self.model, self.move, self.temperature, self.cut = model, move, 1.0, 0.0

    def forward(self, x):
        return self.model(x) / self.temperature - self.move


def natural(y):
    """Weight of each example, so that positives have the share PRIOR; the sum is 1."""
    return torch.where(y == 1, PRIOR / y.sum(), (1 - PRIOR) / (1 - y).sum())


def log_loss(z, y):
    return (natural(y) * F.binary_cross_entropy_with_logits(z, y, reduction="none")).sum()


def f1(z, y, cut):
    alarm, weight = (z > cut).double(), natural(y)
    return 2 * (weight * alarm * y).sum() / (weight * (alarm + y)).sum()


def train(run, data, lr, loss=None, move=0.0, rows=None):
    x, y = data.train
    model = Corrected(run.initialize(network), move)
    loss = loss or F.binary_cross_entropy_with_logits
    rows = torch.arange(len(y)) if rows is None else rows
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for index in run.batches(len(rows), BATCH, STEPS, watch=model):
        index = rows[index]
        optimizer.zero_grad()
        loss(model.model(x[index]), y[index]).backward()
        optimizer.step()
    return run.best(model)


def tune(model, data, scale):
    """Temperature (if asked for) and threshold for F1, both from validation data."""
    x, y = data.validation
    with torch.no_grad():
        z = model(x)
        if scale:
            temperatures = torch.logspace(-1, 1, 81)
            losses = torch.stack([log_loss(z / t, y) for t in temperatures])
            model.temperature = temperatures[losses.argmin()].item()
            z = model(x)
        cuts = z.sort().values
        scores = torch.stack([f1(z, y, cut) for cut in cuts])
        model.cut = cuts[scores.argmax()].item()
    return model


def plain(run, data, lr):
    return train(run, data, lr)


def plain_tuned(run, data, lr):
    return tune(train(run, data, lr), data, scale=True)


def weighted_loss(z, y):
    return F.binary_cross_entropy_with_logits(z, y, pos_weight=torch.tensor(float(RATIO)))


def weights(run, data, lr):
    return train(run, data, lr, weighted_loss)


def weights_corrected(run, data, lr):
    model = train(run, data, lr, weighted_loss, move=torch.tensor(float(RATIO)).log())
    return tune(model, data, scale=False)


def oversampled(run, data, lr):
    y = data.train[1]
    rows = torch.cat([torch.where(y == 0)[0], torch.where(y == 1)[0].repeat(RATIO)])
    model = train(run, data, lr, move=torch.tensor(float(RATIO)).log(), rows=rows)
    return tune(model, data, scale=False)


def undersampled(run, data, lr):
    y = data.train[1]
    ones = torch.where(y == 1)[0]
    rows = torch.cat([torch.where(y == 0)[0][: len(ones)], ones])
    model = train(run, data, lr, move=torch.tensor(float(RATIO)).log(), rows=rows)
    return tune(model, data, scale=False)


def focal_loss(z, y):
    bce = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    return ((1 - (-bce).exp()) ** 2 * bce).mean()


def focal(run, data, lr):
    return train(run, data, lr, focal_loss)


def focal_tuned(run, data, lr):
    return tune(train(run, data, lr, focal_loss), data, scale=True)


def measure(model, part):
    x, y = part
    z, weight = model(x), natural(y)
    p = z.sigmoid()
    bins = (p * 10).long().clamp(max=9)
    gaps = torch.zeros(10).index_add(0, bins, weight * (p - y))
    return {
        "log loss": log_loss(z, y),
        "ECE": gaps.abs().sum(),
        "ROC AUC": roc_auc_score(y, z),
        "AP": average_precision_score(y, z, sample_weight=weight),
        "F1": f1(z, y, model.cut),
    }


RATES = {"lr": [0.002, 0.004, 0.008, 0.016]}
RESAMPLED = {"batches": "from the resampled images"}

STUDY = Study(
    question="Which remedies keep probabilities usable, and do they rank better?",
    arms=[
        Arm("plain, cut at 0.5", plain, RATES),
        Arm("plain, tuned", plain_tuned, RATES),
        Arm("class weights, cut at 0.5", weights, RATES),
        Arm("class weights, corrected", weights_corrected, RATES),
        Arm("oversampling, corrected", oversampled, RATES, RESAMPLED),
        Arm("undersampling, corrected", undersampled, RATES, RESAMPLED),
        Arm("focal loss, cut at 0.5", focal, RATES),
        Arm("focal loss, tuned", focal_tuned, RATES),
    ],
    claims=[
        Claim(
            "weights-cost-calibration",
            "Class weights cost log loss as long as nothing corrects them.",
            arm="plain, cut at 0.5",
            rival="class weights, cut at 0.5",
            metric="log loss",
            margin=0.01,
            skeptic="A network that fits all images has the same probabilities, weighted or not.",
            refutes="Class weights make probabilities useless.",
        ),
        Claim(
            "weights-repaired",
            "Corrected by the log of the weight, class weights cost no log loss.",
            arm="class weights, corrected",
            rival="plain, tuned",
            metric="log loss",
            margin=0.005,
            no_worse=True,
            skeptic="The formula holds for the true posterior, not for a trained network.",
            refutes="One formula repairs the probabilities after weighting.",
        ),
        Claim(
            "undersampling-repaired",
            "Corrected by the log of the ratio, undersampling costs no log loss.",
            arm="undersampling, corrected",
            rival="plain, tuned",
            metric="log loss",
            margin=0.005,
            no_worse=True,
            skeptic="Nineteen of twenty negatives are lost, and no formula brings them back.",
            refutes="Undersample, then correct the probabilities: nothing is lost.",
        ),
        Claim(
            "weights-rank-better",
            "Class weights rank the rare class better.",
            arm="class weights, corrected",
            rival="plain, tuned",
            metric="AP",
            margin=0.02,
            skeptic="They move the threshold and leave the order alone.",
            refutes="Class weights teach the network more about the rare class.",
        ),
        Claim(
            "oversampling-ranks-better",
            "Oversampling ranks the rare class better.",
            arm="oversampling, corrected",
            rival="plain, tuned",
            metric="AP",
            margin=0.02,
            skeptic="Copies are no new images.",
            refutes="Oversampling teaches the network more about the rare class.",
        ),
        Claim(
            "weights-beat-threshold",
            "Class weights cut at 0.5 have a better F1 than a plain network with a tuned threshold.",
            arm="class weights, cut at 0.5",
            rival="plain, tuned",
            metric="F1",
            margin=0.02,
            skeptic="One threshold, moved on validation data, does as much.",
            refutes="Class weights find what a moved threshold cannot.",
        ),
        Claim(
            "threshold-pays",
            "A threshold tuned on 40 validation positives gains F1 over 0.5.",
            arm="plain, tuned",
            rival="plain, cut at 0.5",
            metric="F1",
            margin=0.02,
            skeptic="Forty positives are too few to choose it.",
            refutes="Always tune the threshold for F1.",
        ),
        Claim(
            "focal-calibrates",
            "Focal loss has better probabilities than cross-entropy.",
            arm="focal loss, tuned",
            rival="plain, tuned",
            metric="log loss",
            margin=0.005,
            skeptic="One temperature, fitted on validation data, does that for any loss.",
            refutes="Focal loss calibrates.",
        ),
    ],
    metrics={"log loss": "smaller", "ECE": "smaller", "ROC AUC": "larger", "AP": "larger", "F1": "larger"},
    equal="network, first weights, batches of 32, 600 steps, Adam with a constant rate, the step with the best "
    "validation log loss",
    data=data,
    measure=measure,
    pairs=20,
)
