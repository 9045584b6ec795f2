"""Attention: PyTorch's own, MONAI's squeeze-and-excitation layer, scikit-image's non-local means, and loops
over every place."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from monai.networks.blocks import ChannelSELayer
from scipy.spatial.distance import cdist
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_nl_means
from torch import nn

from tests.oracles.oracle import Defect, Oracle, agree

# --- scaled dot products -----------------------------------------------------------------


def queries():
    for lead, length, keys, d in [((), 1, 1, 1), ((3,), 4, 7, 5), ((2, 3), 6, 2, 16)]:
        yield 3 * torch.randn(*lead, length, d), 3 * torch.randn(*lead, keys, d), torch.randn(*lead, keys, 3)


def attention(q, k, v):
    """The library's mixture; each query's weights by a loop over the keys."""
    weights = torch.zeros(*q.shape[:-1], k.shape[-2])
    for place in np.ndindex(*q.shape[:-1]):
        scores = torch.stack([q[place] @ key for key in k[place[:-1]]]) / q.shape[-1] ** 0.5
        weights[place] = scores.exp() / scores.exp().sum()
    return F.scaled_dot_product_attention(q, k, v), weights


def multi_head(code):
    for heads in (1, 2, 8):
        library = nn.MultiheadAttention(16, heads, batch_first=True)
        nn.init.normal_(library.in_proj_bias), nn.init.normal_(library.out_proj.bias)
        x = torch.randn(3, 5, 16)
        want = library(x, x, x, average_attn_weights=False)
        agree(code.multi_head(x, *library.parameters(), heads), want)


# --- gates and the non-local block ---------------------------------------------------------


def squeeze_and_excitation(code):
    for arguments, (n, h, w) in itertools.product([(4, 2), (8, 4)], [(1, 1, 1), (2, 5, 3), (4, 8, 8)]):
        mine = code.SE(*arguments)
        hidden, c = mine.mlp[0].weight.shape
        theirs = ChannelSELayer(2, c, r=c // hidden)
        theirs.fc[0].load_state_dict(mine.mlp[0].state_dict())
        theirs.fc[2].load_state_dict(mine.mlp[2].state_dict())
        x = torch.randn(n, c, h, w)
        agree(mine(x), theirs(x))


def channels_then_places(code):
    """CBAM by loops over channels and places."""
    block, x = code.CBAM(8, 2), torch.randn(2, 8, 5, 4)
    bias = 0 if block.conv.bias is None else block.conv.bias[0]
    for image, got in zip(x, block(x), strict=True):
        ends = torch.stack([c.mean() for c in image]), torch.stack([c.max() for c in image])
        gate = torch.sigmoid(sum(block.mlp(t) for t in ends))
        y = torch.stack([g * c for g, c in zip(gate, image, strict=True)])
        both = F.pad(torch.stack([y.mean(0), y.amax(0)]), [3] * 4)
        for i, j in np.ndindex(5, 4):
            window = (both[:, i : i + 7, j : j + 7] * block.conv.weight[0]).sum() + bias
            agree(got[:, i, j], y[:, i, j] * torch.sigmoid(window))


def non_local(code):
    """By a loop over queries and keys."""
    block, x = code.NonLocal(6), 3 * torch.randn(2, 6, 3, 4)
    for image, got in zip(x, block(x), strict=True):
        q, k, v = block.qkv(image[None])[0].flatten(1).T.chunk(3, 1)
        for place in range(12):
            scores = torch.stack([q[place] @ key for key in k]) / 3**0.5
            mixed = sum(w * value for w, value in zip(scores.softmax(0), v, strict=True))
            back = block.out(mixed[None, :, None, None])[0, :, 0, 0]
            agree(got.flatten(1)[:, place], image.flatten(1)[:, place] + back)


def noisy_edge():
    clean = torch.zeros(14, 14)
    clean[:, 7:] = 0.7
    return clean + 0.1 * torch.randn(14, 14), clean


def content_weights(code):
    """By all pairs of patches; scikit-image's pixels nearly."""
    sigma = 0.1
    for x in (noisy_edge()[0], torch.rand(5, 8), torch.ones(4, 4)):
        (h, w), padded = x.shape, np.pad(x, 2, mode="reflect")
        patches = np.array([padded[i : i + 5, j : j + 5].ravel() for i, j in np.ndindex(h, w)])
        unlike = cdist(patches, patches, "sqeuclidean") / 25 - 2 * sigma**2
        weights = np.exp(-np.maximum(unlike, 0) / (0.55 * sigma) ** 2)
        agree(code.content_weights(x, sigma), weights / weights.sum(1, keepdims=True), 1e-8)
    x = noisy_edge()[0]
    library = denoise_nl_means(x.numpy(), 5, 14, h=0.55 * sigma, sigma=sigma, fast_mode=True)
    mine = (code.content_weights(x, sigma) @ x.flatten()).view(14, 14).numpy()
    assert peak_signal_noise_ratio(library, mine, data_range=1) >= 35


