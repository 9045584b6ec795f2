"""Does distillation beat equally tuned labels, on the teacher's images and beyond?

Hinton, Vinyals, Dean, 2015 (soft targets); Romero and others, ICLR 2015 (hints); Lee, 2013
(pseudo-labels). 200 labeled digits; 600 more without labels for the arms that say so.
Shapes: images x (N, 1, 8, 8), labels y (N,), logits (N, 10), feature maps (N, C, 4, 4).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from answerbook.study import Arm, Claim, Study, split

torch.set_default_dtype(torch.float64)
STEPS, BATCH = 800, 50


def data(seed):
    images, digits = map(torch.from_numpy, load_digits(return_X_y=True))
    images = images.view(-1, 1, 8, 8) / 16
    return split(seed, (images, digits), train=200, validation=200, unlabeled=600, test=None)


def measure(model, part):
    x, y = part
    logits = model(x)
    accuracy = (logits.argmax(1) == y).double().mean()
    return {"accuracy": accuracy, "NLL": F.cross_entropy(logits, y)}


def network(channels):
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, channels, 4, 2, 1), nn.LeakyReLU(0.1)),
        nn.Conv2d(channels, 10, 4),
        nn.Flatten(),
    )


def train(run, model, examples, loss, lr, decay=0.0, regressor=None):
    """Minimize ``loss(labeled, unlabeled)`` of two index tensors; the best watched step counts."""
    parameters = [*model.parameters(), *(regressor.parameters() if regressor else ())]
    optimizer = torch.optim.AdamW(parameters, lr, weight_decay=decay)
    labeled = run.batches(examples, BATCH, STEPS, watch=model)
    unlabeled = run.batches(600, BATCH, STEPS, key="unlabeled", counted=False)
    for index, extra in zip(labeled, unlabeled, strict=False):
        optimizer.zero_grad()
        loss(index, extra).backward()
        optimizer.step()
    return run.best(model)


def labels(run, data, lr, decay=0.0, smoothing=0.0, channels=4):
    """Cross-entropy with the labels."""
    x, y = data.train
    model = run.initialize(lambda: network(channels))

    def loss(index, extra):
        return F.cross_entropy(model(x[index]), y[index], label_smoothing=smoothing)

    return train(run, model, len(y), loss, lr, decay)


def teacher_of(run, data):
    """A network with eight times the channels, trained once for all arms on the same labels."""
    return run.shared("teacher", lambda own: labels(own, data, 0.01, 0.1, channels=32)).eval()


def soft_loss(student, teacher, T):
    """T^2 KL(teacher || student) at temperature T, mean over the images."""
    target = (teacher / T).softmax(1)
    return T**2 * F.kl_div((student / T).log_softmax(1), target, reduction="batchmean")


def distilled(run, data, lr, decay, alpha_T, hint=0.0):
    """Labels and soft targets on the teacher's own images; with ``hint``, its feature maps too."""
    (x, y), (alpha, T) = data.train, alpha_T
    teacher, model = teacher_of(run, data), run.initialize(lambda: network(4))
    regressor = run.initialize(lambda: nn.Conv2d(4, 32, 1), key="regressor") if hint else None
    with torch.no_grad():
        soft, maps = teacher(x), teacher[0](x)

    def loss(index, extra):
        logits = model(x[index])
        total = alpha * soft_loss(logits, soft[index], T)
        total = total + (1 - alpha) * F.cross_entropy(logits, y[index])
        if hint:
            guess = regressor(model[0](x[index]))
            total = total + hint * F.mse_loss(guess, maps[index]) / maps.var()
        return total

    return train(run, model, len(y), loss, lr, decay, regressor)


def hinted(run, data, lr, decay, hint):
    return distilled(run, data, lr, decay, [0.5, 5.0], hint)


def unlabeled_distilled(run, data, lr, decay, weight_T):
    """Labels, and soft targets on images without labels."""
    (x, y), (more, _), (weight, T) = data.train, data.unlabeled, weight_T
    teacher, model = teacher_of(run, data), run.initialize(lambda: network(4))
    with torch.no_grad():
        soft = teacher(more)

    def loss(index, extra):
        own = F.cross_entropy(model(x[index]), y[index])
        return own + weight * soft_loss(model(more[extra]), soft[extra], T)

    return train(run, model, len(y), loss, lr, decay)


def pseudo_labels(run, data, labeler, lr, weight, decay):
    """Labels, and the labeler's hard guesses on images without labels."""
    (x, y), (more, _) = data.train, data.unlabeled
    model = run.initialize(lambda: network(4))
    with torch.no_grad():
        guesses = labeler(more).argmax(1)

    def loss(index, extra):
        own = F.cross_entropy(model(x[index]), y[index])
        return own + weight * F.cross_entropy(model(more[extra]), guesses[extra])

    return train(run, model, len(y), loss, lr, decay)


