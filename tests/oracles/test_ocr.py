"""Oracles for OCR: CTC, decoding, edit distance, thresholds, skew, cutting, boxes, check digits.

Each check takes a snippet's functions and says whether they agree with the oracle: a library
(PyTorch's ctc_loss, scikit-image, SciPy) or brute force. Planted defects must make it disagree.
"""

import functools
import itertools
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.filters import threshold_otsu, threshold_sauvola
from tests.snippet_functions import load_functions

TOPIC = "ocr"


def load(technique, defect=None):
    return load_functions(f"{TOPIC}/{technique}", defect)


# --- CTC -------------------------------------------------------------------------------


def naive_collapse(path):
    """Frame by frame: a symbol counts if it is no blank and differs from the frame before."""
    return tuple(k for t, k in enumerate(path) if k and (t == 0 or path[t - 1] != k))


def collapse_agrees(code) -> bool:
    return all(
        code.collapse(path) == naive_collapse(path)
        for T in range(6)
        for path in itertools.product(range(3), repeat=T)
    )


def forward_agrees(code) -> bool:
    """Equals PyTorch's ctc_loss, and the sum over all paths where there are few."""
    for n in range(60):
        T, classes = int(torch.randint(1, 9, ())), int(torch.randint(2, 5, ()))
        size = int(torch.randint(0, min(T, 4) + 1, ()))
        text = torch.randint(1, classes, (size,))
        if n % 3 == 0:
            text[:] = 1  # doubled letters
        log_probs = torch.randn(T, classes).log_softmax(1)
        loss = F.ctc_loss(log_probs[:, None], text[None], (T,), (size,), reduction="sum")
        got = code.forward_probability(log_probs.exp(), tuple(text.tolist()))
        if abs(got - (-loss).exp()) > 1e-12:
            return False
        if classes**T < 300:
            paths = itertools.product(range(classes), repeat=T)
            fitting = [p for p in paths if naive_collapse(p) == tuple(text.tolist())]
            rows = log_probs.exp()
            total = sum(rows[range(T), list(p)].prod().item() for p in fitting)
            if abs(got - total) > 1e-12:
                return False
            brute, count = code.brute_force(rows, tuple(text.tolist()))
            if count != len(fitting) or abs(brute - total) > 1e-12:
                return False
    return True


def test_ctc():
    for technique in ("ctc_alignments", "ctc_decoding"):
        assert collapse_agrees(load(technique))
    assert forward_agrees(load("ctc_alignments"))


@pytest.mark.parametrize(
    "defect",
    [
        ("k != states[s - 2]", "k != 0"),  # merges doubled letters
        ("k != states[s - 2]", "True"),  # skips letters too
        ("total += before[s - 2]", "pass"),
        ("first[k] if s < 2", "first[k] if s < 1"),  # may not start on a letter
        ("sum(alpha[-2:])", "alpha[-1]"),  # must end on a blank
        ("before[max(s - 1, 0) : s + 1]", "before[s : s + 1]"),
    ],
)
def test_ctc_defects_are_caught(defect):
    assert not forward_agrees(load("ctc_alignments", defect))


@pytest.mark.parametrize("technique", ["ctc_alignments", "ctc_decoding"])
def test_collapse_defects_are_caught(technique):
    blanks_first = ("itertools.groupby(path) if k != 0", "itertools.groupby(filter(None, path))")
    assert not collapse_agrees(load(technique, blanks_first))


# --- decoding --------------------------------------------------------------------------


def beam_agrees(code) -> bool:
    """A beam that drops nothing finds the most probable text."""
    for T, classes in ((1, 3), (2, 2), (4, 3), (5, 3)):
        for _ in range(8):
            probs = torch.randn(T, classes).softmax(1)
            total = {}
            for path in itertools.product(range(classes), repeat=T):
                text = naive_collapse(path)
                total[text] = total.get(text, 0) + probs[range(T), list(path)].prod().item()
            if code.beam_search(probs, 10**6) != max(total, key=total.get):
                return False
    return True


def test_decoding():
    code = load("ctc_decoding")
    assert beam_agrees(code)
    for _ in range(50):
        probs = torch.randn(7, 4).softmax(1)
        assert code.greedy(probs) == naive_collapse(probs.argmax(1).tolist())
        sure = (9 * F.one_hot(torch.randint(0, 4, (7,)), 4).double()).softmax(1)
        for width in (1, 3):  # the best path has more than half of the probability
            assert code.beam_search(sure, width) == code.greedy(sure)


@pytest.mark.parametrize(
    "defect",
    [
        ("+= blank * frame[k]", "+= (blank + letter) * frame[k]"),
        ("+= letter * frame[k]", "+= (blank + letter) * frame[k]"),
        ("if prefix and k == prefix[-1]", "if False"),
        ("+= (blank + letter) * frame[0]", "+= letter * frame[0]"),
    ],
)
def test_decoding_defects_are_caught(defect):
    assert not beam_agrees(load("ctc_decoding", defect))


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


