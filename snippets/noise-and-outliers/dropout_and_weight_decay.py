"""Default weight decay does not stop a CNN from learning wrong labels; dropout and a
hundredfold decay slow it down, and do not end it.

300 digits (N, 1, 8, 8), 40 % wrong labels; AdamW, whose default decay is 0.01.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
X, Y = (torch.tensor(v) for v in load_digits(return_X_y=True))
X, SEEDS = X.view(-1, 1, 8, 8) / 16, 5
settings = {
    "decay 0.01 (default)": (0.0, 0.01),
    "decay 1": (0.0, 1.0),
    "dropout 0.5": (0.5, 0.01),
}
accuracy, fitted = torch.zeros(2, len(settings), SEEDS, 2)  # after 15, 60 epochs
for seed in range(SEEDS):
    for k, (p, decay) in enumerate(settings.values()):
        torch.manual_seed(seed)
        train, test = torch.randperm(len(X)).split([300, 1497])
        wrong = torch.rand(len(Y)) < 0.4
        y = torch.where(wrong, (Y + torch.randint(1, 10, Y.shape)) % 10, Y)
        net = nn.Sequential(
            nn.Conv2d(1, 12, 4, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(p),
            nn.Linear(108, 128),
            nn.ReLU(),
            nn.Dropout(p),
            nn.Linear(128, 10),
        )
        adamw = torch.optim.AdamW(net.parameters(), 1e-2, weight_decay=decay)
        for epoch in range(60):
            net.train()
            for batch in train[torch.randperm(300)].split(60):
                loss = F.cross_entropy(net(X[batch]), y[batch])
                adamw.zero_grad(), loss.backward(), adamw.step()
            if epoch in (14, 59):
                net.eval()
                answer, bad = net(X).argmax(1), train[wrong[train]]
                t = int(epoch == 59)
                accuracy[k, seed, t] = (answer == Y)[test].double().mean()
                fitted[k, seed, t] = (answer == y)[bad].double().mean()

for name, a, f in zip(settings, accuracy, fitted):
    print(
        f"{name:20}",
        ", ".join(
            f"epoch {e}: test {a[:, t].mean():.2f}, wrong fitted {f[:, t].mean():.2f}"
            for t, e in enumerate((15, 60))
        ),
    )
gain = accuracy[1:, :, 1] - accuracy[0, :, 1]
print(
    f"gain at epoch 60: decay 1 {gain[0].min():.2f} to {gain[0].max():.2f}, "
    f"dropout {gain[1].min():.2f} to {gain[1].max():.2f}; {SEEDS} seeds"
)
assert fitted[0, :, 1].min() > 0.9  # the default protects nothing
assert gain.mean(1).min() > 0.05  # the strong settings do help
assert (fitted[1:, :, 1] - fitted[1:, :, 0]).mean(1).min() > 0.1  # but errors come
