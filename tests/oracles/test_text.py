"""Oracles for text: n-gram filters, masks, causal convolution, data generators.

Each check says whether a snippet's functions agree with plain loops or a library (PyTorch's
conv1d, scikit-learn's CountVectorizer). Planted defects must make it disagree.
"""

import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import CountVectorizer
from tests.snippet_functions import load_functions


def load(technique, defect=None):
    return load_functions(f"text/{technique}", defect)


# --- filters ---------------------------------------------------------------------------


def filters_agree(code) -> bool:
    """Three forms equal conv1d and the definition, window by window and slot by slot."""
    for V, d, filters, k, L in ((7, 3, 2, 1, 5), (9, 4, 3, 2, 6), (5, 2, 4, 3, 3), (6, 5, 2, 4, 8)):
        vectors, ids = torch.randn(V, d), torch.randint(V, (3, L))
        weight, bias = torch.randn(filters, d, k), torch.randn(filters)
        e = vectors[ids]
        expected = torch.zeros(3, L - k + 1, filters)
        for n in range(3):
            for t in range(L - k + 1):
                for f in range(filters):
                    slots = sum(weight[f, :, j] @ vectors[ids[n, t + j]] for j in range(k))
                    expected[n, t, f] = bias[f] + slots
        library = F.conv1d(e.mT, weight, bias).mT
        scores = code.slot_scores(vectors, weight)
        forms = (
            library,
            code.by_conv2d(e, weight, bias),
            code.by_matrix(e, weight, bias),
            code.by_lookup(ids, scores, bias),
        )
        if not all(form.shape == expected.shape for form in forms):
            return False
        if max((form - expected).abs().max() for form in forms) > 1e-12:
            return False
    return True


def test_filters():
    assert filters_agree(load("conv_over_embeddings"))


@pytest.mark.parametrize(
    "defect",
    [
        ("ids[:, j : j + last]", "ids[:, :last]"),  # every slot reads the first word
        ("sum(scores[j]", "sum(scores[-1 - j]"),  # slots reversed
        ("weight.flatten(1).T + bias", "weight.flatten(1).T"),
        ("grams.flatten(2)", "grams.mT.flatten(2)"),  # words and dimensions mixed up
        ("kernel, bias)[..., 0]", "kernel)[..., 0]"),
    ],
)
def test_filter_defects_are_caught(defect):
    assert not filters_agree(load("conv_over_embeddings", defect))


# --- padding and masks -----------------------------------------------------------------


def pooling_agrees(code) -> bool:
    """In any padded batch: as if each sentence had come alone."""
    for k, longest in ((1, 5), (2, 6), (4, 9)):
        lengths = torch.randint(1, longest + 1, (12,))
        lengths[0], lengths[1] = 1, longest
        sentences = [torch.randint(1, 20, (n,)) for n in lengths.tolist()]
        vectors, weight, bias = torch.randn(20, 3), torch.randn(4, 3, k), torch.randn(4)
        batch = code.padded(sentences, longest + 5)
        if any((row != 0).sum() != len(s) for row, s in zip(batch, sentences)):
            return False
        h = F.conv1d(vectors[batch].mT, weight, bias)
        mask = code.window_mask(lengths, k, h.shape[2])
        for n, ids in enumerate(sentences):
            alone = torch.cat([ids, torch.zeros(max(0, k - len(ids)), dtype=torch.long)])
            own = F.conv1d(vectors[alone].T[None], weight, bias)[0]
            if (code.pool(h, mask, "max")[n] - own.amax(1)).abs().max() > 1e-12:
                return False
            if (code.pool(h, mask, "mean")[n] - own.mean(1)).abs().max() > 1e-12:
                return False
    return True


def test_pooling():
    assert pooling_agrees(load("padding_and_short_inputs"))


@pytest.mark.parametrize(
    "defect",
    [
        ("lengths - k + 1", "lengths"),  # keeps windows that reach into the padding
        ("lengths - k + 1", "lengths - k"),
        (".clamp(min=1)", ""),  # nothing left of a short sentence
        ("-torch.inf", "0.0"),  # a zero beats negative responses
        ("/ mask.sum(2)", "/ mask.shape[2]"),
        ("row[: len(ids)] = ids", "row[-len(ids) :] = ids"),
    ],
)
def test_pooling_defects_are_caught(defect):
    assert not pooling_agrees(load("padding_and_short_inputs", defect))


