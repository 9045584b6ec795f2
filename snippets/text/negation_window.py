"""Word order counts inside the window: a filter must span the negator and its word.

Generated reviews with one positive and one negative adjective, one "never" and one
"always"; the class is which of them "never" precedes. Both classes hold the same words,
so counts of words are at chance by construction. A gap puts words in between.
"""

import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

torch.set_default_dtype(torch.float64)
NOUNS = ["plot", "cast", "music", "sound", "camera", "script"]
GOOD, BAD = ["good", "fun", "witty", "warm"], ["bad", "dull", "silly", "cold"]
WORDS = [*NOUNS, *GOOD, *BAD, "never", "always", "really", "very", "was", "and"]


def review(positive, gap):
    def pick(words):
        return words[torch.randint(len(words), ())]

    denied, stated = pick(BAD if positive else GOOD), pick(GOOD if positive else BAD)
    more = ["really", "very"][:gap]
    clauses = [
        [pick(NOUNS), "was", "never", *more, denied],
        [pick(NOUNS), "was", "always", *more, stated],
    ]
    first = int(torch.randint(2, ()))
    return " ".join([*clauses[first], "and", *clauses[1 - first]])


def textcnn_accuracy(k, ids, y, dim=8, filters=12):
    """Width k, one network a seed, side by side. Trains on half of ids (S, N, L)."""
    S, half = len(ids), len(y) // 2
    shapes = [(S, len(WORDS), dim), (S, 1, dim * k, filters), (S, filters, 1)]
    embed, weight, out = (torch.randn(s) / (1, 4, 4)[i] for i, s in enumerate(shapes))
    parameters = [embed, weight, out, bias := torch.zeros(S, 1, 1, filters)]
    optimizer = torch.optim.Adam([p.requires_grad_() for p in parameters], 0.05)

    def net(ids):
        e = torch.stack([table[x] for table, x in zip(embed, ids)])  # (S, N, L, dim)
        grams = e.unfold(2, k, 1).flatten(3)  # (S, N, L - k + 1, dim k)
        return ((grams @ weight + bias).relu().amax(2) @ out)[..., 0]  # max over time

    for _ in range(60):
        logits, target = net(ids[:, :half]), y[:half].expand(S, -1)
        loss = F.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad()
        (S * loss).backward()
        optimizer.step()
    return ((net(ids[:, half:]) > 0) == y[half:]).double().mean(1)  # (S,)


torch.manual_seed(0)
y, score = (torch.arange(320) % 2).double(), torch.zeros(5, 3, 6)  # seed, gap, model
for gap in range(3):
    texts = [review(bool(label), gap) for seed in range(5) for label in y]
    ids = torch.tensor([[WORDS.index(w) for w in t.split()] for t in texts])
    ids = ids.view(5, 320, -1)  # (S, N, L)
    for i in range(4):
        score[:, gap, i] = textcnn_accuracy(i + 1, ids, y)
    for seed, n in [(s, n) for s in range(5) for n in (1, 2)]:
        x = CountVectorizer(ngram_range=(1, n)).fit_transform(texts[320 * seed :][:320])
        linear = LogisticRegression(tol=1e-6, max_iter=1000).fit(x[:160], y[:160])
        score[seed, gap, 3 + n] = linear.score(x[160:], y[160:])
reach = torch.tensor([1, 2, 3, 4, 1, 2])
for gap, row in enumerate(score.mean(0)):
    assert (row[reach >= gap + 2] > 0.9).all() and (row[reach < gap + 2] < 0.6).all()
print("test accuracy, mean of 5 seeds; words between never and its adjective:")
print("                         0     1     2")
names = [f"TextCNN, width {k}" for k in (1, 2, 3, 4)]
names += ["counts of words", "and bigrams"]
for name, row in zip(names, score.mean(0).T):
    print(f"{name:21} {row[0]:5.2f} {row[1]:5.2f} {row[2]:5.2f}")
