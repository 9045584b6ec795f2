"""Global average pooling frees the head from image size and from position.

Source: Lin, Chen, Yan, arXiv 1312.4400; class maps: Zhou et al., 1512.04150.
Shapes: x (N, 3, H, W) -> maps (N, 16, H/4, W/4) -> mean (N, 16) -> (N, 10).
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
for seed in range(5):
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.ReLU(),
    )
    head = nn.Linear(16, 10)
    for height, width in ((32, 32), (48, 80)):  # the same head serves both
        maps = body(torch.randn(2, 3, height, width))  # (2, 16, H/4, W/4)
        logits = head(maps.mean((2, 3)))  # (2, 10)

        # Swap mean and head: a map of evidence for each class, then its mean.
        evidence = torch.einsum("kc,nchw->nkhw", head.weight, maps)
        assert torch.allclose(evidence.mean((2, 3)) + head.bias, logits)

        # Shuffle the places: a mean cannot tell where a feature was.
        places = torch.randperm(maps[0, 0].numel())
        shuffled = maps.flatten(2)[:, :, places].unflatten(2, maps.shape[2:])
        assert torch.allclose(head(shuffled.mean((2, 3))), logits)

print("one head for 32x32 and 48x80 images; logits = mean of the class maps")
print("shuffling all places leaves the logits as they were (5 seeds)")

flat = nn.Linear(512 * 7 * 7, 4096, device="meta")  # VGG-16's first dense one
pooled = nn.Linear(512, 1000, device="meta")  # the whole head after a mean
print(f"weights: {flat.weight.numel():,} flattened, {pooled.weight.numel():,} pooled")
assert flat.weight.numel() > 200 * pooled.weight.numel()
