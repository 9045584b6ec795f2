"""A bounded loss resists wrong labels: generalized cross-entropy keeps what
cross-entropy and label smoothing lose; mean absolute error resists but learns badly.

300 digits (N, 1, 8, 8), 40 % wrong labels, 50 epochs, clean test set.
Zhang and Sabuncu, NeurIPS 2018; Ghosh and others, AAAI 2017.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)


def gce(logits, labels, q=0.7):
    """(1 - p^q) / q: cross-entropy for q -> 0, mean absolute error / 2 for q = 1."""
    p = logits.softmax(1).gather(1, labels[:, None])  # probability of the label
    return ((1 - p**q) / q).mean()


def mae(logits, labels):
    """Mean over images of sum_k |onehot_k - p_k|, which is 2 - 2 p."""
    onehot = F.one_hot(labels, logits.shape[1])
    return (onehot - logits.softmax(1)).abs().sum(1).mean()


def smooth(logits, labels):
    return F.cross_entropy(logits, labels, label_smoothing=0.2)


X, Y = (torch.tensor(v) for v in load_digits(return_X_y=True))
X, SEEDS = X.view(-1, 1, 8, 8) / 16, 5
losses = {
    "cross-entropy": F.cross_entropy,
    "label smoothing": smooth,
    "mean abs. error": mae,
    "GCE, q = 0.7": gce,
}
accuracy, fitted = torch.zeros(2, len(losses), SEEDS)
for seed in range(SEEDS):
    for k, criterion in enumerate(losses.values()):
        torch.manual_seed(seed)  # the same images, labels and start for each loss
        train, test = torch.randperm(len(X)).split([300, 1497])
        wrong = torch.rand(len(Y)) < 0.4
        y = torch.where(wrong, (Y + torch.randint(1, 10, Y.shape)) % 10, Y)
        net = nn.Sequential(
            nn.Conv2d(1, 12, 4, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(108, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )
        adam = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(50):
            for batch in train[torch.randperm(300)].split(60):
                loss = criterion(net(X[batch]), y[batch])
                adam.zero_grad(), loss.backward(), adam.step()
        answer, bad = net(X).argmax(1), train[wrong[train]]
        accuracy[k, seed] = (answer == Y)[test].double().mean()
        fitted[k, seed] = (answer == y)[bad].double().mean()

for name, a, f in zip(losses, accuracy, fitted):
    print(
        f"{name:15} test {a.mean():.2f} ({a.min():.2f} to {a.max():.2f}), "
        f"wrong labels fitted {f.mean():.2f}"
    )
print(f"{SEEDS} seeds")
ce, ls, ma, g = accuracy
assert (g - ce).min() > 0.05 and (g - ls).min() > 0.02 and (g - ma).mean() > 0.03
assert fitted[:2].min() > 0.9 and fitted[2:].max() < 0.5