# --- causal convolution ----------------------------------------------------------------


def causal_agrees(code) -> bool:
    """Each output is the weighted sum of inputs at t, t - dilation ...; `dependence` is exact."""
    for k, dilation, T in ((1, 1, 4), (2, 1, 5), (2, 4, 9), (3, 2, 11)):
        layer = code.CausalConv(2, k, dilation)
        x = torch.randn(1, 2, T)
        expected = layer.conv.bias[:, None].repeat(1, T)
        for t in range(T):
            for j in range(k):
                if (s := t - (k - 1 - j) * dilation) >= 0:
                    expected[:, t] = expected[:, t] + layer.conv.weight[:, :, j] @ x[0, :, s]
        out = layer(x)[0]
        if out.shape != expected.shape or (out - expected).abs().max() > 1e-12:
            return False
        reached = {T - 1 - j * dilation for j in range(k)} & set(range(T))
        seen = code.dependence(code.stack(k, [dilation]), T - 1, T)
        if set(seen.nonzero()[:, 0].tolist()) != reached:
            return False
    return True


def test_causal():
    code = load("causal_dilated")
    assert causal_agrees(code)
    centered = code.dependence(code.stack(3, [1], code.centered), 5, 9)
    assert centered.nonzero()[:, 0].tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    "defect",
    [
        ("(self.left, 0)", "(0, self.left)"),  # looks ahead only
        ("(self.left, 0)", "(self.left // 2, self.left - self.left // 2)"),  # centered
        ("(k - 1) * dilation", "k * dilation"),
        ("k, dilation=dilation)\n\n    def", "k)\n\n    def"),
    ],
)
def test_causal_defects_are_caught(defect):
    assert not causal_agrees(load("causal_dilated", defect))


# --- word vectors ----------------------------------------------------------------------


def counts_agree(code) -> bool:
    """Pairs by brute force over all pairs of places; PPMI entry by entry."""
    draw = random.Random(0)
    for reach in (1, 3, 4):
        runs = [draw.choices("abcdz", k=draw.randrange(1, 9)) for _ in range(20)]
        index = {w: i for i, w in enumerate("abcd")}  # z is too rare
        expected = np.zeros((4, 4))
        for run in runs:
            for i, a in enumerate(run):
                for j, b in enumerate(run):
                    if 0 < abs(i - j) <= reach and "z" not in (a, b):
                        expected[index[a], index[b]] += 1 / abs(i - j)
        pairs = code.cooccurrence(runs, index, reach)
        if not np.allclose(pairs, expected):
            return False
        pairs[0, 1] = pairs[1, 0] = 0  # a pair that never occurs
        total, got = pairs.sum(), code.ppmi(pairs)
        for i in range(4):
            for j in range(4):
                joint = pairs[i, j] / total
                chance = pairs[i].sum() / total * pairs[:, j].sum() / total
                if abs(got[i, j] - (max(0, math.log(joint / chance)) if joint else 0)) > 1e-12:
                    return False
    return True


def test_word_vectors():
    assert counts_agree(load("word_vectors"))


@pytest.mark.parametrize(
    "defect",
    [
        ("+= 1 / d", "+= 1"),
        ("return pairs + pairs.T", "return pairs"),
        ("t + 1 + reach", "t + reach"),
        (".clip(min=0)", ""),
        ("/ pairs.sum()", ""),
        ("out=np.ones_like(pairs)", "out=2 * np.ones_like(pairs)"),
    ],
)
def test_word_vector_defects_are_caught(defect):
    assert not counts_agree(load("word_vectors", defect))


# --- the generators promise what the pages say -----------------------------------------