def distance_agrees(code) -> bool:
    dice = random.Random(0)
    for _ in range(300):
        a, b = ("".join(dice.choices("abc", k=dice.randrange(9))) for _ in range(2))
        if code.edit_distance(a, b) != plain_distance(a, b):
            return False
    return code.edit_distance([1, 2], [2]) == 1  # lists, as the CRNN uses it


@pytest.mark.parametrize("technique", ["edit_distance", "crnn_line"])
def test_edit_distance(technique):
    assert distance_agrees(load(technique))
    for defect in [
        ("above[j - 1] + (x != y)", "above[j - 1] + 2 * (x != y)"),  # no substitutions
        ("row = row, [i]", "row = row, [0]"),
        ("above[j] + 1, ", ""),  # no deletions
        ("row[-1] + 1, ", ""),  # no insertions
    ]:
        assert not distance_agrees(load(technique, defect)), defect


def test_brute_force_search():
    code = load("edit_distance")
    found = code.brute_force("aba", "ab", 4)
    texts = ["".join(p) for n in range(5) for p in itertools.product("ab", repeat=n)]
    assert all(found[text] == plain_distance("aba", text) for text in texts)


# --- thresholds ------------------------------------------------------------------------


def gray_images():
    for low, high in ((0, 256), (90, 110), (0, 2)):
        yield torch.randint(low, high, (30, 41)).double()
    ink = torch.rand(40, 36) < 0.2
    yield (200 - 120 * ink + 10 * torch.randn(40, 36)).round().clamp(0, 255)


def otsu_agrees(code) -> bool:
    return all(
        torch.equal(gray <= code.otsu(gray), gray <= int(threshold_otsu(gray.numpy().astype(np.uint8))))
        for gray in gray_images()
    )


def sauvola_agrees(code) -> bool:
    for gray, window, k in itertools.product(gray_images(), (3, 15, 25), (0.2, 0.5)):
        expected = threshold_sauvola(gray.numpy(), window, k, r=128)
        if not np.allclose(code.sauvola(gray, window, k).numpy(), expected, atol=1e-6):
            return False
    return True


def test_thresholds():
    code = load("binarization")
    assert otsu_agrees(code) and sauvola_agrees(code)


def test_threshold_defects_are_caught():
    for defect in [
        ("below * above * apart**2", "apart**2"),
        ("(total[-1] - total) / above", "total[-1] / above"),
        ("torch.arange(256.0)", "torch.arange(256.0).flip(0) ** 2"),
    ]:
        assert not otsu_agrees(load("binarization", defect)), defect
    for defect in [
        ("(std / R - 1)", "(std / R)"),
        ('"reflect"', '"replicate"'),
        ("(square - mean**2).clamp(min=0).sqrt()", "(square - mean**2).clamp(min=0)"),
        ("window // 2,", "window // 2 - 1, window // 2 + 1,"),
    ]:
        try:
            agrees = sauvola_agrees(load("binarization", defect))
        except (RuntimeError, ValueError):
            agrees = False
        assert not agrees, defect


# --- skew, cutting, boxes, normalization -----------------------------------------------


def skew_agrees(code) -> bool:
    """Straight stripes turned by a known angle."""
    stripes = np.zeros((90, 160))
    stripes[15:75:10, 20:140] = 1
    stripes = ndimage.gaussian_filter(stripes, 1.5)
    return all(
        abs(code.skew(ndimage.rotate(stripes, -angle, reshape=False, order=1)) - angle) < 0.3
        for angle in (-8.3, 4.4)
    )


def test_skew():
    assert skew_agrees(load("deskew"))
    assert not skew_agrees(load("deskew", (".sum(1))", ".sum(0))")))
    assert not skew_agrees(load("deskew", ("fine = best +", "fine = best - 2 +")))


def cuts_agree(code) -> bool:
    for _ in range(60):
        image = torch.randint(0, 3, (2, 30)).double()
        image[:, 0] = 0  # a line starts with an empty column
        for threshold in (0, 1.5):
            starts, column = [], 0
            for ink, run in itertools.groupby((image.sum(0) > threshold).tolist()):
                starts += [column] * ink
                column += len(list(run))
            if code.cuts(image, threshold).tolist() != starts:
                return False
    return True


def test_cuts():
    assert cuts_agree(load("touching_characters"))
    assert not cuts_agree(load("touching_characters", ("ink[1:] & ~ink[:-1]", "~ink[1:] & ink[:-1]")))
    assert not cuts_agree(load("touching_characters", ("> threshold", ">= threshold")))


