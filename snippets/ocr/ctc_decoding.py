"""The best path need not give the best text; prefix beam search comes closer.

Greedy decoding takes each frame's best symbol, but a text's probability is a sum over
paths. Random frames (T = 6, 3 letters and a blank); the truth comes from collapsing all
4^6 paths. Prefix beam search as in Hannun et al. 2014, without a language model.
"""

import itertools
from collections import defaultdict

import torch

torch.set_default_dtype(torch.float64)


def collapse(path):
    return tuple(k for k, _ in itertools.groupby(path) if k != 0)


def greedy(probs):
    return collapse(probs.argmax(1).tolist())


def beam_search(probs, width):
    """Best text, keeping width prefixes a frame. probs: (T, classes), 0 is blank."""
    beam = {(): (1.0, 0.0)}  # prefix: probability of ending in a blank, in its letter
    for frame in probs.tolist():
        new = defaultdict(lambda: [0.0, 0.0])
        for prefix, (blank, letter) in beam.items():
            new[prefix][0] += (blank + letter) * frame[0]
            for k in range(1, len(frame)):
                if prefix and k == prefix[-1]:
                    new[prefix][1] += letter * frame[k]  # the letter lasts
                    new[prefix + (k,)][1] += blank * frame[k]  # a double needs a blank
                else:
                    new[prefix + (k,)][1] += (blank + letter) * frame[k]
        beam = dict(sorted(new.items(), key=lambda item: -sum(item[1]))[:width])
    return max(beam, key=lambda prefix: sum(beam[prefix]))


T, classes = 6, 4
paths = torch.cartesian_prod(*[torch.arange(classes)] * T)  # (4096, 6)
texts = [collapse(path) for path in paths.tolist()]
index = {text: n for n, text in enumerate(dict.fromkeys(texts))}
owner = torch.tensor([index[text] for text in texts])


def exact(probs):
    """Probability of every text, from all paths."""
    return torch.zeros(len(index)).index_add(0, owner, probs[range(T), paths].prod(1))


widths, best = (1, 2, 4, 16), torch.zeros(5, 5)
for seed in range(5):
    torch.manual_seed(seed)
    for _ in range(100):
        probs = (2 * torch.randn(T, classes)).softmax(1)
        truth = exact(probs)
        guesses = [greedy(probs)] + [beam_search(probs, w) for w in widths]
        reached = torch.stack([truth[index[guess]] for guess in guesses])
        best[seed] += (reached > truth.max() - 1e-12).double() / 100
assert (best[:, 0] < 0.85).all() and (best[:, 4] > 0.95).all()
assert (best[:, 3] > best[:, 0]).all()
print("finds the most probable text: mean of 5 seeds (min to max)")
for name, v in zip(["greedy", *(f"beam of {w}" for w in widths)], best.T):
    print(f"{name:10} {v.mean():.2f} ({v.min():.2f} to {v.max():.2f})")
two = torch.tensor([[0.6, 0.4]] * 2)  # two frames: blank 0.6, letter 0.4
assert greedy(two) == () and beam_search(two, 2) == (1,)
print("two frames, blank 0.6, letter 0.4: greedy reads nothing (probability 0.36),")
print("a beam of 2 reads the letter (0.64)")
