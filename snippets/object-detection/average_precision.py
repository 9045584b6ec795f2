"""Average precision summarizes the whole precision-recall curve, misses included.

Six detections by falling score, each a hit (1) or a false alarm (0). The plain sum is
scikit-learn's; VOC and COCO lift the curve to its envelope first. Only a detector's
metric also divides by the objects that were never found.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.metrics import average_precision_score

torch.set_default_dtype(torch.float64)


def average_precision(hits, objects, envelope=True):
    """Area under precision over recall. hits: (N,) 0/1, best score first."""
    found = hits.cumsum(0)
    precision = found / torch.arange(1, len(hits) + 1)
    if envelope:  # best precision at this recall or beyond
        precision = precision.flip(0).cummax(0).values.flip(0)
    return (precision * hits).sum().item() / objects  # recall grows 1/objects a hit


hits = torch.tensor([1.0, 0, 1, 1, 0, 1])
scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
plain = average_precision(hits, 4, envelope=False)
by_hand = (1 / 1 + 2 / 3 + 3 / 4 + 4 / 6) / 4
library = average_precision_score(hits, scores)
assert abs(plain - by_hand) < 1e-12 and abs(plain - library) < 1e-12
lifted = average_precision(hits, 4)
assert abs(lifted - (1 + 3 / 4 + 3 / 4 + 4 / 6) / 4) < 1e-12
print(f"all 4 objects found: plain {plain:.3f} = scikit-learn, envelope {lifted:.3f}")
missed = average_precision(hits, 8, envelope=False)
assert abs(missed - library / 2) < 1e-12
print(f"4 of 8 objects found: AP {missed:.3f}, scikit-learn still {library:.3f}")

for seed in range(5):  # the envelope never lowers, whatever the ranking
    torch.manual_seed(seed)
    random = torch.randint(0, 2, (100, 50)).double()
    gain = [average_precision(h, 50) - average_precision(h, 50, False) for h in random]
    assert min(gain) > -1e-12 and max(gain) > 0.001
print("500 random rankings: envelope >= plain")

recall = torch.cat([torch.zeros(1), hits.cumsum(0) / 4])
precision = torch.cat([torch.ones(1), hits.cumsum(0) / torch.arange(1, 7)])
best_beyond = precision.flip(0).cummax(0).values.flip(0)
plt.figure(figsize=(5, 3.2))
plt.step(recall, best_beyond, color="#9a4a00", ls="--", lw=2, label="envelope")
plt.plot(recall[1:], precision[1:], "o-", color="#0b4f6c", label="detection 1 to 6")
for k, down in zip(range(1, 7), (5, -14, -14, 5, -14, -14)):
    at = (recall[k], precision[k])
    plt.annotate(k, at, (4, down), textcoords="offset points", fontsize=11)
plt.xlabel("recall = objects found / objects")
plt.ylabel("precision = hits / detections")
plt.ylim(0, 1.12)
plt.legend(loc="lower left")
plt.show()