def teacher_guesses(run, data, lr, weight, decay):
    return pseudo_labels(run, data, teacher_of(run, data), lr, weight, decay)


def own_guesses(run, data, lr, weight, decay):
    """The labeler is a network of the student's size, trained on the labels alone."""
    labeler = run.shared("small labeler", lambda own: labels(own, data, 0.01, 0.1))
    return pseudo_labels(run, data, labeler, lr, weight, decay)


RATES, DECAYS = [0.015, 0.04], [0.1, 0.3, 1.0]
TUNED = "Weight decay and label smoothing, tuned as hard, regularize as much."
PSEUDO = {"lr": RATES, "weight": [0.5, 2.0], "decay": DECAYS}

STUDY = Study(
    question="Does distillation beat equally tuned labels?",
    arms=[
        Arm(
            "plain labels",
            labels,
            {"lr": [0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.06, 0.08]},
        ),
        Arm("tuned labels", labels, {"lr": RATES, "decay": DECAYS, "smoothing": [0.0, 0.1]}),
        Arm("distilled", distilled, {"lr": RATES, "decay": DECAYS, "alpha_T": [[0.5, 2.0], [1.0, 5.0]]}),
        Arm("distilled, hints", hinted, {"lr": RATES, "decay": DECAYS, "hint": [0.1, 1.0]}),
        Arm("own pseudo-labels", own_guesses, PSEUDO),
        Arm("teacher's pseudo-labels", teacher_guesses, PSEUDO),
        Arm(
            "distilled, unlabeled",
            unlabeled_distilled,
            {"lr": RATES, "decay": DECAYS, "weight_T": [[0.5, 2.0], [2.0, 5.0]]},
        ),
    ],
    claims=[
        Claim(
            "beats-plain",
            "On the teacher's own images, distillation gains a point over plain labels.",
            arm="distilled",
            rival="plain labels",
            metric="accuracy",
            margin=0.01,
            skeptic="A tuned learning rate and early stopping do as much.",
            refutes="A distilled student is clearly better than one trained on labels.",
        ),
        Claim(
            "beats-tuned",
            "On the teacher's own images, distillation gains a point over equally tuned labels.",
            arm="distilled",
            rival="tuned labels",
            metric="accuracy",
            margin=0.01,
            skeptic=TUNED,
            refutes="Soft targets carry what no tuning of the labels gives.",
        ),
        Claim(
            "tuned-no-worse",
            "Equally tuned labels lose at most a point against distillation.",
            arm="tuned labels",
            rival="distilled",
            metric="accuracy",
            margin=0.01,
            no_worse=True,
            skeptic="The knobs of labels are worth less than those of distillation.",
            refutes="Weight decay and label smoothing replace a teacher.",
        ),
        Claim(
            "nll",
            "On the teacher's own images, distillation lowers the NLL by 0.05 against equally tuned labels.",
            arm="distilled",
            rival="tuned labels",
            metric="NLL",
            margin=0.05,
            skeptic=TUNED,
            refutes="Soft targets give better probabilities than labels do.",
        ),
        Claim(
            "needs-images",
            "Distillation gains a point over equally tuned labels when it sees images without labels.",
            arm="distilled, unlabeled",
            rival="tuned labels",
            metric="accuracy",
            margin=0.01,
            without=("distilled", "tuned labels"),
            when="with 600 images without labels",
            skeptic=TUNED,
            refutes="Images without labels make distillation pay.",
        ),
        Claim(
            "soft-beats-hard",
            "On images without labels, soft targets gain a point over the same teacher's hard labels.",
            arm="distilled, unlabeled",
            rival="teacher's pseudo-labels",
            metric="accuracy",
            margin=0.01,
            skeptic="The teacher's guess does it, not its small probabilities.",
            refutes="Distillation works by the small probabilities.",
        ),
        Claim(
            "teacher-needed",
            "On images without labels, a larger teacher gains a point over the student's own pseudo-labels.",
            arm="distilled, unlabeled",
            rival="own pseudo-labels",
            metric="accuracy",
            margin=0.01,
            skeptic="More images regularize, whoever labels them.",
            refutes="A larger teacher is what makes images without labels useful.",
        ),
        Claim(
            "hints-help",
            "Matching the teacher's feature maps adds a point to distillation.",
            arm="distilled, hints",
            rival="distilled",
            metric="accuracy",
            margin=0.01,
            skeptic="The logits say all that the student can use.",
            refutes="Feature matching transfers what logits do not.",
        ),
    ],
    metrics={"accuracy": "larger", "NLL": "smaller"},
    equal="student, first weights, labeled batches, 800 steps, 12 candidates, early stopping on 200 images",
    data=data,
    measure=measure,
    tuning_seeds=(0, 1),
    pairs=12,
    budget=600,
)
