"""OCR, from CTC to check digits, against PyTorch's ctc_loss, scikit-image, SciPy and brute force."""

import functools
import itertools
import random

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.filters import threshold_otsu, threshold_sauvola

from tests.oracles.oracle import Defect, Oracle, agree

# --- CTC -------------------------------------------------------------------------------


def naive_collapse(path):
    """Frame by frame: a symbol counts if it is no blank and differs from the frame before."""
    return tuple(k for t, k in enumerate(path) if k and (t == 0 or path[t - 1] != k))


def short_paths():
    return ((path,) for T in range(6) for path in itertools.product(range(3), repeat=T))


def frames_and_texts():
    for n in range(60):
        T, classes = int(torch.randint(1, 9, ())), int(torch.randint(2, 5, ()))
        size = int(torch.randint(0, min(T, 4) + 1, ()))
        text = torch.randint(1, classes, (size,))
        if n % 3 == 0:
            text[:] = 1  # doubled letters
        yield torch.randn(T, classes).softmax(1), tuple(text.tolist())


def few_paths():
    return (case for case in frames_and_texts() if case[0].shape[1] ** len(case[0]) < 300)


def texts_of_all_paths(probs):
    """Every text of these frames: the probabilities of its paths."""
    found = {}
    for path in itertools.product(range(probs.shape[1]), repeat=len(probs)):
        p = probs[range(len(probs)), path].prod().item()
        found.setdefault(naive_collapse(path), []).append(p)
    return found


def probability_and_count(probs, text):
    fitting = texts_of_all_paths(probs).get(text, [])
    return sum(fitting), len(fitting)


def forward_probability(code):
    """Equals PyTorch's ctc_loss, and the sum over all paths where there are few."""
    for probs, text in frames_and_texts():
        lengths = (len(probs),), (len(text),)
        target = torch.tensor([text], dtype=torch.long)
        loss = F.ctc_loss(probs.log()[:, None], target, *lengths, reduction="sum")
        agree(code.forward_probability(probs, text), (-loss).exp(), 1e-13)
    for probs, text in few_paths():
        agree(code.forward_probability(probs, text), probability_and_count(probs, text)[0], 1e-13)


def beams():
    """A beam that drops nothing; a narrow one where the best path has more than half of the probability."""
    for T, classes in ((1, 3), (2, 2), (4, 3), (5, 3)):
        for _ in range(8):
            yield torch.randn(T, classes).softmax(1), 10**6
    for _ in range(50):
        sure = (9 * F.one_hot(torch.randint(0, 4, (7,)), 4).double()).softmax(1)
        yield from ((sure, 1), (sure, 3))


def most_probable_text(probs, width):
    if width < 10**6:
        return naive_collapse(probs.argmax(1).tolist())
    total = {text: sum(p) for text, p in texts_of_all_paths(probs).items()}
    return max(total, key=total.get)


# --- edit distance ---------------------------------------------------------------------


def plain_distance(a, b):
    """The definition: the cheapest of dropping, adding or pairing the first letters."""

    @functools.cache
    def rest(i, j):
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        pair = rest(i + 1, j + 1) + (a[i] != b[j])
        return min(pair, rest(i + 1, j) + 1, rest(i, j + 1) + 1)

    return rest(0, 0)


def pairs_of_texts():
    dice = random.Random(0)
    for _ in range(300):
        yield tuple("".join(dice.choices("abc", k=dice.randrange(9))) for _ in range(2))
    yield from [("", ""), ("", "abc"), ("abc", ""), ([1, 2], [2])]  # lists, as the CRNN uses it


def distances_from(start, alphabet, longest):
    texts = ["".join(p) for n in range(longest + 1) for p in itertools.product(alphabet, repeat=n)]
    return {text: plain_distance(start, text) for text in texts}


# --- images ----------------------------------------------------------------------------


def gray_images():
    for low, high in ((0, 256), (90, 110), (0, 2)):
        yield torch.randint(low, high, (30, 41)).double()
    ink = torch.rand(40, 36) < 0.2
    yield (200 - 120 * ink + 10 * torch.randn(40, 36)).round().clamp(0, 255)


def otsu(code):
    for gray in gray_images():
        want = gray <= int(threshold_otsu(gray.numpy().astype(np.uint8)))
        assert torch.equal(gray <= code.otsu(gray), want)


def skew(code):
    """Straight stripes turned by a known angle."""
    stripes = np.zeros((90, 160))
    stripes[15:75:10, 20:140] = 1
    stripes = ndimage.gaussian_filter(stripes, 1.5)
    for angle in (-8.3, 0, 4.4):
        assert abs(code.skew(ndimage.rotate(stripes, -angle, reshape=False, order=1)) - angle) < 0.3