def boxes_agree(code) -> bool:
    """IoU equals counting pixels; boxes hold exactly their component; F1 of hand cases."""
    for _ in range(60):
        a, b = (
            tuple(torch.cat([c, c + torch.randint(1, 9, (2,))]).tolist()) for c in torch.randint(0, 9, (2, 2))
        )
        pixels = torch.zeros(2, 20, 20, dtype=torch.bool)
        for layer, (y1, x1, y2, x2) in zip(pixels, (a, b)):
            layer[y1:y2, x1:x2] = True
        expected = (pixels.all(0).sum() / pixels.any(0).sum()).item()
        if abs(code.iou(a, b) - expected) > 1e-6:
            return False
    mask = torch.zeros(30, 30, dtype=torch.bool)
    truth = [(3, 4, 9, 20), (12, 2, 16, 9)]
    for y1, x1, y2, x2 in truth:
        mask[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1] = True
    mask[25, 25] = True  # a speck
    if sorted(code.find_boxes(mask, 1)) != truth:
        return False
    return code.f1([mask], [truth], 1) == 1 and code.f1([mask], [[*truth, (20, 20, 22, 29)]], 1) == 0.8


def test_boxes():
    assert boxes_agree(load("shrunk_kernels"))
    for defect in [
        ("- max(a[0], b[0]), 0)", "- max(a[0], b[0]), 1)"),
        ("area_a + area_b - inter", "area_a + area_b"),
        ("y2 + grow, x2 + grow", "y2, x2"),
        (">= 8]", ">= 0]"),
    ]:
        assert not boxes_agree(load("shrunk_kernels", defect)), defect


def normalization_agrees(code) -> bool:
    x = torch.zeros(12, 1, 12, 12)
    x[..., 3:9, 4:9] = torch.rand(12, 1, 6, 5)
    out = code.normalize(x)
    for image, back in zip(out[:, 0].numpy(), code.normalize(0.9 - 0.3 * x.roll((2, -3), (2, 3)))[:, 0]):
        center = np.array(ndimage.center_of_mass(image))
        if np.abs(center - 5.5).max() > 0.51 or not np.allclose(image, back, atol=1e-9):
            return False
    return out.min() == 0 and out.max() == 1


def test_normalization():
    assert normalization_agrees(load("normalization"))
    for defect in [
        ("image = 1 - image", "pass"),
        ("/ (image.max() - image.min())", ""),
        ("(5.5 - mass)", "(mass - 5.5)"),
        ("[image.sum(1), image.sum(0)]", "[image.sum(0), image.sum(1)]"),
    ]:
        assert not normalization_agrees(load("normalization", defect)), defect


# --- check digits ----------------------------------------------------------------------


def luhn_by_hand(digits):
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += digit if place % 2 == 0 else sum(map(int, str(2 * digit)))
    return total % 10


def luhn_agrees(code) -> bool:
    for n in (1, 2, 7, 16):
        numbers = torch.randint(0, 10, (40, n))
        if code.luhn_sum(numbers).tolist() != [luhn_by_hand(d) for d in numbers.tolist()]:
            return False
    return True


def repair_agrees(code) -> bool:
    """The best of all numbers that differ in one place and obey the rule."""
    for n in (4, 7, 7, 7):
        log_probs = torch.randn(n, 10).log_softmax(1)
        number = log_probs.argmax(1)
        if luhn_by_hand(number.tolist()) == 0:
            continue
        best = max(
            (
                option
                for place, digit in itertools.product(range(n), range(10))
                if luhn_by_hand(option := [*number.tolist()[:place], digit, *number.tolist()[place + 1 :]])
                == 0
            ),
            key=lambda option: log_probs[range(n), option].sum().item(),
        )
        if code.repair(number, log_probs).tolist() != best:
            return False
    return True


def test_check_digit():
    code = load("check_digit")
    assert luhn_agrees(code) and repair_agrees(code)
    card = torch.tensor([int(c) for c in "4111111111111111"])  # a well-known test number
    assert code.luhn_sum(card) == 0
    for place, digit in itertools.product(range(16), range(10)):  # finds each single error
        wrong = card.clone()
        wrong[place] = digit
        assert (code.luhn_sum(wrong) == 0) == (digit == card[place])


def test_check_digit_defects_are_caught():
    assert not luhn_agrees(load("check_digit", ("9 * (double > 9)", "9 * (double > 10)")))
    assert not luhn_agrees(load("check_digit", (".flip(-1)[..., ::2]", "[..., ::2]")))
    assert not repair_agrees(load("check_digit", ("gain.argmax()", "gain.argmin()")))
    assert not repair_agrees(load("check_digit", ("gain[luhn_sum(options) != 0] = -torch.inf", "")))
