# %% [markdown]
# # Lab 6. Shrink a CNN: distill, prune, quantize, export, serve
#
# A small CNN for handwritten digits is made still smaller in three steps, and after each step its file is weighed and its answers are compared.
#
# ![Test accuracy against the size of the ONNX file for each step, with ranges over five seeds.](attachment:result.png)
#
# **Budget:** about 20 seconds of one core, 250 lines of code, an hour of yours. You need PyTorch, ONNX Runtime, FastAPI and the answers to [Q10](../efficiency/distillation.html#q10) and [Q27](../efficiency/distillation.html#q27) (distillation), [Q11](../efficiency/quantization.html#q11) and [Q28](../efficiency/quantization.html#q28) (quantization) and [Q46](../efficiency/deployment.html#q46) (deployment). Digits of 8×8 pixels show the mechanism and are no benchmark.

# %%
import copy
import gzip
import json
import logging
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import onnx
import onnxruntime as ort
import torch
import uvicorn
from fastapi import Body, FastAPI
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

logging.disable(logging.WARNING)  # advice of the exporter and the quantizer
plt.rcParams["figure.dpi"] = 110
folder = Path(tempfile.mkdtemp())
SEEDS = range(5)

# %% [markdown]
# ## Data: a teacher with labels, a student with few
#
# The teacher learned from 600 labeled pictures that are no longer at hand. The student has 100 labeled and 600 unlabeled pictures. The other 497 are for the test.

# %%
data = load_digits()
images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16  # (N, 1, 8, 8)
labels = torch.tensor(data.target)


def split(seed):
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return order.split([600, 100, 600, len(order) - 1300])  # teacher, labeled, unlabeled, test


def network(c1, c2):
    return nn.Sequential(
        nn.Conv2d(1, c1, 4, stride=2, padding=1),
        nn.ReLU(),  # (N, c1, 4, 4)
        nn.Conv2d(c1, c2, 3, padding=1),
        nn.ReLU(),  # (N, c2, 4, 4)
        nn.Flatten(),
        nn.Linear(16 * c2, 10),
    )


@torch.no_grad()
def accuracy(net, rows):
    return (net(images[rows]).argmax(1) == labels[rows]).float().mean().item()


# %% [markdown]
# ## Loss: soft targets times the squared temperature
#
# $$
# L = T^2 \, \text{KL}\left( \text{softmax}(v/T) \,\Vert\, \text{softmax}(z/T) \right)
# $$
#
# for logits $v$ of the teacher and $z$ of the student. Its gradient is $T\,(q - p)/N$, which the cell checks.


# %%
def soft_loss(z, v, T=4.0):
    """Student's and teacher's logits (N, K) -> scalar."""
    return T**2 * F.kl_div((z / T).log_softmax(1), (v / T).softmax(1), reduction="batchmean")


