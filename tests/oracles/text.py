"""Text: n-gram filters, masks, causal convolution and data generators against plain loops and libraries."""

import math
import random

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import CountVectorizer

from tests.oracles.oracle import Defect, Oracle, agree

# --- filters ---------------------------------------------------------------------------


def sentences_and_filters():
    for V, d, filters, k, L in ((7, 3, 2, 1, 5), (9, 4, 3, 2, 6), (5, 2, 4, 3, 3), (6, 5, 2, 4, 8)):
        yield torch.randn(V, d), torch.randint(V, (3, L)), torch.randn(filters, d, k), torch.randn(filters)


def embedded():
    return ((vectors[ids], weight, bias) for vectors, ids, weight, bias in sentences_and_filters())


def by_definition(e, weight, bias):
    """Window by window and slot by slot; PyTorch's conv1d says the same."""
    filters, _, k = weight.shape
    want = torch.zeros(len(e), e.shape[1] - k + 1, filters)
    for n, t, f in np.ndindex(want.shape):
        want[n, t, f] = bias[f] + sum(weight[f, :, j] @ e[n, t + j] for j in range(k))
    agree(F.conv1d(e.mT, weight, bias).mT, want, 1e-13)
    return want


def lookup(code):
    for vectors, ids, weight, bias in sentences_and_filters():
        scores = code.slot_scores(vectors, weight)
        agree(code.by_lookup(ids, scores, bias), by_definition(vectors[ids], weight, bias), 1e-13)


def pooling(code):
    """In any padded batch: as if each sentence had come alone."""
    for k, longest in ((1, 5), (2, 6), (4, 9)):
        lengths = torch.randint(1, longest + 1, (12,))
        lengths[0], lengths[1] = 1, longest
        sentences = [torch.randint(1, 20, (n,)) for n in lengths.tolist()]
        vectors, weight, bias = torch.randn(20, 3), torch.randn(4, 3, k), torch.randn(4)
        batch = code.padded(sentences, longest + 5)
        assert all((row != 0).sum() == len(s) for row, s in zip(batch, sentences, strict=True))
        h = F.conv1d(vectors[batch].mT, weight, bias)
        mask = code.window_mask(lengths, k, h.shape[2])
        agree((code.pool(h, None, "max"), code.pool(h, None, "mean")), (h.amax(2), h.mean(2)), 1e-13)
        most, mean = code.pool(h, mask, "max"), code.pool(h, mask, "mean")
        for n, ids in enumerate(sentences):
            alone = F.pad(ids, (0, max(0, k - len(ids))))
            own = F.conv1d(vectors[alone].T[None], weight, bias)[0]
            agree((most[n], mean[n]), (own.amax(1), own.mean(1)), 1e-13)


def causal(code):
    """Each output is the weighted sum of inputs at t, t - dilation ...; `dependence` is exact."""
    for k, dilation, T in ((1, 1, 4), (2, 1, 5), (2, 4, 9), (3, 2, 11), (3, 4, 5)):
        layer, x = code.CausalConv(2, k, dilation), torch.randn(1, 2, T)
        want = layer.conv.bias[:, None].repeat(1, T)
        for t in range(T):
            for j in range(k):
                if (s := t - (k - 1 - j) * dilation) >= 0:
                    want[:, t] = want[:, t] + layer.conv.weight[:, :, j] @ x[0, :, s]
        agree(layer(x)[0], want, 1e-13)
        seen = code.dependence(code.stack(k, [dilation]), T - 1, T)
        assert {*seen.nonzero()[:, 0].tolist()} == {T - 1 - j * dilation for j in range(k)} & {*range(T)}
    centered = code.dependence(code.stack(3, [1], code.centered), 5, 9)
    assert centered.nonzero()[:, 0].tolist() == [4, 5, 6]


# --- word vectors ----------------------------------------------------------------------


def runs_of_words():
    draw, index = random.Random(0), {w: i for i, w in enumerate("abcd")}  # z is too rare
    for reach in (1, 3, 4):
        yield [draw.choices("abcdz", k=draw.randrange(1, 9)) for _ in range(20)], index, reach
    yield [[], ["z"]], index, 4


def pairs_of_places(runs, index, reach):
    counts = np.zeros((4, 4))
    for run in runs:
        for i, a in enumerate(run):
            for j, b in enumerate(run):
                if 0 < abs(i - j) <= reach and "z" not in (a, b):
                    counts[index[a], index[b]] += 1 / abs(i - j)
    return counts


def counts_of_pairs():
    for _ in range(3):
        pairs = torch.rand(4, 4).numpy()
        pairs = pairs + pairs.T
        pairs[0, 1] = pairs[1, 0] = 0  # a pair that never occurs
        yield (pairs,)
    pairs[2], pairs[:, 2] = 0, 0  # a word that never does
    yield (pairs,)


def ppmi_by_entries(pairs):
    want, total = np.zeros((4, 4)), pairs.sum()
    for i, j in np.ndindex(4, 4):
        if pairs[i, j]:
            chance = pairs[i].sum() / total * pairs[:, j].sum() / total
            want[i, j] = max(0, math.log(pairs[i, j] / total / chance))
    return want


# --- the generators promise what the pages say, and the network of one of them ---------


def review(code):
    """Changing the class by exchanging never and always changes no count of n-grams up to the gap."""
    swap = {"never": "always", "always": "never"}
    for gap in (0, 1, 2):
        counts = CountVectorizer(ngram_range=(1, gap + 1), token_pattern="[a-z]+")
        for label in [True, False] * 20:
            words = code.review(label, gap).split()
            assert (words[words.index("never") + 1 + gap] in code.BAD) == label
            x = counts.fit_transform([" ".join(words), " ".join(swap.get(w, w) for w in words)])
            grams = counts.get_feature_names_out()[(x[0] != x[1]).toarray()[0]]
            assert all({*code.NOUNS} & {*gram.split()} for gram in grams)