def lines_of_ink():
    for _ in range(60):
        image = torch.randint(0, 3, (2, 30)).double()
        image[:, 0] = 0  # a line starts with an empty column
        yield from ((image, 0), (image, 1.5), (image, 4))  # with 4 nothing is ink


def starts_of_runs(image, threshold):
    starts, column = [], 0
    for ink, run in itertools.groupby((image.sum(0) > threshold).tolist()):
        starts += [column] * ink
        column += len(list(run))
    return starts


def pairs_of_boxes():
    for corners in torch.randint(0, 9, (60, 2, 2)):
        yield tuple(tuple(torch.cat([c, c + torch.randint(1, 9, (2,))]).tolist()) for c in corners)
    yield from (((0, 0, 4, 4), other) for other in [(0, 0, 4, 4), (4, 0, 8, 4), (1, 1, 3, 3), (9, 9, 12, 12)])


def iou_by_pixels(*boxes):
    pixels = torch.zeros(2, 20, 20, dtype=torch.bool)
    for layer, (y1, x1, y2, x2) in zip(pixels, boxes, strict=True):
        layer[y1:y2, x1:x2] = True
    return (pixels.all(0).sum() / pixels.any(0).sum()).item()


def boxes_of_a_map(code):
    """Boxes hold exactly their component; F1 of hand cases."""
    mask = torch.zeros(30, 30, dtype=torch.bool)
    assert code.find_boxes(mask, 1) == []
    truth = [(3, 4, 9, 20), (12, 2, 16, 9)]
    for y1, x1, y2, x2 in truth:
        mask[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1] = True
    mask[25, 25] = True  # a speck
    assert sorted(code.find_boxes(mask, 1)) == truth
    for lines, want in (truth, 1), ([*truth, (20, 20, 22, 29)], 0.8), ([], 0):
        assert code.f1([mask], [lines], 1) == want


def normalize(code):
    x = torch.zeros(12, 1, 12, 12)
    x[..., 3:9, 4:9] = torch.rand(12, 1, 6, 5)
    out = code.normalize(x)
    agree(code.normalize(0.9 - 0.3 * x.roll((2, -3), (2, 3))), out)
    for image in out[:, 0].numpy():
        assert np.abs(np.array(ndimage.center_of_mass(image)) - 5.5).max() <= 0.51
    assert out.min() == 0 and out.max() == 1


# --- check digits ----------------------------------------------------------------------


def luhn_by_hand(digits):
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += digit if place % 2 == 0 else sum(map(int, str(2 * digit)))
    return total % 10


def luhn_sum(code):
    for n in (0, 1, 2, 7, 16):
        numbers = torch.randint(0, 10, (40, n))
        assert code.luhn_sum(numbers).tolist() == [luhn_by_hand(d) for d in numbers.tolist()]
    card = torch.tensor([int(c) for c in "4111111111111111"])  # a well-known test number
    assert code.luhn_sum(card) == 0
    for place, digit in itertools.product(range(16), range(10)):  # finds each single error
        wrong = card.clone()
        wrong[place] = digit
        assert (code.luhn_sum(wrong) == 0) == (digit == card[place])


def invalid_numbers():
    for n in (1, 2, 4, 7, 7, 7, 16):
        log_probs = torch.randn(n, 10).log_softmax(1)
        number = log_probs.argmax(1)
        if luhn_by_hand(number.tolist()) != 0:
            yield number, log_probs


def best_repair(number, log_probs):
    """The best of all numbers that differ in one place and obey the rule."""
    n, options = len(number), []
    for place, digit in itertools.product(range(n), range(10)):
        option = number.tolist()
        option[place] = digit
        if luhn_by_hand(option) == 0:
            options.append(option)
    return max(options, key=lambda option: log_probs[range(n), option].sum().item())


