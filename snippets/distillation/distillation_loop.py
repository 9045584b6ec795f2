"""Knowledge distillation: the loss with alpha and T, and the loop around it.

Hinton, Vinyals, Dean, 2015. The functions work for any classifiers with the same
classes. Shapes: images x (N, C, H, W), labels y (N,), logits z and v (N, K).
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def distillation_loss(z, v, y, T=4.0, alpha=0.5):
    """alpha T^2 KL(teacher || student) at T + (1 - alpha) cross-entropy at 1."""
    log_q = (z / T).log_softmax(1)  # student
    p = (v / T).softmax(1)  # teacher
    soft = F.kl_div(log_q, p, reduction="batchmean")
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(z, y)


def distill(student, teacher, loader, epochs, lr=0.01, T=4.0, alpha=0.5):
    """Train the student on batches (x, y); the teacher sees the same x and stays."""
    teacher.eval()  # batch normalization and dropout stand still
    student.train()
    optimizer = torch.optim.Adam(student.parameters(), lr)
    for _ in range(epochs):
        for x, y in loader:
            with torch.no_grad():
                v = teacher(x)
            loss = distillation_loss(student(x), v, y, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return student.eval()


def network(channels):
    return nn.Sequential(
        nn.Conv2d(1, channels, 4, 2, 1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, 10, 4),
        nn.Flatten(),
    )


torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
images, labels = map(torch.from_numpy, load_digits(return_X_y=True))
images = images.view(-1, 1, 8, 8) / 16
teacher, student = network(32), network(4)
many = DataLoader(TensorDataset(images[:800], labels[:800]), 50, shuffle=True)
few = DataLoader(TensorDataset(images[800:900], labels[800:900]), 50, shuffle=True)
distill(teacher, teacher, many, epochs=20, alpha=0.0)  # labels only
before = teacher.state_dict()["1.running_mean"].clone()
distill(student, teacher, few, epochs=100)
x, y = images[1000:], labels[1000:]
for name, model in (("teacher", teacher), ("student", student)):
    size = sum(p.numel() for p in model.parameters())
    right = (model(x).argmax(1) == y).double().mean()
    assert right > 0.85
    print(f"{name}: {size} parameters, test accuracy {right:.2f}")
assert torch.equal(before, teacher.state_dict()["1.running_mean"])
print("the teacher has not moved")