def sequences(code):
    """Class by the first marker; no window holds both; each marker fills every slot."""
    for row, label in zip(*(v.tolist() for v in code.sequences(200)), strict=True):
        assert sorted(i for i in row if i < 3) == [1, 2]
        places = row.index(1), row.index(2)
        assert (places[0] < places[1]) == bool(label)
        assert abs(places[0] - places[1]) >= code.k
        assert all(2 <= p <= len(row) - 3 for p in places)


def reviews(code):
    """Each word in its place, the sign as a product."""
    pairs = [("very", "good"), ("not", "good"), ("truly", "dull"), ("barely", "weak")]
    texts, y = code.reviews(pairs, 80)
    split = [text.split() for text in texts]
    for (the, noun, was, m, a, end), label in zip(split, y.tolist(), strict=True):
        assert (the, was) == ("the", "was") and noun in code.NOUNS and end in code.ENDS
        signs = [1 if word in (*code.YES, *code.GOOD) else -1 for word in (m, a)]
        assert label == (signs[0] * signs[1] > 0)
    assert {(m, a) for _, _, _, m, a, _ in split} == {*pairs}


def text_cnn(code):
    """Window by window."""
    net = code.TextCNN()
    net.conv.bias.data -= 0.2  # some filters stay silent in a whole text
    for _ in range(5):
        ids = torch.randint(len(code.WORDS), (6,))
        e, w, b = net.embed.weight[ids], net.conv.weight, net.conv.bias
        windows = [(w[..., 0] @ e[i] + w[..., 1] @ e[i + 1] + b).clamp(min=0) for i in range(5)]
        want = net.out.weight @ torch.stack(windows).amax(0) + net.out.bias
        agree(net([" ".join(code.WORDS[i] for i in ids)]), want)


ORACLES = [
    Oracle(
        "conv_over_embeddings",
        function="by_conv2d",
        reference=by_definition,
        cases=embedded,
        tolerance=1e-13,
        defects=[Defect("kernel, bias)[..., 0]", "kernel)[..., 0]")],
    ),
    Oracle(
        "conv_over_embeddings",
        function="by_matrix",
        reference=by_definition,
        cases=embedded,
        tolerance=1e-13,
        defects=[
            Defect("weight.flatten(1).T + bias", "weight.flatten(1).T"),
            Defect("grams.flatten(2)", "grams.mT.flatten(2)"),  # words and dimensions mixed up
        ],
    ),
    Oracle(
        "conv_over_embeddings",
        lookup,
        defects=[
            Defect("ids[:, j : j + last]", "ids[:, :last]"),  # every slot reads the first word
            Defect("sum(scores[j]", "sum(scores[-1 - j]"),  # slots reversed
        ],
    ),
    Oracle(
        "padding_and_short_inputs",
        pooling,
        defects=[
            Defect("lengths - k + 1", "lengths"),  # keeps windows that reach into the padding
            Defect("lengths - k + 1", "lengths - k"),
            Defect(".clamp(min=1)", ""),  # nothing left of a short sentence
            Defect("-torch.inf", "0.0"),  # a zero beats negative responses
            Defect("/ mask.sum(2)", "/ mask.shape[2]"),
            Defect("row[: len(ids)] = ids", "row[-len(ids) :] = ids"),
        ],
    ),
    Oracle(
        "causal_dilated",
        causal,
        defects=[
            Defect("(self.left, 0)", "(0, self.left)"),  # looks ahead only
            Defect("(self.left, 0)", "(self.left // 2, self.left - self.left // 2)"),  # centered
            Defect("(k - 1) * dilation", "k * dilation"),
            Defect("k, dilation=dilation)", "k)", where="CausalConv"),
        ],
    ),
    Oracle(
        "word_vectors",
        function="cooccurrence",
        reference=pairs_of_places,
        cases=runs_of_words,
        defects=[
            Defect("+= 1 / d", "+= 1"),
            Defect("return pairs + pairs.T", "return pairs"),
            Defect("t + 1 + reach", "t + reach"),
        ],
    ),
    Oracle(
        "word_vectors",
        function="ppmi",
        reference=ppmi_by_entries,
        cases=counts_of_pairs,
        tolerance=1e-13,
        defects=[
            Defect(".clip(min=0)", ""),
            Defect("/ pairs.sum()", ""),
            Defect("out=np.ones_like(pairs)", "out=2 * np.ones_like(pairs)"),
        ],
    ),
    Oracle(
        "negation_window",
        review,
        defects=[
            Defect(
                "pick(BAD if positive else GOOD), pick(GOOD if",
                "pick(GOOD if positive else BAD), pick(GOOD if",
            )
        ],
    ),
    Oracle(
        "order_across_windows",
        sequences,
        defects=[
            Defect(">= k)", ">= 1)"),
            Defect("2 + torch.randperm(L - 4)", "torch.randperm(L)"),
            Defect("1 if label else 2", "2 if label else 1"),
        ],
    ),
    Oracle(
        "unseen_bigrams",
        reviews,
        defects=[
            Defect("(m in YES) == (a in GOOD)", "(m in YES) != (a in GOOD)"),
            Defect("[pick(pairs) for", "[pairs[0] for"),
        ],
    ),
    Oracle(
        "unseen_bigrams",
        text_cnn,
        data=lambda: {"WORDS": ["the", "plot", "was", "very", "good", "today"]},
        defects=[Defect(".amax(2)", ".mean(2)"), Defect(".transpose(1, 2)).relu()", ".transpose(1, 2))")],
    ),
]
