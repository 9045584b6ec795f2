"""Float16 loses small gradients unless the loss is scaled; bfloat16 does not.

Micikevicius and others 2018. CNN on 512 digits (N, 1, 8, 8). In the backward pass
the gradients of activations and weights are rounded to 16 bits.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
x = torch.tensor(digits.images[:512] / 16, dtype=torch.float32)[:, None]
y = torch.tensor(digits.target[:512])


class Round(torch.autograd.Function):
    """Identity forward; backward rounds the gradient to a 16-bit type."""

    @staticmethod
    def forward(ctx, value, dtype):
        ctx.dtype = dtype
        return value.view_as(value)

    @staticmethod
    def backward(ctx, grad):
        return grad.to(ctx.dtype).float(), None


def gradient(net, dtype, scale):
    """Gradient of all weights through 16-bit gradients of a scaled loss."""
    h = x
    for layer in net:
        h = Round.apply(layer(h), dtype)
    loss = scale * nn.functional.cross_entropy(h, y)
    grads = torch.autograd.grad(loss, list(net.parameters()))
    return torch.cat([g.to(dtype).float().flatten() / scale for g in grads])


powers = list(range(-20, 37, 4))
types = (torch.float16, torch.bfloat16)
errors = torch.zeros(5, 2, len(powers))
for seed in range(5):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(30):
        adam.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        adam.step()
    exact = gradient(net, torch.float32, 1.0)
    for i, dtype in enumerate(types):
        for j, power in enumerate(powers):
            off = gradient(net, dtype, 2.0**power) - exact
            errors[seed, i, j] = off.norm() / exact.norm()  # inf or nan: overflow

half, brain = errors[:, 0], errors[:, 1]
at = {power: half[:, powers.index(power)] for power in powers}
assert (at[-20] > 0.9).all() and not half[:, powers.index(24) :].isfinite().any()
assert (at[-8] > 10 * at[12]).all() and (at[12] < 0.003).all()
assert (at[12] < brain[:, 0]).all()  # 11 bits against 8, if in range
assert (brain < 0.02).all() and brain.isfinite().all()

for i, (dtype, style) in enumerate(zip(types, ("o-", "s--"), strict=True)):
    mean = errors[:, i].mean(0)
    plt.semilogy(powers, mean, style, label=str(dtype)[6:])
plt.axvspan(22, 36, color="0.9")
plt.text(29, 0.06, "float16\noverflows", ha="center", fontsize=10)
plt.xlabel("loss multiplied by 2 to the power of")
plt.ylabel("relative error of the gradient")
plt.legend(fontsize=10)
plt.tight_layout()
plt.show()
for power in (-20, -8, 0, 12):
    low, high = at[power].min(), at[power].max()
    print(f"float16, loss x 2^{power}: error {low:.4f} to {high:.4f}")
print("float16, loss x 2^24 and above: infinite or not a number")
print(f"bfloat16, all scales: error {brain.min():.4f} to {brain.max():.4f} (5 seeds)")
