"""A CNN trained without autograd: forward, loss, chain rule and update written out.

conv 3x3 (8 filters) -> ReLU -> max-pool 2x2 -> linear -> softmax; digits (N, 1, 8, 8)
of scikit-learn, a quarter of them held out.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.set_default_dtype(torch.float64)


def forward(params, x):
    """Logits, and what the backward pass will need."""
    w, b, v, c = params  # (8, 9), (8, 1), (128, 10), (10,)
    patches = F.unfold(x, 3, padding=1)  # (N, 9, 64)
    z = w @ patches + b  # (N, 8, 64)
    windows = F.unfold(z.relu().view(-1, 8, 8, 8), 2, stride=2).view(-1, 8, 4, 16)
    pooled, winner = windows.max(2)  # (N, 8, 16)
    flat = pooled.flatten(1)  # (N, 128)
    return flat @ v + c, (patches, z, winner, flat)


def backward(params, saved, logits, labels):
    """The chain rule, from the loss down to the kernel."""
    patches, z, winner, flat = saved
    d = (logits.softmax(1) - F.one_hot(labels, 10)) / len(labels)  # (N, 10)
    dv, dc = flat.T @ d, d.sum(0)
    d = (d @ params[2].T).view(-1, 8, 1, 16)  # gradient of the pooled values
    d = d.new_zeros(len(d), 8, 4, 16).scatter_(2, winner[:, :, None], d)  # to winners
    d = F.fold(d.flatten(1, 2), 8, 2, stride=2).view(-1, 8, 64)  # windows -> 8 x 8
    d = d * (z > 0)  # ReLU
    dw = torch.einsum("nkp,nqp->kq", d, patches)
    return dw, d.sum((0, 2))[:, None], dv, dc


images, labels = (torch.tensor(v) for v in load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16
accuracies = []
for seed in range(5):
    torch.manual_seed(seed)
    train, test, y, y_test = train_test_split(images, labels, random_state=seed)
    params = [
        torch.randn(8, 9) / 3,
        torch.zeros(8, 1),
        torch.randn(128, 10) / 11,
        torch.zeros(10),
    ]
    for step in range(300):
        batch = torch.randint(len(train), (64,))
        logits, saved = forward(params, train[batch])
        grads = backward(params, saved, logits, y[batch])
        if step % 100 == 0:  # autograd agrees, at the start and later
            twins = [p.clone().requires_grad_() for p in params]
            F.cross_entropy(forward(twins, train[batch])[0], y[batch]).backward()
            assert all((t.grad - g).abs().max() < 1e-12 for t, g in zip(twins, grads))
        params = [p - 0.5 * g for p, g in zip(params, grads)]  # SGD
    right = forward(params, test)[0].argmax(1) == y_test
    accuracies.append(right.double().mean())
assert min(accuracies) > 0.9
print("hand-written gradients equal autograd's, difference < 1e-12")
print(f"test accuracy {min(accuracies):.2f} to {max(accuracies):.2f}, n = 5 seeds")
