"""With a tenth of the targets grossly wrong, a CNN regresses well under Huber's or the
absolute loss and badly under the squared one; with clean targets all three are alike.

Digits shifted sideways by -2 to 2 pixels, (N, 1, 8, 12); the CNN estimates the shift.
Spoiled targets are 10 pixels too large. Huber, Annals of Math. Statistics 1964.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images = torch.tensor(load_digits().images).view(-1, 1, 8, 8) / 16


def huber(prediction, target, delta=0.5):
    """Squared up to delta, straight beyond: the slope never exceeds delta."""
    r = (prediction - target).abs()
    return torch.where(r < delta, r**2 / 2, delta * (r - delta / 2)).mean()


def shifted(x, pixels):
    """Each image moved left or right by its own number of pixels, bilinear."""
    theta = torch.eye(2, 3).repeat(len(x), 1, 1)
    theta[:, 0, 2] = -pixels * 2 / x.shape[3]  # grid units: half widths
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


losses = {"squared": F.mse_loss, "absolute": F.l1_loss, "Huber": huber}
SEEDS = 5
error = torch.zeros(2, len(losses), SEEDS)  # clean targets, spoiled targets
for seed in range(SEEDS):
    for spoiled in (0, 1):
        for k, criterion in enumerate(losses.values()):
            torch.manual_seed(seed)
            order = torch.randperm(len(images))[:1200]  # 600 to train, 600 to test
            shift = torch.rand(1200) * 4 - 2
            x = shifted(F.pad(images[order], (2, 2)), shift)
            y = shift + 10 * spoiled * (torch.rand(1200) < 0.1)
            net = nn.Sequential(
                nn.Conv2d(1, 12, 4, 2),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(180, 64),
                nn.ReLU(),
                nn.Linear(64, 1),
            )
            adam = torch.optim.Adam(net.parameters(), 5e-3)
            for _ in range(200):
                batch = torch.randint(600, (60,))
                loss = criterion(net(x[batch])[:, 0], y[batch])
                adam.zero_grad(), loss.backward(), adam.step()
            off = net(x[600:])[:, 0] - shift[600:]  # against the true shift
            error[spoiled, k, seed] = off.detach().abs().mean()

for name, clean, bad in zip(losses, *error):
    print(
        f"{name:8} error in pixels: clean {clean.mean():.2f}, spoiled targets "
        f"{bad.mean():.2f} ({bad.min():.2f} to {bad.max():.2f})"
    )
print(f"{SEEDS} seeds, test images with true targets")
assert (error[1, 0] - error[1, 1:]).min() > 0.3
assert (error[0, 1:] - error[0, 0]).abs().max() < 0.1
