"""Oracles for ensembles: ECE by brute force, AdaBoost and stacking against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import AdaBoostClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.tree import DecisionTreeClassifier
from tests.snippet_functions import load_functions
from torch.optim.swa_utils import AveragedModel

TOPIC = "ensembles"


def ece_agrees_with_brute_force(code) -> None:
    rng = np.random.default_rng(0)
    for trial in range(100):
        n, classes, bins = rng.integers(1, 60), rng.integers(2, 6), rng.integers(1, 20)
        p = rng.dirichlet(np.full(classes, rng.choice([0.2, 1.0, 5.0])), n)
        if trial % 5 == 0:  # certain predictions: the upper edge of the last bin
            p = np.eye(classes)[rng.integers(classes, size=n)]
        y = rng.integers(classes, size=n)
        expected = 0.0
        for k in range(bins):
            inside = [
                i for i in range(n)
                if k <= p[i].max() * bins and (p[i].max() * bins < k + 1 or k == bins - 1)
            ]  # fmt: skip
            if inside:
                confidence = np.mean([p[i].max() for i in inside])
                accuracy = np.mean([p[i].argmax() == y[i] for i in inside])
                expected += len(inside) / n * abs(confidence - accuracy)
        result = code.ece(torch.tensor(p), torch.tensor(y), int(bins))
        assert result.item() == pytest.approx(expected, abs=1e-9)


def test_ece():
    ece_agrees_with_brute_force(load_functions(f"{TOPIC}/calibration"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".abs().sum() / len(y)", ".sum().abs() / len(y)"),  # gaps of bins cancel
        (".abs().sum() / len(y)", ".abs().mean()"),
        (".clamp(max=bins - 1)", ".clamp(max=bins - 2)"),
        ("p.max(1)", "p.min(1)"),
        ("(confidence * bins).long()", "(confidence * bins).round().long()"),
    ],
)
def test_ece_catches_defects(old, new):
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        ece_agrees_with_brute_force(load_functions(f"{TOPIC}/calibration", defect=(old, new)))


def boosting_agrees_with_sklearn(code) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        # One feature: with several, a tie between splits would be broken at random.
        x, y = rng.normal(size=(150, 1)), rng.integers(10, size=150)
        y[:120] = (np.abs(x[:120, 0] * 3)).astype(int) % 10
        y[-10:] = np.arange(10)  # every class occurs

        def tree(x, y, w):
            return DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y, w).predict

        members, _ = code.boost(tree, x, y, 8)
        base = DecisionTreeClassifier(max_depth=2, random_state=0)
        theirs = AdaBoostClassifier(base, n_estimators=8, random_state=0).fit(x, y)
        says = [say for say, _ in members]
        np.testing.assert_allclose(says, theirs.estimator_weights_[: len(says)], rtol=1e-6)
        new = rng.normal(size=(200, 1))
        np.testing.assert_array_equal(code.vote(members, new), theirs.predict(new))


def boosting_ends_when_all_is_right(code) -> None:
    x, y = np.arange(10.0)[:, None], np.arange(10)
    members, w = code.boost(lambda x, y, w: lambda z: z[:, 0].astype(int), x, y, 5)
    assert len(members) == 1 and (code.vote(members, x) == y).all()
    np.testing.assert_allclose(w, 0.1)


@pytest.mark.parametrize("check", [boosting_agrees_with_sklearn, boosting_ends_when_all_is_right])
def test_boosting(check):
    check(load_functions(f"{TOPIC}/boosting"))


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        (" + np.log(K - 1)", "", boosting_agrees_with_sklearn),
        ("np.exp(say * wrong)", "np.exp(-say * wrong)", boosting_agrees_with_sklearn),
        ("w /= w.sum()", "w /= w.max()", boosting_agrees_with_sklearn),
        ("say * np.eye(K)", "np.eye(K)", boosting_agrees_with_sklearn),
        ("if error == 0 or error", "if error", boosting_ends_when_all_is_right),
    ],
)
def test_boosting_catches_defects(old, new, check):
    # AttributeError: an empty vote; a division by zero is part of the planted defect
    with np.errstate(all="ignore"), pytest.raises((AssertionError, AttributeError)):
        check(load_functions(f"{TOPIC}/boosting", defect=(old, new)))


def probabilities(model):
    return lambda x, y: model().fit(x, y).predict_proba


MODELS = {
    "tree": lambda: DecisionTreeClassifier(max_depth=4, random_state=0),
    "linear": lambda: LogisticRegression(max_iter=1000),
}


def stacking_agrees_with_sklearn(code) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        y = rng.permutation(np.repeat(np.arange(10), 15))
        x = rng.normal(size=(150, 8)) + np.eye(10, 8)[y] * 2
        folds = PredefinedSplit(np.arange(150) % 5)
        inputs = []
        for model in MODELS.values():
            ours = code.out_of_fold(probabilities(model), x, y)
            theirs = cross_val_predict(model(), x, y, cv=folds, method="predict_proba")
            np.testing.assert_allclose(ours, theirs)
            inputs.append(ours)
        meta, share = code.stack(inputs, y)
        theirs = StackingClassifier(
            [(name, model()) for name, model in MODELS.items()],
            LogisticRegression(max_iter=1000), cv=folds, stack_method="predict_proba",
        ).fit(x, y)  # fmt: skip
        coefficients = theirs.final_estimator_.coef_
        np.testing.assert_allclose(meta.coef_, coefficients)
        assert share == pytest.approx(
            sum(abs(c) for row in coefficients for c in row[:10]) / abs(coefficients).sum()
        )
        new = rng.normal(size=(50, 8))
        p = np.hstack([model().fit(x, y).predict_proba(new) for model in MODELS.values()])
        np.testing.assert_allclose(meta.predict_proba(p), theirs.predict_proba(new))


def test_stacking():
    stacking_agrees_with_sklearn(load_functions(f"{TOPIC}/stacking"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fit(x[fold != k], y[fold != k])", "fit(x, y)"),  # the leak itself
        ("% folds", "// 30 % folds"),
        ("weight[:, :10]", "weight[:, 10:]"),
    ],
)
def test_stacking_catches_defects(old, new):
    with pytest.raises(AssertionError):
        stacking_agrees_with_sklearn(load_functions(f"{TOPIC}/stacking", defect=(old, new)))


def members_share_nothing(code) -> None:
    """groups=M makes M separate networks: a member sees its own input only."""
    torch.manual_seed(0)
    code.train.__globals__.update(M=3, images=torch.rand(20, 8, 8), labels=torch.arange(20) % 10)
    x = torch.rand(5, 3, 8, 8)
    for epochs in (0, 2):
        net = code.train(torch.arange(20), epochs=epochs)
        for member in range(3):
            changed = x.clone()
            changed[:, member] += 1
            moved = (net(changed) - net(x)).abs().amax((0, 2)) > 0
            assert moved.tolist() == [m == member for m in range(3)]


GROUPED = pytest.mark.parametrize("name", ["model_averaging", "variance_floor"])


@GROUPED
def test_grouped_networks(name):
    members_share_nothing(load_functions(f"{TOPIC}/{name}"))


@GROUPED
@pytest.mark.parametrize(
    ("old", "new"),
    [(", groups=M", ""), ("nn.Unflatten(1, (M, 10))", "nn.Unflatten(1, (10, M)), nn.Flatten(1), "
      "nn.Unflatten(1, (10, M)), nn.Flatten(1), nn.Unflatten(1, (M, 10)), nn.Softmax(1)")],
)  # fmt: skip
def test_grouped_networks_catch_defects(name, old, new):
    with pytest.raises(AssertionError):
        members_share_nothing(load_functions(f"{TOPIC}/{name}", defect=(old, new)))


def weights_average_as_in_torch(code) -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(40, 1, 8, 8), torch.arange(40) % 10
    code.train.__globals__.update(images=images, labels=labels)
    weights = code.train(code.network(), torch.arange(40), 4)
    assert not torch.equal(weights[0], weights[1])
    averaged = AveragedModel(code.network(weights[0]))
    for vector in weights:
        averaged.update_parameters(code.network(vector))
    ours = code.network(weights.mean(0))
    torch.testing.assert_close(ours(images), averaged(images))
    guess = averaged(images).argmax(1)
    assert code.accuracy(weights.mean(0), torch.arange(40)) == (guess == labels).double().mean()


def test_weight_averaging():
    weights_average_as_in_torch(load_functions(f"{TOPIC}/weight_averaging"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nn.utils.vector_to_parameters(vector.clone(), net.parameters())", "pass"),
        ("optimizer.step()", "optimizer.zero_grad()"),
        ("argmax(1)", "argmin(1)"),
    ],
)
def test_weight_averaging_catches_defects(old, new):
    with pytest.raises(AssertionError):
        weights_average_as_in_torch(load_functions(f"{TOPIC}/weight_averaging", defect=(old, new)))


def bagging_agrees(code) -> None:
    """Accuracies of scikit-learn; each tree has seen its own column of the draws."""
    p, y = torch.rand(60, 5, 4).softmax(2), torch.randint(0, 4, (60,))
    members = [accuracy_score(y, p[:, m].numpy().argmax(1)) for m in range(5)]
    pool = accuracy_score(y, p.numpy().sum(1).argmax(1))
    np.testing.assert_allclose(code.accuracies(p, y), [np.mean(members), pool])
    pixels, labels = torch.rand(60, 3), torch.arange(60) % 4
    code.trees.__globals__.update(pixels=pixels, labels=labels, M=3)
    draws = torch.randint(0, 60, (30, 3))
    got = code.trees(draws)
    for m, d in enumerate(draws.T):
        tree = DecisionTreeClassifier(random_state=0).fit(pixels[d], labels[d])
        np.testing.assert_allclose(got[:, m], tree.predict_proba(pixels))


def test_bagging():
    bagging_agrees(load_functions(f"{TOPIC}/bagging"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("p.mean(1), y", "p.amax(1), y"),
        ("argmax(-1)", "argmin(-1)"),
        ("pixels[d], labels[d]", "pixels[draws[:, 0]], labels[draws[:, 0]]"),
    ],
)
def test_bagging_catches_defects(old, new):
    with pytest.raises(AssertionError):
        bagging_agrees(load_functions(f"{TOPIC}/bagging", defect=(old, new)))