for trial in range(20):
    z, v = 3 * torch.randn(2, 7, 10, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(soft_loss(z.requires_grad_(), v), z)
    expected = 4 * ((z / 4).softmax(1) - (v / 4).softmax(1)) / 7
    assert (gradient - expected).abs().max() < 1e-12
print("gradient of the soft loss: equal to the closed form, difference < 1e-12")

# %% [markdown]
# ## Training: distill, then prune
#
# The fair rivals get their row too: a student of the 100 labels alone, and a network that is narrow from the start and is distilled for as many steps as the pruned one in all. Pruning here removes whole channels, so that dense smaller tensors remain. Digits of a float32 training depend on the processor a little; the tests allow 0.05.


# %% tolerance=0.05
def fit(net, rows, loss, steps=150, rate=0.01):
    adam = torch.optim.Adam(net.parameters(), rate)
    for _ in range(steps):
        i = rows[torch.randint(len(rows), (64,))]
        adam.zero_grad()
        loss(net(images[i]), i).backward()
        adam.step()
    return net.eval()


def hard(z, i):
    return F.cross_entropy(z, labels[i])


def remove_channels(net, keep1, keep2):
    """A narrower network of the channels whose weights have the largest L1 norm."""
    a = net[0].weight.abs().sum((1, 2, 3)).topk(keep1).indices.sort().values
    b = net[2].weight.abs().sum((1, 2, 3)).topk(keep2).indices.sort().values
    head = net[5].weight.view(10, -1, 16)[:, b].flatten(1)  # 16 positions a channel
    values = [net[0].weight[a], net[0].bias[a], net[2].weight[b][:, a], net[2].bias[b], head, net[5].bias]
    small = network(keep1, keep2)
    for parameter, value in zip(small.parameters(), values):
        parameter.data = value.detach().clone()
    return small


nets = {}  # name -> one network a seed
for seed in SEEDS:
    torch.manual_seed(seed)
    taught, few, unlabeled, test = split(seed)
    every = torch.cat([few, unlabeled])
    teacher = fit(network(32, 64), taught, hard)
    with torch.no_grad():
        v = teacher(images)  # for all pictures at once: they are not augmented

    def soft(z, i):
        return soft_loss(z, v[i])

    plain = fit(network(12, 24), few, hard)
    student = fit(network(12, 24), every, soft)
    cut = remove_channels(student, 6, 12)
    tuned = fit(copy.deepcopy(cut), every, soft, 75)
    scratch = fit(network(6, 12), every, soft, 225)  # as many steps in all
    for name, net in {
        "teacher": teacher,
        "student, labels": plain,
        "student, distilled": student,
        "pruned": cut,
        "pruned, tuned": tuned,
        "narrow from scratch": scratch,
    }.items():
        nets.setdefault(name, []).append(net)
for name, group in nets.items():
    a = np.array([accuracy(net, split(seed)[3]) for seed, net in zip(SEEDS, group)])
    print(f"{name:20} {a.mean():.2f} ({a.min():.2f}-{a.max():.2f})")


def mean(name):
    return np.mean([accuracy(net, split(seed)[3]) for seed, net in zip(SEEDS, nets[name])])


assert mean("student, distilled") > mean("student, labels") + 0.03
assert mean("pruned, tuned") > mean("pruned") + 0.02
assert abs(mean("pruned, tuned") - mean("narrow from scratch")) < 0.03

# %% [markdown]
# Distillation pays: the teacher has seen 600 labels that the student has not. Exercise 3 asks what part the unlabeled pictures have in it. Pruning half of the channels costs several points and fine-tuning returns most of them. But the network that was narrow from the start does as well: here pruning bought nothing that a smaller student had not given.
#
# ## Export: same answers, at every batch size
#
# `torch.export` captures the graph with a dynamic batch axis. ONNX Runtime must give the same logits, for batches of 1, 7 and 64. Weights of the other seeds are put into the same graph by name.


# %%
def export(net):
    batch = ({0: torch.export.Dim("batch", min=1, max=512)},)
    graph = torch.export.export(net, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=batch)
    with warnings.catch_warnings(action="ignore"):  # of the exporter about itself
        program = torch.onnx.export(
            graph, dynamo=True, verbose=False, input_names=["x"], output_names=["logits"]
        )
    program.save(folder / "export.onnx")
    model = onnx.load(folder / "export.onnx")
    for node in model.graph.node:  # where in the source each node came from
        del node.metadata_props[:]
    return model


def save(model, net, path):
    """Write the graph with the weights of another network of the same shape."""
    weights = net.state_dict()
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            value = onnx.numpy_helper.from_array(weights[tensor.name].numpy(), tensor.name)
            tensor.CopyFrom(value)
    onnx.save(model, path)


def load(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options)
    return lambda x: session.run(None, {"x": np.asarray(x, dtype=np.float32)})[0]


kept = ["teacher", "student, distilled", "pruned, tuned"]
files, worst = {}, 0.0
for name in kept:
    model = export(nets[name][0])
    for seed, net in zip(SEEDS, nets[name]):
        files[name, seed] = folder / f"{len(files)}.onnx"
        save(model, net, files[name, seed])
        run = load(files[name, seed])
        for size in (1, 7, 64):
            x = images[split(seed)[3][:size]]
            worst = max(worst, np.abs(run(x) - net(x).detach().numpy()).max())
assert worst < 1e-3
print("15 networks, batches of 1, 7, 64: largest difference of the logits < 1e-3")

# %% [markdown]
# ## Quantize: 8 bits for weights and activations
#
# Static quantization runs 100 pictures through the network to find the range of each activation; weights get one scale per output channel.


# %% tolerance=0.05
class Sample(list, CalibrationDataReader):
    def get_next(self):
        return self.pop() if self else None


def quantize(path, x):
    target = path.with_suffix(".int8.onnx")
    quantize_static(path, target, Sample([{"x": x.numpy()}]), per_channel=True)
    return target


def score(path, seed):
    test = split(seed)[3]
    return (load(path)(images[test]).argmax(1) == labels[test].numpy()).mean()


rows = {}  # step -> kB and accuracy of each seed
for name in kept:
    for seed in SEEDS:
        path = files[name, seed]
        small = quantize(path, images[split(seed)[1]])
        files[name + ", int8", seed] = small
        for step, file in ((name, path), (name + ", int8", small)):
            rows.setdefault(step, []).append((file.stat().st_size / 1000, score(file, seed)))
rows = {step: np.array(values) for step, values in rows.items()}
for step, r in rows.items():
    size, a = r.mean(0)
    print(f"{step:26} {size:6.1f} kB  {a:.2f} ({r[:, 1].min():.2f}-{r[:, 1].max():.2f})")
shrunk = {name: (rows[name] / rows[name + ", int8"])[:, 0].mean() for name in kept}
print("int8 divides the file by", ", ".join(f"{s:.1f}" for s in shrunk.values()))
assert shrunk["teacher"] > 3 > shrunk["pruned, tuned"] > 1
assert all(abs(rows[n][:, 1] - rows[n + ", int8"][:, 1]).max() < 0.02 for n in kept)
assert rows["teacher"][:, 0].min() > 10 * rows["pruned, tuned, int8"][:, 0].max()

# %% [markdown]
# Accuracy does not suffer from 8 bits. The promised factor of four holds for weights, not for files: scales, int32 biases and the graph itself stay, and in the smallest network they weigh more than the weights.

# %% tags=["result"] alt="Accuracy from 0.90 to 1.00 against file size on a logarithmic axis, six points with ranges over five seeds. From teacher through student to pruned network sizes fall by more than ten and accuracy by about two points; each int8 point lies left of its float one at the same height." caption="Each step moves left. Distillation to a small student pays most; int8 is free in accuracy, and its gain shrinks with the network."
figure, axis = plt.subplots(figsize=(6.5, 3), layout="constrained")
for step, r in rows.items():
    a = r[:, 1]
    error = [[a.mean() - a.min()], [a.max() - a.mean()]]
    axis.errorbar(
        r[:, 0].mean(),
        a.mean(),
        error,
        capsize=3,
        label=step,
        fmt={"t": "o", "s": "s", "p": "^"}[step[0]],
        color="tab:blue",
        markerfacecolor="white" if "int8" in step else "tab:blue",
    )
axis.set(xscale="log", ylim=(0.9, 1), xlabel="file in kB (logarithmic)", ylabel="test accuracy")
axis.grid(alpha=0.3), axis.legend(fontsize=7, loc="lower right", ncols=2)
plt.show()

# %% [markdown]
# ## Serve: the file answers over HTTP
#
# The smallest file stands behind FastAPI on a free loopback port. The type of the argument refuses what is no picture; the answers must equal the local ones.

# %%
path = files["pruned, tuned, int8", 0]
served = load(path)
app = FastAPI()
Gray = Annotated[float, Body(ge=0, le=1)]


@app.post("/predict")
def predict(pixels: Annotated[list[Gray], Body(min_length=64, max_length=64)]):
    return {"label": int(served(np.reshape(pixels, (1, 1, 8, 8))).argmax())}


sock = socket.socket()
sock.bind(("127.0.0.1", 0))  # the system chooses a free port
url = f"http://127.0.0.1:{sock.getsockname()[1]}/predict"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
thread.start()
while thread.is_alive() and not server.started:
    time.sleep(0.01)


def ask(pixels):
    request = urllib.request.Request(url, json.dumps(pixels).encode(), {"Content-Type": "application/json"})
    try:
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)["label"]
    except urllib.error.HTTPError as error:
        return error.code


