"""The most attended position is mostly the most important one, but attention has no
sign: taking out positions that come next often raises the score.

Jain and Wallace, NAACL 2019. One network a seed: digits as 64 overlapping patches,
x (N, 64, 41), attention a (N, 64), values V (N, 64, 10), logits = sum of a V.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, Y = map(torch.from_numpy, load_digits(return_X_y=True))
X = F.unfold(images.view(-1, 1, 8, 8) / 16, 5, padding=2).transpose(1, 2)  # 5x5 patches
eye = torch.eye(8)
place = torch.cat([eye.repeat_interleave(8, 0), eye.repeat(8, 1)], 1)  # row and column
X = torch.cat([X, place.expand(len(X), -1, -1)], 2)


def removal(a, V, k):
    """Change of logit k (N,) when a position is taken out and a is normalized again."""
    v = V.gather(2, k[:, None, None].expand(-1, V.shape[1], 1))[..., 0]  # (N, 64)
    logit = (a * v).sum(1, keepdim=True)
    return logit - (logit - a * v) / (1 - a)


accuracy, same, against = [], [], []
for seed in range(5):
    torch.manual_seed(seed)
    order = torch.randperm(len(X))
    x, y = X[order], Y[order]
    body = nn.Sequential(nn.Linear(41, 32), nn.ReLU())
    query, value = nn.Linear(32, 1, bias=False), nn.Linear(32, 10)

    def parts(x):
        h = body(x)  # one vector a position
        return query(h)[..., 0].softmax(1), value(h)

    weights = [*body.parameters(), *query.parameters(), *value.parameters()]
    adam = torch.optim.Adam(weights, 2e-2)
    for i in torch.randint(1200, (120, 64)):
        a, V = parts(x[i])
        loss = F.cross_entropy((a[:, None] @ V)[:, 0], y[i])
        adam.zero_grad(), loss.backward(), adam.step()

    a, V = (z.detach() for z in parts(x[-300:]))
    guess = (a[:, None] @ V)[:, 0].argmax(1)
    accuracy.append((guess == y[-300:]).double().mean())
    drop = removal(a, V, guess)
    same.append((a.argmax(1) == drop.abs().argmax(1)).double().mean())
    top = drop.gather(1, a.topk(5).indices)
    against.append((top < 0).double().mean())

for what, v in (
    ("accuracy", accuracy),
    ("most attended = largest change", same),
    ("of the five most attended, removal raises the score", against),
):
    v = torch.stack(v)
    print(f"{what}: {v.mean():.2f} ({v.min():.2f} to {v.max():.2f}, n={len(v)})")
assert 0.6 < min(same) and max(same) < 0.95 and min(against) > 0.4
