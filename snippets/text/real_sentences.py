"""Counts of words match a small TextCNN on topics; where order matters, bigrams do.

Real text: runs of 8 to 20 words from scikit-learn's docstrings and comments. Topic: in
which of four subpackages a run stands. Order: whether its words were shuffled, each run
with its shuffled twin, so that both hold the same words.
"""

import re
from pathlib import Path

import sklearn
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

torch.set_default_dtype(torch.float64)


def sentences(package):
    """Distinct runs of 8 to 20 words without punctuation, lower case."""
    files = (Path(sklearn.__file__).parent / package).glob("*.py")
    text = " # ".join(path.read_text("utf-8").lower() for path in files)
    words = r"\b[a-z]+(?:\s+[a-z]+){7,19}\b"
    return {" ".join(run.split()) for run in re.findall(words, text)}


class TextCNN(nn.Module):
    def __init__(self, words, classes, widths=(2, 3), dim=16, filters=12):
        super().__init__()
        self.embed = nn.Embedding(words, dim)
        self.embed.weight.data *= 0.3
        self.convs = nn.ModuleList(nn.Conv1d(dim, filters, k) for k in widths)
        self.out = nn.Linear(filters * len(widths), classes)

    def forward(self, ids):  # (N, 20), 0 is padding
        e, own = self.embed(ids).transpose(1, 2), (ids > 0)[:, None]
        h = [c(e).relu() * own[..., c.kernel_size[0] - 1 :] for c in self.convs]
        features = torch.cat([x.amax(2) for x in h], 1)  # masked max over time
        return self.out(nn.functional.dropout(features, 0.3, self.training))


def textcnn(train, y, test, steps=150):
    known = CountVectorizer(min_df=2, token_pattern="[a-z]+").fit(train).vocabulary_

    def ids(texts):
        rows = [[known.get(w, -1) + 2 for w in t.split()] for t in texts]  # 1: unknown
        return torch.tensor([row + [0] * (20 - len(row)) for row in rows])

    x, net = ids(train), TextCNN(len(known) + 2, int(y.max()) + 1)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        batch = torch.randint(len(x), (48,))
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()(ids(test)).argmax(1)


def counts(train, y, test, n):
    x = CountVectorizer(ngram_range=(1, n)).fit(train)
    linear = LogisticRegression(tol=1e-6, max_iter=1000).fit(x.transform(train), y)
    return torch.tensor(linear.predict(x.transform(test)))


def shuffled(text):
    return " ".join(text.split()[i] for i in torch.randperm(len(text.split())))


topics = [sentences(p) for p in ("cluster", "decomposition", "linear_model", "metrics")]
once = [sorted(s for s in t if sum(s in u for u in topics) == 1) for t in topics]
right = torch.zeros(3, 2, 3)  # seed, task, model
for seed in range(3):
    torch.manual_seed(seed)
    picks = [[t[i] for i in torch.randperm(len(t))[:450]] for t in once]
    train = [s for t in picks for s in t[:350]]
    test = [s for t in picks for s in t[350:]]
    topic = train, torch.arange(1400) // 350, test, torch.arange(400) // 100
    train, test = (
        [f(s) for s in t[::2] for f in (str, shuffled)] for t in (train, test)
    )  # each with its shuffled twin
    order = train, torch.arange(1400) % 2, test, torch.arange(400) % 2
    for i, (*data, truth) in enumerate((topic, order)):
        guesses = counts(*data, 1), counts(*data, 2), textcnn(*data)
        right[seed, i] = torch.stack([(g == truth).double().mean() for g in guesses])
topic, order = right.unbind(1)
assert (order[:, 0] == 0.5).all() and (order[:, 1:] > 0.65).all()
assert topic[:, 0].mean() > topic[:, 2].mean() - 0.03
assert order[:, 1].mean() > order[:, 2].mean()
print("accuracy, 3 seeds  topic (of 4)         order (of 2)")
for i, name in enumerate(("counts of words", "words, bigrams", "TextCNN")):
    v = topic[:, i], order[:, i]
    spans = [f"{x.mean():.2f} ({x.min():.2f} to {x.max():.2f})" for x in v]
    print(f"{name:18}", *spans)
