"""Ensembles: ECE by brute force; boosting, bagging and stacking by scikit-learn, averages by PyTorch."""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.ensemble import AdaBoostClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from torch.optim.swa_utils import AveragedModel

from tests.oracles.oracle import Defect, Oracle, agree


def confident_predictions():
    rng = np.random.default_rng(0)
    for trial in range(100):
        n, classes, bins = rng.integers((1, 2, 2), (60, 6, 20))
        p = rng.dirichlet(np.full(classes, rng.choice([0.2, 1.0, 5.0])), n)
        if trial % 5 == 4:  # certain predictions: the upper edge of the last bin
            p = np.eye(classes)[rng.integers(classes, size=n)]
        yield torch.tensor(p), torch.randint(classes, (n,)), int(bins) if trial < 95 else 1


def ece(p, y, bins):
    total = 0.0
    for k in range(bins):
        inside = [i for i, top in enumerate(p.amax(1)) if min(int(top * bins), bins - 1) == k]
        if inside:
            right = accuracy_score(y[inside], p[inside].argmax(1))
            total += len(inside) / len(y) * abs(p[inside].amax(1).mean() - right)
    return total


# --- boosting and stacking -------------------------------------------------------------

TREE = DecisionTreeClassifier(max_depth=2, random_state=0)


def boosting(code):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        # One feature: with several, a tie between splits would be broken at random.
        x, y = rng.normal(size=(150, 1)), rng.integers(10, size=150)
        y[:120] = (np.abs(x[:120, 0] * 3)).astype(int) % 10
        y[-10:] = np.arange(10)  # every class occurs
        members, _ = code.boost(lambda x, y, w: clone(TREE).fit(x, y, w).predict, x, y, 8)
        theirs = AdaBoostClassifier(TREE, n_estimators=8, random_state=0).fit(x, y)
        agree([say for say, _ in members], theirs.estimator_weights_[: len(theirs.estimators_)])
        new = rng.normal(size=(200, 1))
        agree(code.vote(members, new), theirs.predict(new))


def boosting_ends_when_all_is_right(code):
    x, y = np.arange(10.0)[:, None], np.arange(10)
    members, w = code.boost(lambda x, y, w: lambda z: z[:, 0].astype(int), x, y, 5)
    assert len(members) == 1
    agree(code.vote(members, x), y)
    agree(w, np.full(10, 0.1))


MODELS = [
    ("tree", DecisionTreeClassifier(max_depth=4, random_state=0)),
    ("linear", LogisticRegression(max_iter=1000)),
]
FOLDS = PredefinedSplit(np.arange(150) % 5)


def drawn_classes():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        y = rng.permutation(np.repeat(np.arange(10), 15))
        yield rng.normal(size=(150, 8)) + np.eye(10, 8)[y] * 2, y


def predicted(model, x, y):
    return cross_val_predict(model, x, y, cv=FOLDS, method="predict_proba")


def out_of_fold(code):
    for x, y in drawn_classes():
        for _, model in MODELS:
            p = code.out_of_fold(lambda x, y, model=model: clone(model).fit(x, y).predict_proba, x, y)
            agree(p, predicted(model, x, y))


def stack(code):
    for x, y in drawn_classes():
        meta, share = code.stack([predicted(model, x, y) for _, model in MODELS], y)
        final = LogisticRegression(tol=1e-6, max_iter=1000)
        theirs = StackingClassifier(MODELS, final, cv=FOLDS, stack_method="predict_proba").fit(x, y)
        weight = np.abs(theirs.final_estimator_.coef_)
        agree(meta.coef_, theirs.final_estimator_.coef_)
        agree(share, sum(sum(row[:10]) for row in weight) / weight.sum())
        new = np.random.default_rng(0).normal(size=(50, 8))
        p = np.hstack([clone(model).fit(x, y).predict_proba(new) for _, model in MODELS])
        agree(meta.predict_proba(p), theirs.predict_proba(new))


# --- networks and trees side by side ---------------------------------------------------


def members_share_nothing(code):
    """groups=M makes M separate networks: a member sees its own input only."""
    x = torch.rand(5, 3, 8, 8)
    for epochs in (0, 2):
        net = code.train(torch.arange(20), epochs=epochs)
        for member in range(3):
            changed = x.clone()
            changed[:, member] += 1
            moved = (net(changed) - net(x)).abs().amax((0, 2)) > 0
            assert moved.tolist() == [m == member for m in range(3)]