ORACLES = [
    Oracle(
        ["ctc_alignments", "ctc_decoding"],
        function="collapse",
        reference=naive_collapse,
        cases=short_paths,
        defects=[
            Defect(
                "itertools.groupby(path) if k != 0", "itertools.groupby(filter(None, path))"
            )  # blanks first
        ],
    ),
    Oracle(
        "crnn_line",
        function="collapse",
        reference=naive_collapse,
        cases=lambda: ((list(path),) for (path,) in short_paths()),
        defects=[Defect("k not in (0, before)", "k != 0")],
    ),
    Oracle(
        "ctc_alignments",
        forward_probability,
        defects=[
            Defect("k != states[s - 2]", "k != 0"),  # merges doubled letters
            Defect("k != states[s - 2]", "True"),  # skips letters too
            Defect("total += before[s - 2]", "pass"),
            Defect("first[k] if s < 2", "first[k] if s < 1"),  # may not start on a letter
            Defect("sum(alpha[-2:])", "alpha[-1]"),  # must end on a blank
            Defect("before[max(s - 1, 0) : s + 1]", "before[s : s + 1]"),
        ],
    ),
    Oracle(
        "ctc_alignments",
        function="brute_force",
        reference=probability_and_count,
        cases=few_paths,
        defects=[Defect("collapse(path) == text", "collapse(path)[: len(text)] == text")],
    ),
    Oracle(
        "ctc_decoding",
        function="greedy",
        reference=lambda probs: naive_collapse(probs.argmax(1).tolist()),
        cases=lambda: ((torch.randn(7, 4).softmax(1),) for _ in range(50)),
        defects=[Defect("collapse(probs.argmax(1).tolist())", "tuple(probs.argmax(1).tolist())")],
    ),
    Oracle(
        "ctc_decoding",
        function="beam_search",
        reference=most_probable_text,
        cases=beams,
        defects=[
            Defect("+= blank * frame[k]", "+= (blank + letter) * frame[k]"),
            Defect("+= letter * frame[k]", "+= (blank + letter) * frame[k]"),
            Defect("if prefix and k == prefix[-1]", "if False"),
            Defect("+= (blank + letter) * frame[0]", "+= letter * frame[0]"),
        ],
    ),
    Oracle(
        ["edit_distance", "crnn_line"],
        function="edit_distance",
        reference=plain_distance,
        cases=pairs_of_texts,
        defects=[
            Defect("above[j - 1] + (x != y)", "above[j - 1] + 2 * (x != y)"),  # no substitutions
            Defect("row = row, [i]", "row = row, [0]"),
            Defect("above[j] + 1, ", ""),  # no deletions
            Defect("row[-1] + 1, ", ""),  # no insertions
        ],
    ),
    Oracle(
        "edit_distance",
        function="brute_force",
        reference=distances_from,
        cases=lambda: [("aba", "ab", 4), ("", "ab", 2), ("c", "abc", 3)],
        defects=[Defect("yield text[:i] + c + text[i + 1 :]", "pass")],  # no substitutions
    ),
    Oracle(
        "binarization",
        otsu,
        defects=[
            Defect("below * above * apart**2", "apart**2"),
            Defect("(total[-1] - total) / above", "total[-1] / above"),
            Defect("torch.arange(256.0)", "torch.arange(256.0).flip(0) ** 2"),
        ],
    ),
    Oracle(
        "binarization",
        function="sauvola",
        reference=lambda gray, window, k: threshold_sauvola(gray.numpy(), window, k, r=128),
        cases=lambda: itertools.product(gray_images(), (3, 15, 25), (0.2, 0.5)),
        defects=[
            Defect("(std / R - 1)", "(std / R)"),
            Defect('"reflect"', '"replicate"'),
            Defect("(square - mean**2).clamp(min=0).sqrt()", "(square - mean**2).clamp(min=0)"),
            Defect("(window // 2,) * 4", "(window // 2 - 1, window // 2 + 1) * 2"),
        ],
    ),
    Oracle(
        "deskew", skew, defects=[Defect(".sum(1))", ".sum(0))"), Defect("fine = best +", "fine = best - 2 +")]
    ),
    Oracle(
        "touching_characters",
        function="cuts",
        reference=starts_of_runs,
        cases=lines_of_ink,
        defects=[Defect("ink[1:] & ~ink[:-1]", "~ink[1:] & ink[:-1]"), Defect("> threshold", ">= threshold")],
    ),
    Oracle(
        "shrunk_kernels",
        function="iou",
        reference=iou_by_pixels,
        cases=pairs_of_boxes,
        defects=[
            Defect("- max(a[0], b[0]), 0)", "- max(a[0], b[0]), 1)"),
            Defect("area_a + area_b - inter", "area_a + area_b"),
        ],
    ),
    Oracle(
        "shrunk_kernels",
        boxes_of_a_map,
        defects=[
            Defect("y2 + grow, x2 + grow", "y2, x2"),
            Defect(">= 8]", ">= 0]"),
            Defect("2 * hits", "hits"),
        ],
    ),
    Oracle(
        "normalization",
        normalize,
        defects=[
            Defect("image = 1 - image", "pass"),
            Defect("/ (image.max() - image.min())", ""),
            Defect("(5.5 - mass)", "(mass - 5.5)"),
            Defect("[image.sum(1), image.sum(0)]", "[image.sum(0), image.sum(1)]"),
        ],
    ),
    Oracle(
        "check_digit",
        luhn_sum,
        defects=[
            Defect("9 * (double > 9)", "9 * (double > 10)"),
            Defect(".flip(-1)[..., ::2]", "[..., ::2]"),
        ],
    ),
    Oracle(
        "check_digit",
        function="repair",
        reference=best_repair,
        cases=invalid_numbers,
        defects=[
            Defect("gain.argmax()", "gain.argmin()"),
            Defect("gain[luhn_sum(options) != 0] = -torch.inf", ""),
        ],
    ),
]
