"""Distillation: SciPy's KL divergence and entropy, finite differences, scikit-learn and plain loops."""

import numpy as np
import torch
from scipy.special import rel_entr, softmax
from scipy.stats import entropy
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import log_loss

from tests.oracles.oracle import Defect, Oracle, agree

# --- the loss and its gradients --------------------------------------------------------


def distillation_loss(code):
    rng = np.random.default_rng(0)
    for _ in range(50):
        n, k = rng.integers(1, 20), rng.integers(2, 12)
        T, alpha = rng.uniform(0.5, 20), rng.uniform()
        z, v = rng.normal(size=(2, n, k)) * rng.choice([0.1, 1, 5])
        y = rng.integers(k, size=n)
        soft = rel_entr(softmax(v / T, 1), softmax(z / T, 1)).sum(1).mean()
        labels = log_loss(y, softmax(z, 1), labels=range(k))
        loss = code.distillation_loss(*map(torch.tensor, (z, v, y)), T, alpha)
        agree(loss, alpha * T * T * soft + (1 - alpha) * labels)


def logits():
    for T in (0.7, 1.0, 3.0, 30.0) * 3:
        yield *3 * torch.randn(2, 4, 6), T


def soft_gradient(z, v, T):
    """Finite differences of SciPy's divergence."""

    def kl(z):
        return rel_entr(softmax(v.numpy() / T, 1), softmax(z.numpy() / T, 1)).sum(1).mean()

    slope, eps = torch.zeros_like(z), 1e-5
    for place in np.ndindex(z.shape):
        step = torch.zeros_like(z)
        step[place] = eps
        slope[place] = (kl(z + step) - kl(z - step)) / (2 * eps)
    return slope


def matching_gradient(code):
    """Of half the squared distance over K; the limit of large T."""
    for z, v, _ in logits():
        w = z.clone().requires_grad_()
        gap = (w - w.mean(1, keepdim=True)) - (v - v.mean(1, keepdim=True))
        (gap.square().sum(1) / (2 * 6)).mean().backward()
        agree(code.matching_gradient(z, v), w.grad)
        agree(1e10 * code.soft_gradient(z, v, 1e5), w.grad, 1e-4)


# --- the loop --------------------------------------------------------------------------


def loop(code):
    """One epoch against the same steps with scikit-learn's and SciPy's loss in a plain loop."""
    for T, alpha in ((1.0, 0.0), (4.0, 0.7), (8.0, 1.0)):
        torch.manual_seed(1)
        teacher = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5))
        student, twin = torch.nn.Linear(6, 4), torch.nn.Linear(6, 4)
        twin.load_state_dict(student.state_dict())
        loader = [(torch.randn(8, 6), torch.randint(4, (8,))) for _ in range(5)]
        before = [t.clone() for t in teacher.state_dict().values()]
        code.distill(student, teacher, loader, 2, lr=0.05, T=T, alpha=alpha)
        assert all(torch.equal(t, u) for t, u in zip(teacher.state_dict().values(), before, strict=True))
        assert all(t.grad is None for t in teacher.parameters())
        still = teacher[0]  # running statistics are 0 and 1 as long as nobody trained it
        optimizer = torch.optim.Adam(twin.parameters(), 0.05)
        for x, y in loader * 2:
            z, v = twin(x), still(x).detach() / (1 + 1e-5) ** 0.5
            p, q = (v / T).softmax(1), (z / T).softmax(1)
            soft = (p * (p.log() - q.log())).sum(1).mean()
            truth = -z.log_softmax(1)[torch.arange(8), y].mean()
            optimizer.zero_grad()
            (alpha * T * T * soft + (1 - alpha) * truth).backward()
            optimizer.step()
        agree(student.weight, twin.weight)
        agree(student.bias, twin.bias)


def fit(code):
    """A linear student with enough steps reaches its targets, at whatever temperature."""
    torch.manual_seed(0)
    x, targets = torch.eye(5), torch.randn(5, 3).softmax(1)
    model = code.fit(torch.nn.Linear(5, 3), x, targets, 4.0, steps=800, lr=0.1)
    agree((model(x) / 4).softmax(1), targets, 1e-2)


# --- a real network's targets ----------------------------------------------------------


def preprocess(code):
    """The middle square; a picture of that size is only scaled."""
    rng = np.random.default_rng(0)
    for height, width in ((224, 224), (224, 300), (301, 224)):
        picture = rng.integers(256, size=(height, width, 3), dtype=np.uint8)
        small, x = code.preprocess(picture)
        top, left = (height - 224) // 2, (width - 224) // 2
        middle = picture[top : top + 224, left : left + 224]
        assert (small == middle).all()
        agree(x[0], middle.transpose(2, 0, 1) / 127.5 - 1)
    assert code.preprocess(np.zeros((300, 451, 3), np.uint8))[1].shape == (1, 3, 224, 224)