def blur(x, s):
    """The normalized Gaussian of the distance to every place."""
    i, j = np.indices(x.shape).reshape(2, -1, 1)
    weights = np.exp(-((i - i.T) ** 2 + (j - j.T) ** 2) / (2 * s**2))
    return (weights / weights.sum(1, keepdims=True) @ x.numpy().ravel()).reshape(x.shape)


# --- patches and statistics ------------------------------------------------------------------


def patches(code):
    """Tokens are the patches, row by row, and the picture of the tokens is the photo."""
    x = torch.randn(1, 1, 64, 64)
    want = [x[0, 0, r : r + 8, c : c + 8].flatten() for r in range(0, 64, 8) for c in range(0, 64, 8)]
    agree(code.patches(x)[0], torch.stack(want))
    agree(code.picture(torch.stack(want)[None]), x)


def statistics(code):
    """Equal scores: all 64 keys, sum a (1 - a) = 63 / 64; large ones: one key wins."""
    agree(code.statistics(16, 0.0), (0, 64, 63 / 64))
    agree(code.statistics(16, 1e6)[1:], (1, 0))
    assert abs(code.statistics(16, 0.5)[0] - 4) < 1  # d scale^2


ORACLES = [
    Oracle(
        "scaled_dot_product",
        function="attention",
        reference=attention,
        cases=queries,
        defects=[
            Defect(" / q.shape[-1] ** 0.5", ""),  # the scale forgotten
            Defect("/ q.shape[-1] ** 0.5", "/ q.shape[-1]"),
            Defect("scores.softmax(-1)", "scores.softmax(-2)"),  # over queries
            Defect("scores.softmax(-1)", "torch.sigmoid(scores)"),
        ],
    ),
    Oracle(
        "scaled_dot_product",
        multi_head,
        defects=[
            Defect("3, heads, width // heads", "heads, 3, width // heads", crashes=ValueError),
            Defect("y.transpose(1, 2).reshape", "y.reshape"),  # heads not gathered
            Defect(" + b_out", ""),
        ],
    ),
    Oracle(
        ["se_gate", "cost_and_view"],
        squeeze_and_excitation,
        defects=[
            Defect("torch.sigmoid(self.mlp(x.mean((2, 3))))", "self.mlp(x.mean((2, 3)))"),  # no sigmoid
            Defect("torch.sigmoid(self.mlp(x.mean((2, 3))))", "torch.softmax(self.mlp(x.mean((2, 3))), 1)"),
            Defect("torch.sigmoid(self.mlp(x.mean((2, 3))))", "torch.sigmoid(self.mlp(x.amax((2, 3))))"),
        ],
    ),
    Oracle(
        ["cost_and_view", "fetch_by_content"],
        channels_then_places,
        defects=[
            Defect("torch.sigmoid(self.conv(", "(self.conv("),
            Defect("x.mean(1), x.amax(1)", "x.amax(1), x.mean(1)"),
            Defect(" + self.mlp(x.amax((2, 3)))", ""),
        ],
    ),
    Oracle(
        ["cost_and_view", "fetch_by_content"],
        non_local,
        defects=[
            Defect(".softmax(-1)", ".softmax(1)"),
            Defect(" / q.shape[1] ** 0.5", ""),
            Defect("v @ a.mT", "v @ a"),
            Defect("return x + self.out", "return self.out"),
        ],
    ),
    Oracle(
        "non_local_means",
        content_weights,
        defects=[
            Defect(".softmax(1)", ".softmax(0)", where="content_weights"),
            Defect(" - 2 * sigma**2", ""),
            Defect('mode="reflect"', 'mode="constant"'),
        ],
    ),
    Oracle(
        "non_local_means",
        function="blur",
        reference=blur,
        cases=lambda: [(torch.randn(n, n), s) for n in (1, 5, 14) for s in (0.05, 0.4, 1.3)],
        defects=[Defect("(2 * s**2)", "s**2"), Defect("a @ x @ a.T", "a @ x")],
    ),
    Oracle(
        "non_local_means",
        function="psnr",
        reference=lambda x, clean: peak_signal_noise_ratio(clean.numpy(), x.numpy(), data_range=1),
        cases=lambda: [noisy_edge(), (torch.rand(1, 1), torch.zeros(1, 1))],
        defects=[Defect("-10 *", "-20 *")],
    ),
    Oracle(
        "permutation",
        patches,
        defects=[Defect("stride=8).mT", "stride=8)"), Defect("fold(tokens.mT", "fold(tokens")],
    ),
    Oracle(
        "scale_by_root_d",
        statistics,
        defects=[
            Defect("a * (1 - a)", "a * (1 + a)"),
            Defect(".sum(1).exp()", ".sum(1)"),
            Defect(".softmax(1)", ".softmax(0)"),
            Defect("scores.var()", "scores.std()"),
        ],
    ),
]
