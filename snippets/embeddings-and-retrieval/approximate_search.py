"""Exact trees stop pruning in many dimensions; approximate indexes still skip most.

HNSW: Malkov and Yashunin, arXiv 1603.09320; inverted file: Jegou and others 2011.
Gallery (10000, d), queries (100, d). Work: distances computed / gallery size.
"""

import faiss
import torch
from skimage import data
from sklearn.neighbors import KDTree

faiss.omp_set_num_threads(1)  # or HNSW would link its points in another order


def photo_patches():  # (n, 32): 8 x 8 color patches on their 32 principal axes
    x = []
    for photo in (data.astronaut, data.coffee, data.chelsea, data.rocket):
        p = torch.tensor(photo().copy()).permute(2, 0, 1) / 255
        x.append(p.unfold(1, 8, 4).unfold(2, 8, 4).permute(1, 2, 0, 3, 4).flatten(0, 1))
    x = torch.cat(x).flatten(1)
    x = x[x.std(1) > 0.05]
    return x @ torch.linalg.eigh(torch.cov(x.T))[1][:, -32:]


def recall(found, exact):  # share of the exact neighbors (Q, k) that were found
    return (found[:, :, None] == exact[:, None, :]).any(1).mean()


SEED = 0
torch.manual_seed(SEED)
patches = photo_patches()
spaces = {f"noise, d = {d}": torch.randn(10100, d) for d in (2, 8, 32)}
spaces["patches, d = 32"] = patches[torch.randperm(len(patches))[:10100]]
work, hit = {}, {}
for name, z in spaces.items():
    query, gallery = z[:100].numpy(), z[100:].numpy()
    tree = KDTree(gallery, leaf_size=20)
    tree.reset_n_calls()
    exact, hit["k-d tree", name] = tree.query(query, 10)[1], 1.0
    work["k-d tree", name] = tree.get_n_calls()
    flat = faiss.IndexFlatL2(z.shape[1])
    flat.add(gallery)
    assert recall(flat.search(query, 10)[1], exact) > 0.99  # both are exact
    lists = faiss.IndexIVFFlat(faiss.IndexFlatL2(z.shape[1]), z.shape[1], 100)
    lists.train(gallery), lists.add(gallery)
    lists.nprobe = 8  # visit 8 of 100 cells
    stats = faiss.cvar.indexIVF_stats
    stats.reset()
    found = lists.search(query, 10)[1]
    work["IVF", name] = stats.ndis + 100 * len(query)  # in the cells, and centers
    hit["IVF", name] = recall(found, exact)
    graph = faiss.IndexHNSWFlat(z.shape[1], 16)  # 16 links a point
    graph.add(gallery)
    stats = faiss.cvar.hnsw_stats
    for ef in (16, 128):
        graph.hnsw.efSearch = ef
        stats.reset()
        found = graph.search(query, 10)[1]
        work[f"HNSW {ef}", name] = stats.ndis
        hit[f"HNSW {ef}", name] = recall(found, exact)
share = {key: count / len(query) / len(gallery) for key, count in work.items()}
low, high, real = "noise, d = 2", "noise, d = 32", "patches, d = 32"
assert share["k-d tree", low] < 0.05 and share["k-d tree", high] > 0.95
assert share["HNSW 128", high] < 0.4 and 0.9 < hit["HNSW 128", high]
assert share["HNSW 16", real] < 0.05 and hit["HNSW 16", real] > 0.9
assert hit["IVF", high] < 0.8  # a fixed number of cells is no guarantee
print("work, recall@10  ", "  ".join(f"{name:15}" for name in spaces))
for index in ("k-d tree", "IVF", "HNSW 16", "HNSW 128"):
    cells = [f"{share[index, n]:.2f}, {hit[index, n]:.2f}" for n in spaces]
    print(f"{index:17}", "       ".join(cells))
