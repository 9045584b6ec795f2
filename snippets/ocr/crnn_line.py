"""A CRNN with CTC reads lines whose characters touch, from texts without positions.

Convolution, recurrence, transcription (Shi, Bai and Yao 2017). Lines of 3 or 4
handwritten digits, gaps of -1 to 2 columns; the loss sees images and texts only. The
test lines are made of other digits. CER: edit distance over length of the texts.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
digits, order = load_digits(), torch.randperm(1797)
glyphs = [torch.tensor(g[:, g.any(0)]) / 16 for g in digits.images]  # (8, w)


def make_lines(count, pool):
    """Images (count, 1, 8, 40) and texts; letters are digit + 1, 0 is the blank."""
    images, texts = torch.zeros(count, 1, 8, 40), []
    for image in images[:, 0]:
        picks, x = pool[torch.randint(len(pool), (3 + len(texts) % 2,))], 1
        for glyph in (glyphs[i] for i in picks):
            image[:, x : x + glyph.shape[1]] += glyph
            x += glyph.shape[1] + int(torch.randint(-1, 3, ()))
        texts.append((digits.target[picks] + 1).tolist())
    return images.clamp(max=1), texts


conv = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.BatchNorm2d(12),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.BatchNorm2d(24),
    nn.ReLU(),
    nn.Flatten(1, 2),
)
rnn, out = nn.GRU(96, 24, bidirectional=True, batch_first=True), nn.Linear(48, 11)
parameters = [p for part in (conv, rnn, out) for p in part.parameters()]
optimizer = torch.optim.Adam(parameters)
plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.015, total_steps=300)
images, texts = make_lines(640, order[:1200])
for _ in range(300):
    batch = torch.randint(0, 640, (16,)).tolist()
    target = torch.tensor([k for i in batch for k in texts[i]])
    frames = conv(images[batch]).mT  # (N, T = 20, 24 channels x 4 rows)
    log_probs = out(rnn(frames)[0]).log_softmax(2).transpose(0, 1)  # (T, N, 11)
    lengths = (20,) * 16, [len(texts[i]) for i in batch]
    loss = nn.functional.ctc_loss(log_probs, target, *lengths)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    plan.step()


def collapse(path):
    return [k for k, before in zip(path, [0] + path) if k not in (0, before)]


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


images, texts = make_lines(200, order[1200:])
probs = out(rnn(conv.eval()(images).mT)[0]).softmax(2).detach()  # (200, 20, 11)
paths = probs.argmax(2).tolist()
errors = [edit_distance(collapse(path), text) for path, text in zip(paths, texts)]
cer, right = sum(errors) / sum(map(len, texts)), errors.count(0) / 200
ink = images.sum((1, 2)) > 0  # (200, 40)
pieces = (ink[:, 1:] & ~ink[:, :-1]).sum(1).tolist()
cut = sum(n == len(text) for n, text in zip(pieces, texts)) / 200
assert cer < 0.2 and right > cut + 0.3
print(f"200 lines of unseen digits: CER {cer:.2f}, entirely right {right:.2f}")
print(f"lines that empty columns would cut into digits: {cut:.2f}")

double = [any(a == b for a, b in zip(t, t[1:])) for t in texts]
good = [d and e == 0 and p < 4 for d, e, p in zip(double, errors, pieces)]
n = max(range(200), key=lambda i: (good[i], len(texts[i]), -pieces[i]))
fig, (line, heat) = plt.subplots(2, 1, figsize=(6, 4.6), layout="constrained")
line.imshow(1 - images[n, 0].numpy(), cmap="gray", aspect="auto")
heat.imshow(probs[n].T.numpy(), cmap="Blues", aspect="auto")
heat.plot(paths[n], "o:", color="tab:red")
line.set(xticks=[], yticks=[], title="input: touching digits, 2 columns a frame")
heat.set(yticks=range(11), yticklabels=["blank", *"0123456789"])
heat.set(xticks=range(20), xticklabels=["–0123456789"[k] for k in paths[n]])
text = "".join(str(k - 1) for k in texts[n])
heat.set_xlabel(f"best symbol of each frame; collapsed: {text}")
plt.show()
