"""Product quantization trades recall for bytes: 8 bytes in place of 128 a vector.

Jegou, Douze, Schmid, TPAMI 2011. Photo patches on 32 principal axes: gallery
(4000, 32), queries (200, 32). A code has one byte for each of m parts.
"""

import matplotlib.pyplot as plt
import torch
from skimage import data
from sklearn.cluster import KMeans

torch.set_default_dtype(torch.float64)


def train(x, m, k):  # m codebooks (k, d / m), one for each part of the vector
    return [
        torch.tensor(
            KMeans(k, n_init=1, max_iter=10, init="random", random_state=0)
            .fit(part)
            .cluster_centers_
        )
        for part in x.chunk(m, 1)
    ]


def encode(x, books):  # (N, d) -> (N, m): the nearest word of each codebook
    parts = x.chunk(len(books), 1)
    return torch.stack([torch.cdist(p, b).argmin(1) for p, b in zip(parts, books)], 1)


def distances(query, codes, books):  # (Q, d), (N, m) -> (Q, N), squared, by tables
    total = torch.zeros(len(query), len(codes))
    for part, book, code in zip(query.chunk(len(books), 1), books, codes.T):
        table = torch.cdist(part, book).square()  # (Q, k), once a query
        total += table[:, code]  # then only look-ups
    return total


def recall(found, exact):  # share of the exact neighbors (Q, k) that were found
    return (found[:, :, None] == exact[:, None, :]).any(1).double().mean().item()


x = []
for photo in (data.astronaut, data.coffee, data.chelsea, data.rocket):
    p = torch.tensor(photo().copy()).permute(2, 0, 1) / 255
    x.append(p.unfold(1, 8, 8).unfold(2, 8, 8).permute(1, 2, 0, 3, 4).flatten(0, 1))
x = torch.cat(x).flatten(1).double()
x = x[x.std(1) > 0.05]
x = x @ torch.linalg.eigh(torch.cov(x.T))[1][:, -32:]
torch.manual_seed(0)
x = x[:, torch.randperm(32)]  # in order, the last part would hold all the variance
SEEDS, SIZES = 3, (1, 2, 4, 8, 16)
score = torch.zeros(SEEDS, len(SIZES), 2)  # seed, size, codes only or re-ranked
for seed in range(SEEDS):
    torch.manual_seed(seed)
    query, gallery = x[torch.randperm(len(x))[:4200]].split([200, 4000])
    exact = torch.cdist(query, gallery).topk(10, largest=False).indices
    for n, m in enumerate(SIZES):
        books = train(gallery, m, 256)
        d = distances(query, encode(gallery, books), books)
        best = d.topk(100, largest=False).indices
        score[seed, n, 0] = recall(best[:, :10], exact)
        fine = torch.cdist(query[:, None], gallery[best])[:, 0]  # exact, 100 candidates
        again = best.gather(1, fine.topk(10, largest=False).indices)
        score[seed, n, 1] = recall(again, exact)
codes, ranked = score.unbind(2)  # (seed, size)
assert codes.diff(dim=1).min() > 0.03  # more bytes, more recall, every seed
assert codes[:, 3].max() < 0.9 and ranked[:, 3].min() > 0.95
plt.rcParams["font.size"] = 12
plt.figure(figsize=(6, 3.4))
plt.plot(SIZES, ranked.mean(0).numpy(), "s--", label="best 100 re-ranked exactly")
plt.plot(SIZES, codes.mean(0).numpy(), "o-", label="codes only")
plt.xscale("log", base=2), plt.xticks(SIZES, SIZES), plt.ylim(0, 1.05)
plt.xlabel("bytes a vector (float32: 128)"), plt.ylabel("recall@10"), plt.legend()
plt.tight_layout(), plt.show()
print("bytes  codes only           100 re-ranked")
for m, a, b in zip(SIZES, codes.T, ranked.T):
    print(
        f"{m:5}  {a.mean():.2f} ({a.min():.2f} to {a.max():.2f})"
        f"  {b.mean():.2f} ({b.min():.2f} to {b.max():.2f})"
    )
