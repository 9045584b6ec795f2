"""Contrastive pairs alone give a classifier for combinations never seen together.

Source: Radford and others (CLIP), 2021. Colored digits with synthetic captions of
attributes. Shapes: images (N, 3, 8, 8), captions as word counts (N, 15), embeddings 24.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
COLORS = ["red", "green", "blue", "yellow"]
DIGITS = ["zero", "one", "two", "three", "four"]
DIGITS += ["five", "six", "seven", "eight", "nine"]
WORDS = ["a", *COLORS, *DIGITS]
digits, labels = map(torch.from_numpy, load_digits(return_X_y=True))
paint = torch.tensor([[1, 0.2, 0.2], [0.2, 1, 0.2], [0.2, 0.2, 1], [1, 1, 0.2]])


def clip_loss(a, b, scale):  # N matching pairs, the other N - 1 are the wrong classes
    s = scale * F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    match = torch.arange(len(s))
    return (F.cross_entropy(s, match) + F.cross_entropy(s.T, match)) / 2


def write(captions, words):  # bags of words (n, 15)
    return torch.tensor([[float(c.split().count(w)) for w in words] for c in captions])


captions = write([f"a {c} {d}" for d in DIGITS for c in COLORS], WORDS)  # all 40
prompts = {
    "40 captions": captions,
    "digit": write([f"a {d}" for d in DIGITS], WORDS),
    "color": write([f"a {c}" for c in COLORS], WORDS),
}
rows = []
for seed in range(5):
    torch.manual_seed(seed)
    color = torch.randint(4, labels.shape)
    x = digits.view(-1, 1, 8, 8) / 16 * paint[color][:, :, None, None]
    x = x + 0.1 * torch.randn_like(x)
    pair, order = 4 * labels + color, torch.randperm(len(x))
    new = (color == labels % 4)[order]  # 10 of the 40 combinations are held out
    train, seen, held = order[~new][:1000], order[~new][1000:], order[new]
    see = nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(12, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 24),
    )
    read = nn.Linear(len(WORDS), 24, bias=False)
    log_scale = nn.Parameter(torch.ones(()))  # the temperature is learned too
    parameters = [*see.parameters(), *read.parameters(), log_scale]
    optimizer = torch.optim.Adam(parameters, 0.01)
    for batch in (b for _ in range(8) for b in train[torch.randperm(1000)].split(100)):
        loss = clip_loss(see(x[batch]), read(captions[pair[batch]]), log_scale.exp())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for part in (seen, held):
        truth = {"40 captions": pair, "digit": labels, "color": color}
        for task, prompt in prompts.items():  # zero-shot: the nearest prompt
            with torch.no_grad():
                z, t = (F.normalize(e, dim=1) for e in (see(x[part]), read(prompt)))
            rows.append(((z @ t.T).argmax(1) == truth[task][part]).double().mean())
r = torch.tensor(rows).view(5, 2, 3)  # (seed, seen or held out, task)
assert r[:, 0, 0].min() > 0.8 and r[:, 1, 0].min() > 0.3 and r[:, 1, 0].mean() > 0.5
assert (r[:, 0, 0] > r[:, 1, 0] + 0.05).all()  # new combinations are harder
for i, part in enumerate(("combinations seen", "combinations never seen")):
    print(part + " (n=5)")
    for task, c in zip(prompts, r[:, i].T):
        print(f"  {task}: {c.mean():.2f} ({c.min():.2f}-{c.max():.2f})")
