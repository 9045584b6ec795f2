"""Adversarial images made on one model fool others that share no data, no weights and
no architecture with it; noise of the same size does not.

Szegedy and others, ICLR 2014; Papernot and others, AsiaCCS 2017. One surrogate CNN a
seed: images x (N, SEEDS, 8, 8). The victims see 600 other images than the surrogate.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
X, Y = map(torch.from_numpy, load_digits(return_X_y=True))
S = SEEDS = 5
split = torch.rand(len(X), S).argsort(0)
x, y = X.view(-1, 8, 8)[split] / 16, Y[split]
eps, ours, theirs, test = 0.15, slice(0, 600), slice(600, 1200), slice(-200, None)

net = nn.Sequential(  # groups=S: the networks share no weight
    nn.Conv2d(S, 8 * S, 4, 2, 1, groups=S),
    nn.ReLU(),
    nn.Conv2d(8 * S, 32 * S, 4, groups=S),
    nn.ReLU(),
    nn.Conv2d(32 * S, 10 * S, 1, groups=S),
    nn.Unflatten(1, (S, 10)),
    nn.Flatten(2),
)
adam = torch.optim.Adam(net.parameters(), 1e-2)
for i in torch.randint(600, (100, 100)):
    loss = F.cross_entropy(net(x[i]).flatten(0, 1), y[i].flatten())
    adam.zero_grad(), loss.backward(), adam.step()

clean, y_test = x[test], y[test]
z = clean.clone()
for _ in range(10):  # PGD on the surrogate
    f = net(z.requires_grad_()).flatten(0, 1)
    loss = F.cross_entropy(f, y_test.flatten(), reduction="sum")
    z = z.detach() + eps / 4 * torch.autograd.grad(loss, z)[0].sign()
    z = z.clamp(clean - eps, clean + eps).clamp(0, 1)
noisy = (clean + eps * torch.randn_like(clean).sign()).clamp(0, 1)
inputs = clean, noisy, z

victims = {
    "logistic regression": lambda: LogisticRegression(tol=1e-6, max_iter=1000),
    "support vectors, RBF": lambda: SVC(),
    "nearest neighbor": lambda: KNeighborsClassifier(1),
}
own = torch.stack([(net(v).argmax(2) == y_test).double().mean(0) for v in inputs])
table = {"the surrogate itself": own}
for name, make in victims.items():
    table[name] = torch.empty(3, S)
    for s in range(S):
        model = make().fit(x[theirs, s].flatten(1), y[theirs, s])
        for k, v in enumerate(inputs):
            table[name][k, s] = model.score(v[:, s].flatten(1), y_test[:, s])
print(f"accuracy, {SEEDS} seeds         clean  noise  adversarial")
for name, (a, b, c) in table.items():
    print(f"{name:24} {a.mean():.2f}   {b.mean():.2f}   {c.mean():.2f} ", end="")
    print(f"({c.min():.2f} to {c.max():.2f})")
    assert (b - c).min() > 0.02 and (b - c).mean() > 2 * (a - b).mean() + 0.02
