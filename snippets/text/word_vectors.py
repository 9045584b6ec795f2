"""Words in similar contexts get similar vectors, and opposites share contexts.

Vectors from unlabeled real text, scikit-learn's docstrings and comments: how much more
often than by chance two words stand less than 5 apart (positive pointwise mutual
information), in 24 dimensions. Levy and Goldberg (2014) relate word2vec to this.
"""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import sklearn
from scipy.sparse.linalg import svds

files = sorted(Path(sklearn.__file__).parent.glob("*/*.py"))
text = " # ".join(path.read_text("utf-8").lower() for path in files)
runs = sorted({*re.findall(r"\b[a-z]+(?:\s+[a-z]+){5,29}\b", text)})  # no punctuation
runs = [run.split() for run in runs]
count = Counter(word for run in runs for word in run)
words = sorted(word for word in count if count[word] >= 8)
index = {word: i for i, word in enumerate(words)}


def cooccurrence(runs, index, reach=4):
    """Symmetric counts; a neighbor d places away counts 1 / d."""
    pairs = np.zeros((len(index), len(index)))
    for run in runs:
        for t, word in enumerate(run):
            for d, other in enumerate(run[t + 1 : t + 1 + reach], 1):
                if word in index and other in index:
                    pairs[index[word], index[other]] += 1 / d
    return pairs + pairs.T


def ppmi(pairs):
    """max(0, log p(a, b) / (p(a) p(b)))"""
    chance = np.outer(pairs.sum(1), pairs.sum(0)) / pairs.sum()
    ratio = np.divide(pairs, chance, out=np.ones_like(pairs), where=pairs > 0)
    return np.log(ratio).clip(min=0)


u, s, _ = svds(ppmi(cooccurrence(runs, index)), 24, v0=np.ones(len(words)))
vectors = u * np.sqrt(s)  # (words, 24)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)


def by_similarity(word):
    """All words, the most similar first; place 0 is the word itself."""
    return [words[i] for i in (vectors @ vectors[index[word]]).argsort()[::-1]]


OPPOSITES = [
    pair.split("-")
    for pair in (
        "maximum-minimum left-right lower-upper first-last sparse-dense positive-negative "
        "rows-columns true-false increase-decrease train-test before-after small-large "
        "input-output higher-lower min-max same-different"
    ).split()
]
for word in ("maximum", "sparse", "left", "lower"):
    print(f"nearest to {word}:", ", ".join(by_similarity(word)[1:4]))
ranks = [by_similarity(a).index(b) for a, b in OPPOSITES]
assert np.median(ranks) < 30 and len(words) > 1000
print(f"place of the opposite among {len(words)} words, {len(ranks)} pairs:")
median, chance = np.median(ranks), len(words) // 2
print(f"median {median:.1f}, first in {ranks.count(1)}; by chance {chance}")
