"""A label powerset never names a combination that training lacked; sigmoids can.

Scenes x (N, 1, 8, 16): two different digits from 0 to 4 side by side; y (N, 5).
Training lacks the pair {1, 3}, though it shows 1 and 3 in other company.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, digit = load_digits(n_class=5, return_X_y=True)
images, digit = torch.tensor(images / 16).view(-1, 8, 8), torch.tensor(digit)


def scenes(n, pool, lacking):
    i = pool[torch.randint(len(pool), (n, 2))]
    y = F.one_hot(digit[i], 5).amax(1)  # (N, 5)
    keep = (y.sum(1) == 2) & (y[:, [1, 3]].all(1) != lacking)  # two different digits
    return images[i[keep]].transpose(1, 2).reshape(-1, 1, 8, 16), y[keep].double()


def train(x, y, loss_function, outputs, pool):
    def block(c, d):
        conv = nn.Conv2d(c, d, 3, stride=2, padding=1)
        return nn.Sequential(conv, nn.BatchNorm2d(d), nn.ReLU())

    net = nn.Sequential(
        block(1, 16),
        block(16, 32),
        block(32, 32),  # (N, 32, 1, 2)
        pool,
        nn.Flatten(),
        nn.LazyLinear(outputs),
    )
    net(x[:2])  # sets the lazy layer's size
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(100):
        i = torch.randint(len(x), (32,))
        loss = loss_function(net(x[i]), y[i])
        adam.zero_grad(), loss.backward(), adam.step()
    return net.eval()


bce, pooled = F.binary_cross_entropy_with_logits, nn.AdaptiveMaxPool2d(1)
score = torch.zeros(5, 3, 2)  # seed, method, pair seen or not
for seed in range(5):
    torch.manual_seed(seed)
    fit, new = torch.randperm(len(digit)).split([500, len(digit) - 500])
    x, y = scenes(1500, fit, lacking=True)
    combos, code = y.unique(dim=0, return_inverse=True)  # (9, 5): one class each
    powerset = train(x, code, F.cross_entropy, len(combos), pooled)
    sigmoids = train(x, y, bce, 5, pooled)
    flat = train(x, y, bce, 5, nn.Identity())  # weights of its own for each place
    for n, lacking in enumerate([True, False]):
        X, Y = scenes(2000, new, lacking)
        answers = [combos[powerset(X).argmax(1)], sigmoids(X) > 0, flat(X) > 0]
        for k, q in enumerate(answers):
            score[seed, k, n] = (q == Y).all(1).double().mean()

assert (score[:, 0, 1] == 0).all()  # it has no output for {1, 3}
assert (score[:, 1, 1] > 0.3).all() and (score[:, :, 0] > 0.9).all()
print("exact matches      seen pairs    unseen pair   (min to max of 5 seeds)")
for k, name in enumerate(["powerset", "sigmoids", "sigmoids, flat"]):
    (a, c), (b, d) = score[:, k].aminmax(dim=0)
    print(f"{name:16} {a:.2f} to {b:.2f}  {c:.2f} to {d:.2f}")
