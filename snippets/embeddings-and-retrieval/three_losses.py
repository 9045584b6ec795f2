"""Three losses group the classes they were trained on; new classes lose to pixels.

Contrastive: Hadsell 2006. Triplet: FaceNet, arXiv 1503.03832, hardest in the batch.
Digits x (N, 1, 8, 8) -> z (N, 32), trained on 0 to 4, searched by cosine.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, digit = load_digits(return_X_y=True)
x, digit = torch.tensor(images / 16).view(-1, 1, 8, 8), torch.tensor(digit)


def classification(z, y, head):
    return F.cross_entropy(head(z), y)  # z is the input of the last layer


def contrastive(z, y, head, margin=1.0):
    distance, (i, j) = F.pdist(F.normalize(z)), torch.triu_indices(len(z), len(z), 1)
    same = y[i] == y[j]  # pull these together, push the others beyond the margin
    return (
        distance[same].square().mean()
        + (margin - distance[~same]).clamp(min=0).square().mean()
    )


def triplet(z, y, head, margin=0.2):
    z, same = F.normalize(z), y[:, None] == y
    d = 2 - 2 * z @ z.T  # squared distances on the unit sphere
    farthest, nearest = (d - 9 * ~same).amax(1), (d + 9 * same).amin(1)
    return (farthest - nearest + margin).clamp(min=0).mean()


def retrieval(z, y):  # every image once the query, all others the gallery
    s = F.normalize(z) @ F.normalize(z).T
    rank = s.fill_diagonal_(-9).argsort(1, descending=True)[:, :-1]  # without itself
    hit = (y[rank] == y[:, None]).double()  # (query, rank)
    precision = hit.cumsum(1) / torch.arange(1, len(y))
    ap = (precision * hit).sum(1) / hit.sum(1)
    return torch.stack([hit[:, 0].mean(), ap.mean()])  # recall@1, mAP


ROWS, SEEDS = ("pixels", "untrained", classification, contrastive, triplet), 5
score = torch.zeros(SEEDS, len(ROWS), 2, 2)  # seed, row, known or new, recall@1 or mAP
for seed in range(SEEDS):
    for row, loss in enumerate(ROWS):
        torch.manual_seed(seed)  # for all rows the same split and first weights
        fit, test = torch.randperm(len(x)).split([900, len(x) - 900])
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(128, 32),
        )
        head, fit = nn.Linear(32, 5), fit[digit[fit] < 5]
        adam = torch.optim.Adam([*net.parameters(), *head.parameters()], 5e-3)
        for _ in range(40 if callable(loss) else 0):
            batch = fit[torch.randint(len(fit), (48,))]
            value = loss(net(x[batch]), digit[batch], head)
            adam.zero_grad(), value.backward(), adam.step()
        z = (net(x) if row else x.flatten(1)).detach()
        for new in range(2):
            part = test[(digit[test] > 4) == new]
            score[seed, row, new] = retrieval(z[part], digit[part])
gain = score[:, 2:] - score[:, :1]  # over pixels
assert gain[:, :, 0, 1].min() > 0.05  # mAP of known classes, every loss and seed
assert gain[:, :, 1, 1].max() < -0.06 and gain[:, :, 1, 0].max() < 0  # new classes
print("mAP (min to max)  known 0-4            new 5-9              recall@1 new")
for row, loss in enumerate(ROWS):
    cells = [
        f"{a.mean():.2f} ({a.min():.2f} to {a.max():.2f})"
        for a in (score[:, row, 0, 1], score[:, row, 1, 1], score[:, row, 1, 0])
    ]
    print(f"{getattr(loss, '__name__', loss):15}", *cells, sep="  ")