pictures = images[split(0)[3][:50]]
answers = [ask(picture.flatten().tolist()) for picture in pictures]
refused = ask([0.0] * 63), ask([16.0] * 64)  # too short, not divided by 16
server.should_exit = True
thread.join(10)
assert answers == [int(served(p[None]).argmax()) for p in pictures]
assert refused == (422, 422) and len(set(answers)) > 5
print("50 answers equal to the local ones; 63 pixels and values of 16 refused with 422")

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Do zeros make a file smaller?
#
# Set the smallest 80 % of the distilled student's weights to zero and save it. How large is the file, and how large after gzip? What is left of the accuracy?

# %% tags=["solution"] tolerance=0.05
masked = copy.deepcopy(nets["student, distilled"][0])
for w in masked.parameters():
    if w.dim() > 1:
        w.data *= w.abs() > w.abs().flatten().quantile(0.8)
save(export(masked), masked, folder / "masked.onnx")
dense, sparse = files["student, distilled", 0].read_bytes(), (folder / "masked.onnx").read_bytes()
ratio = len(gzip.compress(sparse)) / len(gzip.compress(dense))
assert len(sparse) == len(dense) and ratio < 0.6
print(f"same file size; after gzip {ratio:.1f} of the dense one")
print(
    "accuracy below the dense one:", accuracy(masked, split(0)[3]) < score(files["student, distilled", 0], 0)
)

# %% [markdown]
# ### Exercise 2. Calibrate with the wrong pictures
#
# Quantize the teacher again, with pictures that are darker by a factor of 20, as if the division by 16 had been done twice. What happens? Hint: values beyond the range are clipped.

# %% tags=["solution"] tolerance=0.08
dark = quantize(files["teacher", 0], images[split(0)[1]] / 20)
wrong, right = score(dark, 0), rows["teacher, int8"][0, 1]
assert wrong < right - 0.03
print(f"calibrated on dark pictures {wrong:.1f}, on the right ones {right:.1f}")

# %% [markdown]
# ### Exercise 3. Soft targets or more pictures?
#
# Was it the softness or the number of pictures that helped? Distill a student on the 100 labeled pictures only.

# %% tags=["solution"] tolerance=0.05
gains = []
for seed in SEEDS:
    torch.manual_seed(seed)
    few = split(seed)[1]
    with torch.no_grad():
        v = nets["teacher"][seed - SEEDS[0]](images)
    small = fit(network(12, 24), few, lambda z, i: soft_loss(z, v[i]))
    gains.append(accuracy(small, split(seed)[3]))
assert mean("student, labels") - 0.02 < np.mean(gains) < mean("student, distilled") - 0.01
print(f"soft targets of 100 pictures: {np.mean(gains):.2f}, of 700: {mean('student, distilled'):.2f}")
