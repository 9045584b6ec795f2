"""A spatial transformer helps where objects move; for hidden ones it does nothing.

Jaderberg and others, NeurIPS 2015; here the warp is a shift. Two tasks: digits
anywhere in x (n, S, 16, 16), and digits in the middle behind a black square. Twenty
networks side by side: five seeds, two tasks, without and with a transformer.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
X, S, k = X.view(-1, 8, 8) / 16, 5, torch.arange(8)
split = torch.rand(len(X), S).argsort(0)  # another one for each seed


def place(x, reach):  # (n, S, 8, 8) -> (n, S, 16, 16) and the shift, in pixels
    dx, dy = torch.randint(-reach, reach + 1, (2, *x.shape[:2], 1, 1))
    rows = F.one_hot(4 + dy + k.view(8, 1), 16).double()[..., 0, :]  # (n, S, 8, 16)
    columns = F.one_hot(4 + dx + k.view(8, 1), 16).double()[..., 0, :]
    return rows.mT @ x @ columns, torch.stack([dx, dy], 2)[..., 0, 0].double()


def cover(x, side=4):  # a random black square
    r, c = torch.randint(9 - side, (2, *x.shape[:2], 1, 1))
    inside = (k.view(8, 1) >= r) & (k.view(8, 1) < r + side) & (k >= c) & (k < c + side)
    return x * ~inside


def scene(i):  # task "moved" for networks 0-4, "hidden" for 5-9
    moved, shift = place(X[i], 4)
    return torch.cat([moved, place(cover(X[i]), 0)[0]], 1), shift


def weights(*shape):
    return (torch.randn(shape) / shape[-2] ** 0.5).requires_grad_()


where = torch.zeros(2 * S, 256, 2, requires_grad=True)  # localization, starts at "stay"
hidden, head = weights(4 * S, 256, 32), weights(4 * S, 32, 10)


def shifts(x):  # (n, 2S, 16, 16) -> (2S, n, 2), in half widths of the image
    return x.flatten(2).transpose(0, 1) @ where


def classify(x):
    to = shifts(x).transpose(0, 1).flatten(0, 1)[..., None]
    theta = torch.cat([torch.eye(2).expand(len(to), 2, 2), to], 2)
    grid = F.affine_grid(theta, (len(to), 1, 16, 16), align_corners=False)
    warped = F.grid_sample(x.flatten(0, 1)[:, None], grid, align_corners=False)
    both = torch.cat([x, warped.view_as(x)], 1).flatten(2).transpose(0, 1)
    return (both @ hidden).relu() @ head  # (4S, n, 10)


groups = {"params": [where], "lr": 2e-3}, {"params": [hidden, head]}
adam = torch.optim.Adam(groups, 5e-3)
for _ in range(180):
    i = split[torch.randint(1400, (32,))]
    z = classify(scene(i)[0])
    loss = 4 * S * F.cross_entropy(z.flatten(0, 1), Y[i].T.repeat(4, 1).flatten())
    adam.zero_grad(), loss.backward(), adam.step()
i = split[1400:]
x, true = scene(i)
right = (classify(x).argmax(2) == Y[i].T.repeat(4, 1)).double().mean(1).view(2, 2, S)
left = (true - 8 * shifts(x)[:S].transpose(0, 1)).std(0).mean(1)  # pixels, (S,)
print("accuracy, 5 seeds   without transformer   with transformer")
for task, a in zip(("digit moved", "digit hidden"), right.unbind(1)):
    print(f"{task:19}", end=" ")
    print("     ".join(f"{v.mean():.2f} ({v.min():.2f}-{v.max():.2f})" for v in a))
gain, spread = right[1] - right[0], true.std(0).mean()
assert gain[0].mean() > 0.15 and gain[1].mean() < 0.03
assert left.mean() < 0.95 * spread  # it moves digits toward one place
print(
    f"spread of the digit's place: {spread:.1f} pixels; after the transformer "
    f"{left.mean():.1f} ({left.min():.1f}-{left.max():.1f})"
)
