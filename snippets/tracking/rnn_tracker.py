"""An RNN learns a motion model: no better than a Kalman filter whose model is true.

A GRU reads the last seen position, the step to it and a flag, and predicts the next
position. Measurements are noisy; a fifth is missing. Shapes: z and seen (n, T).
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
T, NOISE, CHANGE = 20, 0.3, 0.05  # of the measurement, of the velocity
STEPS, LR = 100, 0.015


def tracks(n, walls):
    velocity = 0.6 * torch.randn(n, 1) + (CHANGE * torch.randn(n, T)).cumsum(1)
    true = torch.randn(n, 1) + velocity.cumsum(1)
    if walls:  # bounce at -2 and 2: fold the line
        true = ((true - 2) % 8 - 4).abs() - 2
    seen = (torch.rand(n, T) > 0.2).double()
    seen[:, 0] = 1
    return true, (true + NOISE * torch.randn(n, T)) * seen, seen


def stay(z, seen):  # the last position seen
    frame = (torch.arange(T) * seen).cummax(1).values.long()
    return z.gather(1, frame)


def kalman(z, seen):
    F, Q = torch.tensor([[1.0, 1], [0, 1]]), torch.diag(torch.tensor([0.0, CHANGE**2]))
    x = torch.zeros(len(z), 2)
    P = torch.diag(torch.tensor([1.5, 0.4])).repeat(len(z), 1, 1)
    predictions = []
    for t in range(T):
        K = P[:, :, 0] / (P[:, :1, 0] + NOISE**2) * seen[:, t, None]  # unseen: 0
        x, P = x + K * (z[:, t, None] - x[:, :1]), P - K[:, :, None] * P[:, :1]
        x, P = x @ F.T, F @ P @ F.T + Q
        predictions.append(x[:, 0])
    return torch.stack(predictions, 1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 24, batch_first=True), nn.Linear(24, 1)

    def forward(self, z, seen):
        last = stay(z, seen)
        step = last.diff(dim=1, prepend=last[:, :1])
        return last + self.head(self.rnn(torch.stack([last, step, seen], 2))[0])[..., 0]


for walls in (False, True):
    rows = []
    for seed in range(3):
        torch.manual_seed(seed)
        net = Recurrent()
        optimizer = torch.optim.Adam(net.parameters(), LR)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.05, STEPS)
        for _ in range(STEPS):
            true, z, seen = tracks(64, walls)
            loss = (net(z, seen)[:, :-1] - true[:, 1:]).square().mean()
            optimizer.zero_grad(), loss.backward(), optimizer.step(), decay.step()
        true, z, seen = tracks(400, walls)
        late = [(f(z, seen)[:, :-1] - true[:, 1:])[:, 5:] for f in (stay, kalman, net)]
        rows.append([e.square().mean().sqrt().item() for e in late])
    stays, filters, nets = torch.tensor(rows).T
    print("with walls" if walls else "no walls  ", end=": ")
    texts = []
    for name, e in ("stay", stays), ("Kalman", filters), ("GRU", nets):
        texts.append(f"{name} {e.mean():.2f} ({e.min():.2f}-{e.max():.2f})")
    print(", ".join(texts))
    assert (nets < 0.8 * stays).all()
    assert (nets < 0.8 * filters).all() if walls else (filters < 0.9 * nets).all()
