"""Word vectors let a filter fire on n-grams it never saw; counts of n-grams cannot.

Eight intensifiers or negators times 16 adjectives. 24 of the 128 pairs are held out of
training; the class is whether the pair says something good. The figure shows what each
filter adds to the score (response times weight) at each bigram of an unseen pair.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

torch.set_default_dtype(torch.float64)
YES, NO = ["always", "truly", "really", "very"], ["never", "hardly", "barely", "not"]
GOOD = ["good", "fun", "witty", "warm", "clever", "bright", "neat", "fresh"]
BAD = ["bad", "dull", "silly", "cold", "flat", "stale", "bland", "weak"]
NOUNS, ENDS = ["plot", "cast", "music", "sound"], ["today", "again", "there", "overall"]
WORDS = [*YES, *NO, *GOOD, *BAD, *NOUNS, *ENDS, "the", "was"]
PAIRS = [(m, a) for m in YES + NO for a in GOOD + BAD]


def reviews(pairs, count):
    def pick(items):
        return items[torch.randint(len(items), ())]

    chosen = [pick(pairs) for _ in range(count)]
    texts = [f"the {pick(NOUNS)} was {m} {a} {pick(ENDS)}" for m, a in chosen]
    return texts, torch.tensor([float((m in YES) == (a in GOOD)) for m, a in chosen])


class TextCNN(nn.Module):
    def __init__(self, dim=8, filters=12):
        super().__init__()
        self.embed = nn.Embedding(len(WORDS), dim)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.conv, self.out = nn.Conv1d(dim, filters, 2), nn.Linear(filters, 1)

    def responses(self, texts):  # N strings of L words -> (N, filters, L - 1)
        ids = torch.tensor([[WORDS.index(w) for w in t.split()] for t in texts])
        return self.conv(self.embed(ids).transpose(1, 2)).relu()

    def forward(self, texts):
        return self.out(self.responses(texts).amax(2))[:, 0]  # max over time


score = torch.zeros(5, 2)
for seed in range(5):
    torch.manual_seed(seed)
    held = {PAIRS[i] for i in torch.randperm(128)[:24]}
    texts, y = reviews(sorted({*PAIRS} - held), 300)
    new, truth = reviews(sorted(held), 200)
    net = TextCNN()
    optimizer = torch.optim.Adam(net.parameters(), 0.03)
    for _ in range(100):
        loss = nn.functional.binary_cross_entropy_with_logits(net(texts), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    score[seed, 0] = ((net(new) > 0) == truth).double().mean()
    counts = CountVectorizer(ngram_range=(1, 2)).fit(texts)
    linear = LogisticRegression(tol=1e-6, max_iter=1000).fit(counts.transform(texts), y)
    score[seed, 1] = linear.score(counts.transform(new), truth)
assert (score[:, 0] > 0.8).all() and (score[:, 1] < 0.6).all()
print("accuracy on unseen pairs, mean of 5 seeds (min to max)")
for name, v in zip(("TextCNN, width 2", "counts of words and bigrams"), score.T):
    print(f"{name:27} {v.mean():.2f} ({v.min():.2f} to {v.max():.2f})")

w = net.out.weight[0].detach()  # the last seed's network, (filters,)
h = net.responses([" ".join(pair) for pair in PAIRS])[..., 0].detach()  # (128, filters)
order = (h.amax(0) * w.abs()).argsort(descending=True)
print("the four strongest filters, each one's best pairs (* = unseen)")
for f in order[:4]:
    best = [PAIRS[i] for i in h[:, f].argsort(descending=True)[:4]]
    names = ", ".join(f"{m} {a}{'*' * ((m, a) in held)}" for m, a in best)
    print(f"{'good' if w[f] > 0 else 'bad':4} {names}")

fig, axes = plt.subplots(2, 1, figsize=(5, 5), layout="constrained")
for ax, text in zip(axes, (new[0], new[3])):
    r, words = net.responses([text])[0].detach()[order[:6]], text.split()
    added = (r * w[order[:6], None]).numpy()
    image = ax.imshow(added, cmap="RdBu", vmin=-8, vmax=8, aspect=0.4)
    peak, time = r.max(1)  # stars: what max over time keeps
    ax.plot(time[peak > 0], peak.nonzero()[:, 0], "k*", ms=10, mec="w")
    ax.set(yticks=range(6), yticklabels=range(1, 7), ylabel="filter")
    ax.set_xticks(range(5), [f"{a}\n{b}" for a, b in zip(words, words[1:])])
fig.colorbar(image, ax=axes, label="adds to the score (bad < 0 < good)")
plt.show()
