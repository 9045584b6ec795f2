"""CTC's probability of a text is the sum over every alignment that collapses to it.

Connectionist temporal classification (Graves et al. 2006). T frames, letters a and b
and a blank. Three ways must agree: all 3^T paths one by one, the forward algorithm over
the text with blanks between its letters, and PyTorch's ctc_loss.
"""

import itertools
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def collapse(path):
    """Merge repeats, then drop blanks: (1, 1, 0, 1, 2) -> (1, 1, 2)."""
    return tuple(k for k, _ in itertools.groupby(path) if k != 0)


def forward_probability(probs, text):
    """Dynamic programming over 2 len(text) + 1 states. probs: (T, classes)."""
    states = [0]  # blank, first letter, blank, ..., last letter, blank
    for letter in text:
        states += [letter, 0]
    first, *rest = probs.tolist()
    alpha = [first[k] if s < 2 else 0.0 for s, k in enumerate(states)]
    for frame in rest:
        before, alpha = alpha, []
        for s, k in enumerate(states):
            total = sum(before[max(s - 1, 0) : s + 1])  # stay, or one step
            if s > 1 and k != states[s - 2]:  # over a blank, not between equal letters
                total += before[s - 2]
            alpha.append(total * frame[k])
    return sum(alpha[-2:])  # end on the last letter or on the blank after it


def brute_force(probs, text):
    """Probability of all paths that collapse to the text, and their number."""
    T, classes = probs.shape
    paths = itertools.product(range(classes), repeat=T)
    fitting = [path for path in paths if collapse(path) == text]
    rows = probs.tolist()
    return sum(math.prod(map(list.__getitem__, rows, p)) for p in fitting), len(fitting)


print("text  T  alignments")
for text, T in (("ab", 5), ("aa", 5), ("aba", 3), ("aa", 3), ("aa", 2)):
    letters = tuple("-ab".index(c) for c in text)
    for seed in range(5):
        torch.manual_seed(seed)
        log_probs = torch.randn(T, 3).log_softmax(1)
        truth, count = brute_force(log_probs.exp(), letters)
        mine = forward_probability(log_probs.exp(), letters)
        args = torch.tensor([letters]), (T,), (len(letters),)
        loss = F.ctc_loss(log_probs[:, None], *args, reduction="sum")
        assert abs(mine - truth) < 1e-12 and abs((-loss).exp() - truth) < 1e-12
    note = "   loss is infinite" if loss.isinf() else ""
    print(f"{text:4} {T:2} {count:6}{note}")
assert loss.isinf() and count == 0  # "aa" in two frames
print("forward algorithm = ctc_loss = brute force, error < 1e-12")