def labeled_images():
    return {"images": torch.rand(40, 1, 8, 8), "labels": torch.arange(40) % 10}


def averaged_weights(code):
    weights = code.train(code.network(), torch.arange(40), 4)
    assert not torch.equal(weights[0], weights[1])
    averaged = AveragedModel(code.network(weights[0]))
    for vector in weights:
        averaged.update_parameters(code.network(vector))
    agree(code.network(weights.mean(0))(code.images), averaged(code.images))


def accuracy(code):
    net = code.network()
    vector = nn.utils.parameters_to_vector(net.parameters())
    for test in torch.arange(40), torch.tensor([3]), torch.randint(40, (99,)):
        guess = net(code.images[test]).argmax(1)
        agree(code.accuracy(vector, test), accuracy_score(code.labels[test], guess))


def member_predictions():
    for n, members in (1, 1), (1, 5), (60, 5):
        yield torch.rand(n, members, 4).softmax(2), torch.randint(0, 4, (n,))


def accuracies(p, y):
    members = [accuracy_score(y, member.argmax(1)) for member in p.unbind(1)]
    return [np.mean(members), accuracy_score(y, p.sum(1).argmax(1))]


def trees(code):
    """Each tree has seen its own column of the draws."""
    draws = torch.randint(0, 60, (30, 3))
    draws[:4] = torch.arange(4)[:, None]  # every class occurs
    for p, d in zip(code.trees(draws).unbind(1), draws.T, strict=True):
        tree = DecisionTreeClassifier(random_state=0).fit(code.pixels[d], code.labels[d])
        agree(p, tree.predict_proba(code.pixels))


ORACLES = [
    Oracle(
        "calibration",
        function="ece",
        reference=ece,
        cases=confident_predictions,
        defects=[
            Defect(".abs().sum() / len(y)", ".sum().abs() / len(y)"),  # gaps of bins cancel
            Defect(".abs().sum() / len(y)", ".abs().mean()"),
            Defect(".clamp(max=bins - 1)", ".clamp(max=bins - 2)"),
            Defect("p.max(1)", "p.min(1)"),
            Defect("(confidence * bins).long()", "(confidence * bins).round().long()"),
        ],
    ),
    Oracle(
        "boosting",
        boosting,
        defects=[
            Defect(" + np.log(K - 1)", ""),
            Defect("np.exp(say * wrong)", "np.exp(-say * wrong)"),
            Defect("w /= w.sum()", "w /= w.max()"),
            Defect("say * np.eye(K)", "np.eye(K)"),
        ],
    ),
    Oracle(
        "boosting", boosting_ends_when_all_is_right, defects=[Defect("if error == 0 or error", "if error")]
    ),
    Oracle(
        "stacking",
        out_of_fold,
        defects=[
            Defect("fit(x[fold != k], y[fold != k])", "fit(x, y)"),  # the leak itself
            Defect("% folds", "// 30 % folds"),
        ],
    ),
    Oracle("stacking", stack, defects=[Defect("weight[:, :10]", "weight[:, 10:]")]),
    Oracle(
        ["model_averaging", "variance_floor"],
        members_share_nothing,
        data=lambda: {"M": 3, "images": torch.rand(20, 8, 8), "labels": torch.arange(20) % 10},
        defects=[
            Defect(", groups=M", "", times=3),
            Defect("nn.Unflatten(1, (M, 10))", "nn.Unflatten(1, (M, 10)), nn.Softmax(1)"),
        ],
    ),
    Oracle(
        "weight_averaging",
        averaged_weights,
        data=labeled_images,
        defects=[
            Defect("nn.utils.vector_to_parameters(vector.clone(), net.parameters())", "pass"),
            Defect("optimizer.step()", "optimizer.zero_grad()"),
        ],
    ),
    Oracle("weight_averaging", accuracy, data=labeled_images, defects=[Defect("argmax(1)", "argmin(1)")]),
    Oracle(
        "bagging",
        function="accuracies",
        reference=accuracies,
        cases=member_predictions,
        defects=[Defect("p.mean(1), y", "p.amax(1), y"), Defect("argmax(-1)", "argmin(-1)")],
    ),
    Oracle(
        "bagging",
        trees,
        data=lambda: {"M": 3, "pixels": torch.rand(60, 3), "labels": torch.arange(60) % 4},
        defects=[Defect("pixels[d], labels[d]", "pixels[draws[:, 0]], labels[draws[:, 0]]")],
    ),
]
