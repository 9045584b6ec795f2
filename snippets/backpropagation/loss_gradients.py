"""The loss decides where a gradient starts: at every labeled pixel, at boxes that
overlap, and never at an argmax.

Logits (N, K, H, W), labels (N, H, W), boxes (x1, y1, x2, y2). Generalized IoU:
Rezatofighi and others, CVPR 2019.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
IGNORE = 255  # unlabeled pixels, as in many segmentation data sets


def pixel_gradient(logits, labels):
    """Gradient of the mean cross-entropy: (softmax - one-hot) / labeled pixels."""
    known = labels != IGNORE
    one_hot = F.one_hot(labels * known, logits.shape[1]).permute(0, 3, 1, 2)
    return (logits.softmax(1) - one_hot) * known[:, None] / known.sum()


def box_losses(a, b):
    """1 - IoU and 1 - GIoU of two boxes."""
    sides = torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])
    inner = sides.clamp(min=0).prod()
    union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner
    hull = (torch.maximum(a[2:], b[2:]) - torch.minimum(a[:2], b[:2])).prod()
    return 1 - inner / union, 1 - inner / union + (hull - union) / hull


for seed in range(5):
    torch.manual_seed(seed)
    logits = torch.randn(2, 3, 6, 6, requires_grad=True)
    labels = torch.randint(3, (2, 6, 6))
    labels[:, :2] = IGNORE
    loss = F.cross_entropy(logits, labels, ignore_index=IGNORE)
    (grad,) = torch.autograd.grad(loss, logits)
    assert (grad - pixel_gradient(logits, labels)).abs().max() < 1e-12
    assert (grad[:, :, :2] == 0).all() and (grad[:, :, 2:] != 0).all()
assert logits.argmax(1).grad_fn is None  # the predicted map is outside the graph
print("pixels: gradient = (softmax - one-hot) / labeled pixels, 0 where unlabeled")

truth = torch.tensor([0.0, 0, 4, 4])
for name, corner in [("overlapping", 2.0), ("apart", 6.0)]:
    box = torch.tensor([corner, 0, corner + 4, 4], requires_grad=True)
    grads = [
        torch.autograd.grad(loss, box, retain_graph=True)[0]
        for loss in box_losses(box, truth)
    ]
    iou, giou = (grad[[0, 2]].sum().item() for grad in grads)  # moving right: d/dx
    assert giou > 0 and (iou > 0) == (name == "overlapping")  # > 0: pulled left
    print(f"box {name}: slope of the IoU loss {iou:.2f}, of the GIoU loss {giou:.2f}")
