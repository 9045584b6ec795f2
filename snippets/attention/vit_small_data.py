"""On 100 images a CNN beats a tiny ViT, though both fit them; shuffled pixels hurt it.

ViT after Dosovitskiy and others, 2021. Shapes: x (N, 1, 8, 8); 16 patches of 2x2,
tokens (N, 16, 24). Shuffled: one random order of the pixels for all images.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images = (images - images.mean()) / images.std()  # (N, 64)


class ViT(nn.Module):
    def __init__(self, d=24, heads=2, depth=2):
        super().__init__()
        self.patch = nn.Conv2d(1, d, 2, stride=2)
        self.place = nn.Parameter(torch.randn(16, d) / 2)
        layer = nn.TransformerEncoderLayer(
            d, heads, 2 * d, dropout=0.0, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        tokens = self.patch(x).flatten(2).mT + self.place  # (N, 16, d)
        return self.head(self.body(tokens).mean(1))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def accuracies(seed, model, shuffled, n=100, steps=70):
    torch.manual_seed(seed)
    order = torch.randperm(64) if shuffled else torch.arange(64)
    x, split = images[:, order].view(-1, 1, 8, 8), torch.randperm(len(images))
    fit, new, net = split[:n], split[n : n + 600], model()
    adam = torch.optim.Adam(net.parameters(), 0.02)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 0.02, total_steps=steps)
    for _ in range(steps):
        i = fit[torch.randperm(n)[:32]]
        loss = F.cross_entropy(net(x[i]), labels[i])
        adam.zero_grad(), loss.backward(), adam.step(), rate.step()
    with torch.no_grad():
        return [(net(x[s]).argmax(1) == labels[s]).double().mean() for s in (fit, new)]


result = {
    name: torch.tensor([accuracies(s, model, "shuffled" in name) for s in range(5)])
    for name, model in (("CNN", cnn), ("CNN, pixels shuffled", cnn), ("ViT", ViT))
}
for name, r in result.items():
    low, high = r.aminmax(dim=0)
    print(
        f"{name}: train {low[0]:.2f} to {high[0]:.2f}, "
        f"test {low[1]:.2f} to {high[1]:.2f}"
    )
cnn, shuffled, vit = (r[:, 1] for r in result.values())
assert min(r[:, 0].min() for r in result.values()) > 0.9  # all fit their images
assert (cnn - vit).min() > 0.1 and (cnn - shuffled).mean() > 0.01
assert (shuffled - vit).mean() > 0.05
print("n=5 seeds, 100 training images, 600 test images")
