"""The loss decides: per-label guesses suit Hamming, the joint mode suits exact match.

Dembczynski and others, Machine Learning 2012. Two labels and no input: each method
sees 20,000 drawn pairs and must settle on one answer (y1, y2).
"""

import torch

torch.set_default_dtype(torch.float64)
truth = torch.tensor([[0.0, 0.25], [0.40, 0.35]])  # P(y1, y2)


def binary_relevance(p):
    return int(p[1].sum() > 0.5), int(p[:, 1].sum() > 0.5)


def label_powerset(p):  # one class per pair: the mode of the joint distribution
    return divmod(int(p.argmax()), 2)


def chain(p):  # y1 first, then y2 given the answer for y1
    y1 = int(p[1].sum() > 0.5)
    return y1, int(p[y1, 1] / p[y1].sum() > 0.5)


def chain_reversed(p):
    return chain(p.T)[::-1]


def searched_chain(p):  # y2 first, but the best of all products P(y2) P(y1 | y2)
    return divmod(int((p.sum(0) * (p / p.sum(0))).argmax()), 2)


def risks(answer):  # exact expectations under the true table
    y = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    wrong = y != torch.tensor(answer)  # (4, 2)
    p = truth.flatten()
    return (p @ wrong.any(1).double()).item(), (p @ wrong.double().mean(1)).item()


methods = [binary_relevance, label_powerset, chain, chain_reversed, searched_chain]
risk = {}
for method in methods:
    answers = set()
    for seed in range(5):
        torch.manual_seed(seed)
        drawn = torch.multinomial(truth.flatten(), 20000, replacement=True)
        answers.add(method(drawn.bincount(minlength=4).view(2, 2) / 20000))
    assert len(answers) == 1  # the same on every seed
    risk[method] = exact, hamming = risks(*answers)
    print(
        f"{method.__name__:16} says {answers.pop()}: wrong {exact:.3f},",
        f"Hamming loss {hamming:.3f}",
    )

by_label, joint = risk[binary_relevance], risk[label_powerset]
assert joint[0] < by_label[0] - 0.04 and by_label[1] < joint[1] - 0.09
assert risk[chain] == risk[searched_chain] == joint
assert risk[chain_reversed] == by_label  # greedy, so the order matters
