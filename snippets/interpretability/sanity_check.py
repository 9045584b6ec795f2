"""Sanity check: an explanation must change when layers get random weights. With the
upper half random Grad-CAM does, the gradient by half, guided backpropagation least.

Adebayo and others, NeurIPS 2018; guided backpropagation: Springenberg and others, 2015.
Crops (N, 3, 24, 24) of six photographs, explained (N, 3, 48, 48), maps (N, 48, 48).
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from skimage import data, transform
from torch import nn

torch.set_default_dtype(torch.float64)
raw = [
    data.chelsea(),
    data.coffee(),
    data.astronaut(),
    data.immunohistochemistry(),
    data.retina()[200:1200, 200:1200],
    data.rocket(),
]
raw = np.stack([transform.resize(photo, (96, 96)) for photo in raw])
photos = torch.from_numpy((raw - raw.mean((0, 1, 2))) / raw.std()).permute(0, 3, 1, 2)


def guided_relu(x):  # passes only positive gradients back
    y = F.relu(x)
    y.register_hook(F.relu)
    return y


def forward(layers, x, relu=F.relu):  # scores (N, 6) and last maps
    for conv, stride, pad in zip(layers[:3], (2, 2, 1), (2, 1, 1)):
        x = relu(F.conv2d(x, conv.weight, conv.bias, stride, pad))
    return layers[3](x.mean((2, 3))), x


def gradient(layers, x, y, relu=F.relu):
    x = x.clone().requires_grad_()
    score = forward(layers, x, relu)[0].gather(1, y[:, None]).sum()
    return torch.autograd.grad(score, x)[0].abs().amax(1)


def guided_backprop(layers, x, y):
    return gradient(layers, x, y, guided_relu)


def grad_cam(layers, x, y):
    scores, maps = forward(layers, x)
    (grad,) = torch.autograd.grad(scores.gather(1, y[:, None]).sum(), maps)
    heat = F.relu((grad.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True))
    return F.interpolate(heat, x.shape[2:], mode="bilinear")[:, 0].detach()


def edges(layers, x, y):  # a control that looks at no weight
    return torch.hypot(*torch.gradient(x, dim=(2, 3))).amax(1)


def rank_correlation(a, b):  # Spearman's, mean over images; 0 where a map is constant
    a, b = (rankdata(m.flatten(1), axis=1) for m in (a, b))
    a, b = (m - m.mean(1, keepdims=True) for m in (a, b))
    return ((a * b).sum(1) / (np.sqrt((a**2).sum(1) * (b**2).sum(1)) + 1e-9)).mean()


def crops(k, size):
    return torch.stack(
        [
            photos[i, :, t : t + size, l : l + size]
            for i, (t, l) in zip(k, torch.randint(97 - size, (len(k), 2)).tolist())
        ]
    )


methods = [gradient, grad_cam, guided_backprop, edges]
keep = {4: "trained", 3: "head random", 2: "upper half\nrandom", 0: "all random"}
result = []
for seed in range(5):
    torch.manual_seed(seed)
    net, fresh = (
        [
            nn.Conv2d(3, 16, 6),
            nn.Conv2d(16, 16, 3),
            nn.Conv2d(16, 16, 3),
            nn.Linear(16, 6),
        ]
        for _ in range(2)
    )
    adam = torch.optim.Adam([p for layer in net for p in layer.parameters()], 1e-2)
    for k in torch.randint(6, (80, 32)):
        loss = F.cross_entropy(forward(net, crops(k, 24))[0], k)
        adam.zero_grad(), loss.backward(), adam.step()
    k = torch.arange(6)
    x = crops(k, 48)
    maps = [[method(net[:n] + fresh[n:], x, k) for n in keep] for method in methods]
    result.append([[rank_correlation(m[0], other) for other in m[1:]] for m in maps])

result = torch.tensor(result)  # (seeds, methods, 3)
print("rank correlation with the map of the trained network (5 seeds); random are the")
print(f"{'':16} {'head':^22}{'upper half':^22}{'all layers':^18}".rstrip())
for j, method in enumerate(methods):
    text = [f"{c.mean():.2f} ({c.min():.2f} to {c.max():.2f})" for c in result[:, j].T]
    print(f"{method.__name__:16}", "".join(f"{t:22}" for t in text).rstrip())
g, cam, guided, edge = result.mean(0)
assert guided[1] > g[1] + 0.1 and guided[1] > 0.6 and cam[:2].max() < 0.45
assert g[2] < 0.4 and guided[2] < 0.4 and (edge > 0.99).all()
x, k = photos[:1, :, 22:54, 28:60], k[:1]  # one eye of the cat
figure, axes = plt.subplots(4, 4, figsize=(6.2, 6.5))
for column, (n, title) in zip(axes.T, keep.items()):
    column[0].set_title(title)
    for panel, method in zip(column, methods):
        heat = method(net[:n] + fresh[n:], x, k)[0].numpy()
        panel.imshow(heat, cmap="gray", interpolation="none")
        panel.set(xticks=[], yticks=[], frame_on=False)
[panel.set_ylabel(m.__name__) for panel, m in zip(axes[:, 0], methods)]
plt.tight_layout(), plt.show()