def twins_agree(code, gap, n) -> bool:
    """Changing the class by exchanging never and always changes no count of 1- to n-grams."""
    for label in [True, False] * 20:
        text = code.review(label, gap)
        swap = {"never": "always", "always": "never"}
        twin = " ".join(swap.get(w, w) for w in text.split())
        negated = text.split()[text.split().index("never") + 1 + gap]
        if (negated in code.BAD) != label:
            return False
        x = CountVectorizer(ngram_range=(1, n), token_pattern="[a-z]+").fit_transform([text, twin])
        nouns = {*code.NOUNS}
        names = CountVectorizer(ngram_range=(1, n), token_pattern="[a-z]+").fit([text, twin])
        differ = (x[0] != x[1]).toarray()[0]
        grams = [g for g, d in zip(names.get_feature_names_out(), differ) if d]
        if any(not nouns & {*g.split()} and len(g.split()) < gap + 2 for g in grams):
            return False
    return True


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_negation_generator(gap):
    assert twins_agree(load("negation_window"), gap, gap + 1)
    wrong = ("pick(BAD if positive else GOOD), pick(GOOD if", "pick(GOOD if positive else BAD), pick(GOOD if")
    assert not twins_agree(load("negation_window", wrong), gap, gap + 1)


def windows_agree(code) -> bool:
    """Class by the first marker; no window holds both; each marker fills every slot."""
    ids, y = code.sequences(200)
    for row, label in zip(ids.tolist(), y.tolist()):
        if sorted(i for i in row if i < 3) != [1, 2] or (row.index(1) < row.index(2)) != bool(label):
            return False
        places = row.index(1), row.index(2)
        if abs(places[0] - places[1]) < code.k_width or not all(2 <= p <= len(row) - 3 for p in places):
            return False
    return True


def test_order_generator():
    for defect, good in [
        (None, True),
        ((">= k)", ">= 1)"), False),
        (("2 + torch.randperm(L - 4)", "torch.randperm(L)"), False),
        (("1 if label else 2", "2 if label else 1"), False),
    ]:
        code = load("order_across_windows", defect)
        for name, value in (("V", 12), ("L", 16), ("k", 3)):  # a tuple assignment is not loaded
            code.sequences.__globals__[name] = value
        code.k_width = 3
        assert windows_agree(code) == good, defect


# --- reviews and their network ---------------------------------------------------------


def reviews_agree(code) -> bool:
    """Each word in its place, the sign as a product; the network window by window."""
    words = [*code.YES, *code.NO, *code.GOOD, *code.BAD, *code.NOUNS, *code.ENDS, "the", "was"]
    code.reviews.__globals__["WORDS"] = words
    pairs = [("very", "good"), ("not", "good"), ("truly", "dull"), ("barely", "weak")]
    sign = {w: 1 if w in {*code.YES, *code.GOOD} else -1 for w in words}
    texts, y = code.reviews(pairs, 80)
    split = [text.split() for text in texts]
    for (the, noun, was, m, a, end), label in zip(split, y.tolist()):
        if (the, was) != ("the", "was") or noun not in code.NOUNS or end not in code.ENDS:
            return False
        if (m, a) not in pairs or label != (sign[m] * sign[a] > 0):
            return False
    if {(t[3], t[4]) for t in split} != {*pairs}:
        return False
    net = code.TextCNN()
    for text, got in zip(split[:5], net(texts[:5])):
        e = torch.stack([net.embed.weight[words.index(w)] for w in text])
        w, b = net.conv.weight, net.conv.bias
        windows = [(w[..., 0] @ e[i] + w[..., 1] @ e[i + 1] + b).clamp(min=0) for i in range(5)]
        best = torch.stack(windows).max(0).values
        if not torch.allclose(got, net.out.weight[0] @ best + net.out.bias[0]):
            return False
    return True


def test_reviews():
    assert reviews_agree(load("unseen_bigrams"))
    for defect in (
        ("(m in YES) == (a in GOOD)", "(m in YES) != (a in GOOD)"),
        ("[pick(pairs) for", "[pairs[0] for"),
        (".amax(2)", ".mean(2)"),
        (".transpose(1, 2)).relu()", ".transpose(1, 2))"),
    ):
        assert not reviews_agree(load("unseen_bigrams", defect)), defect