def temperatures(code):
    for z, _, T in logits():
        p = code.soft_targets(z, T)
        agree(p, softmax(z.numpy() / T, 1))
        agree(code.effective_classes(p), np.exp(entropy(p.numpy(), axis=1)))
    agree(code.effective_classes(torch.tensor([1.0, 0.0, 0.0])), 1.0)


# --- rounds ----------------------------------------------------------------------------


def self_distill(code):
    for _ in range(4):
        x, new, target = torch.randn(30, 50), torch.randn(9, 50), torch.randn(30, 4)
        fitted = target
        for rounds in range(1, 6):
            model = KernelRidge(alpha=20.0, kernel="linear").fit(x, fitted)
            fitted = model.predict(x)
            for function in (code.self_distill, code.refit):
                agree(new @ x.T @ function(x @ x.T, target, rounds, 20.0), model.predict(new))


ORACLES = [
    Oracle(
        "distillation_loop",
        distillation_loss,
        defects=[
            Defect("alpha * T**2 * soft", "alpha * soft"),  # T^2 dropped
            Defect("alpha * T**2 * soft", "alpha * T * soft"),
            Defect("F.kl_div(log_q, p, reduction", "F.kl_div(p.log(), log_q.exp(), reduction"),  # swapped
            Defect("F.kl_div(log_q, p, reduction", "F.kl_div(log_q.exp(), p, reduction"),  # no log
            Defect('p, reduction="batchmean")', 'p, reduction="mean")'),
            Defect("(z / T).log_softmax(1)", "z.log_softmax(1)"),
            Defect("(1 - alpha) * F", "alpha * F"),
        ],
    ),
    Oracle(
        "distillation_loop",
        loop,
        defects=[
            Defect("    teacher.eval()  #", "    teacher.train()  #"),
            Defect("optimizer.zero_grad()", "pass"),
            Defect(
                "loss = distillation_loss(student(x), v, y, T, alpha)",
                "loss = F.cross_entropy(student(x), y)",
            ),
            Defect("y, T, alpha)", "y)", where="distill"),
            Defect("student.parameters(), lr", "student.parameters()"),
        ],
    ),
    Oracle(
        "kl_div_arguments",
        function="kl",
        reference=lambda p, q: rel_entr(p.numpy(), q.numpy()).sum(1).mean(),
        cases=lambda: [torch.randn(2, n, k).softmax(2) for n in (1, 3, 9, 20) for k in range(2, 13)],
        defects=[Defect("(p * (p / q).log())", "(q * (q / p).log())")],
    ),
    Oracle(
        "temperature_squared",
        function="soft_gradient",
        reference=soft_gradient,
        cases=logits,
        defects=[
            Defect("(T * len(z))", "len(z)"),
            Defect("(T * len(z))", "(T**2 * len(z))"),
            Defect("((z / T).softmax(1) - (v / T)", "((v / T).softmax(1) - (z / T)"),
        ],
    ),
    Oracle(
        "temperature_squared",
        matching_gradient,
        defects=[
            Defect("(z - z.mean(1, keepdim=True))", "z"),
            Defect("v.mean(1, keepdim=True)", "v.mean(0, keepdim=True)"),
            Defect("(z.shape[1] * len(z))", "len(z)"),
        ],
    ),
    Oracle(
        "dark_knowledge",
        preprocess,
        defects=[
            Defect("top : top + side", "0 : side"),
            Defect("left : left + side", "0 : side"),
            Defect("/ 127.5 - 1", "/ 255"),
            Defect("permute(2, 0, 1)", "permute(2, 1, 0)"),
        ],
    ),
    Oracle(
        "dark_knowledge",
        temperatures,
        defects=[
            Defect("(logits / T)", "(logits * T)"),
            Defect(".sum(-1).exp()", ".sum(-1)"),
            Defect("entr(p).sum(-1)", "entr(p).sum()"),
        ],
    ),
    Oracle(
        "self_distillation",
        self_distill,
        defects=[
            Defect("** (rounds - 1)", "** rounds"),
            Defect("(w / (w + ridge)) **", "(1 / (w + ridge)) **"),
            Defect("targets = K @ a", "targets = a"),
        ],
    ),
    Oracle(
        "unseen_class",
        fit,
        defects=[
            Defect("model(x[i]) / T", "model(x[i])"),
            Defect("optimizer.zero_grad()", "pass"),
            Defect("targets[i])", "targets)", crashes=ValueError),
        ],
    ),
]
