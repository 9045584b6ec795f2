"""All-to-all attention fetches a value by content; gates and a wide view do not.

CBAM (Woo 2018), non-local (Wang 2018), and two dilated convolutions as control.
x (N, 13, 6, 6): per image 4 cells carry a key (of 8) and a value (of 4), 4 others the
same keys and a flag. The answer at a flag is the value that belongs to its key.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


class CBAM(nn.Module):  # its first half is SE with a maximum beside the mean
    def __init__(self, c, r=4):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(c, c // r), nn.ReLU(), nn.Linear(c // r, c))
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x):
        s = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        x = x * s[:, :, None, None]  # which channels, then which places
        return x * torch.sigmoid(self.conv(torch.stack([x.mean(1), x.amax(1)], 1)))


class NonLocal(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.qkv, self.out = nn.Conv2d(c, 3 * c // 2, 1), nn.Conv2d(c // 2, c, 1)

    def forward(self, x):
        q, k, v = self.qkv(x).flatten(2).chunk(3, 1)  # (N, C/2, HW) each
        a = (q.mT @ k / q.shape[1] ** 0.5).softmax(-1)  # (N, HW, HW)
        return x + self.out((v @ a.mT).view(*v.shape[:2], *x.shape[2:]))


class Dilated(nn.Sequential):  # sees 11x11: the whole map from everywhere
    def __init__(self, c):
        super().__init__(
            nn.Conv2d(c, c, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=4, dilation=4),
            nn.ReLU(),
        )


def scenes(n):
    key = torch.rand(n, 8).argsort(1)[:, :4]  # four different keys
    value, image = torch.randint(4, (n, 4)), torch.arange(n)[:, None]
    told, asked = torch.rand(n, 36).argsort(1)[:, :8].chunk(2, 1)  # cells
    x = torch.zeros(n, 13, 36)
    x[image, key, told] = x[image, key, asked] = x[image, 12, asked] = 1.0
    x[image, 8 + value, told] = 1.0
    return x.view(n, 13, 6, 6), asked[:, None].expand(-1, 4, -1), value


def accuracy(seed, block, c=24, steps=100):  # only the block joins different cells
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(13, c, 1),
        nn.ReLU(),
        block(c),
        nn.Conv2d(c, c, 1),
        nn.ReLU(),
        nn.Conv2d(c, 4, 1),
    )
    adam = torch.optim.Adam(net.parameters(), 0.01 if block is Dilated else 0.02)
    for step in range(steps + 1):
        x, asked, value = scenes(32 if step < steps else 500)
        logits = net(x).flatten(2).gather(2, asked)  # (N, 4 values, 4 flags)
        loss = F.cross_entropy(logits, value)
        if step < steps:
            adam.zero_grad(), loss.backward(), adam.step()
    return (logits.argmax(1) == value).double().mean()


for block in (CBAM, Dilated, NonLocal):
    hits = torch.stack([accuracy(seed, block) for seed in range(5)])
    assert hits.median() > 0.8 if block is NonLocal else hits.max() < 0.6
    weights = sum(p.numel() for p in block(24).parameters())
    print(f"{block.__name__}, {weights} weights: {hits.min():.2f} to {hits.max():.2f}")
print("share of right values, 5 seeds; by chance 0.25")
