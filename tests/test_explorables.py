"""The explorables: their arithmetic against the snippets and torch, and what a reader can do with them.

The tests of form run on every explorable that a page holds.
"""

import math
import re
from itertools import product

import pytest
import torch
from browsing import PHONE, assert_accessible
from playwright.sync_api import expect
from record import ROOT
from snippet_functions import load_functions

EXPLORABLES = {  # name: page
    name: path.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
    for path in sorted((ROOT / "docs").rglob("*.md"))
    for name in re.findall(r'^<div class="explorable" data-explorable="([\w-]+)"', path.read_text(), re.MULTILINE)
}


def test_every_explorable_is_on_a_page():
    files = {path.stem for path in (ROOT / "docs/assets/explorables").glob("*.js")}
    assert files - {"explorable", "fgsm_model"} == set(EXPLORABLES)


@pytest.fixture
def arithmetic(open_page, address):
    """Call a function of a built script in the browser on many fixtures, also with a planted defect."""
    page = open_page(f"{address}/404.html")  # a small page; what the scripts do on theirs is tested below
    page.add_script_tag(url=f"{address}/assets/explorables/explorable.js")

    def call(name, function, fixtures, defect=None):
        if defect:
            source = (ROOT / f"docs/assets/explorables/{name}.js").read_text()
            assert defect[0] in source, f"{name}.js: no {defect[0]!r} to plant a defect in; update the test"
            page.add_script_tag(content=source.replace(*defect))
        else:
            page.add_script_tag(url=f"{address}/assets/explorables/{name}.js")
        return page.evaluate(
            "([name, f, all]) => all.map(one => explorables[name][f](...one))", [name, function, fixtures]
        )

    return call


@pytest.fixture(autouse=True)
def _double_precision():
    """JavaScript's numbers are doubles; the snippets choose their type at their top."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def same(found, expected) -> bool:
    """Numbers that agree to 1e-12; NaN agrees with NaN."""
    found, expected = torch.tensor(found).double(), torch.tensor(expected).double()
    return found.shape == expected.shape and torch.allclose(found, expected, 1e-12, 1e-12, equal_nan=True)


# --- Arithmetic: non-maximum suppression, IoU and anchors


def random_boxes(generator, n: int) -> torch.Tensor:
    """Boxes on a coarse grid: identical, touching, nested and empty ones are frequent."""
    corner = torch.randint(0, 12, (n, 2), generator=generator)
    size = torch.randint(0, 8, (n, 2), generator=generator)
    return torch.cat([corner, corner + size], 1).double()


def suppression_fixtures() -> list:
    generator = torch.Generator().manual_seed(0)
    fixtures = [[[], [], 0.5], [[[0, 0, 3, 3], [1, 0, 4, 3]], [0.9, 0.8], 0.5]]  # IoU exactly 0.5 stays
    for k in range(200):
        boxes = random_boxes(generator, k % 30)
        scores = torch.randint(0, 10, (len(boxes),), generator=generator) / 10  # with ties
        fixtures.append([boxes.tolist(), scores.tolist(), [0, 0.25, 0.5, 0.7, 1][k % 5]])
    return fixtures


def test_nms_keeps_what_the_snippet_keeps(arithmetic):
    nms = load_functions("object-detection/nms").nms
    fixtures = suppression_fixtures()
    expected = [nms(torch.tensor(b).reshape(-1, 4), torch.tensor(s), t) for b, s, t in fixtures]
    assert arithmetic("nms", "suppress", fixtures) == expected
    defects = [
        ("> threshold)", ">= threshold)"),
        ("!(iou(boxes[best], boxes[k]) > threshold)", "iou(boxes[best], boxes[k]) <= threshold"),
        ("scores[b] - scores[a]", "scores[a] - scores[b]"),
    ]
    for defect in defects:
        assert arithmetic("nms", "suppress", fixtures, defect) != expected, defect


def test_iou_is_the_snippets_and_giou_counts_pixels(arithmetic):
    generator = torch.Generator().manual_seed(1)
    a, b = random_boxes(generator, 400), random_boxes(generator, 400)
    continuous = 20 * torch.rand(100, 4, generator=generator)
    continuous[:, 2:] += continuous[:, :2]
    a, b = torch.cat([a, continuous]), torch.cat([b, continuous.flip(0)])
    fixtures = [list(pair) for pair in zip(a.tolist(), b.tolist())]
    expected = load_functions("object-detection/iou").iou(a, b).diagonal().tolist()
    assert any(map(math.isnan, expected))  # two empty boxes
    assert same(arithmetic("iou", "iou", fixtures), expected)

    x = torch.arange(20) + 0.5  # centers of pixels
    masks = [
        ((x > c[:, 0, None]) & (x < c[:, 2, None]))[:, :, None] & ((x > c[:, 1, None]) & (x < c[:, 3, None]))[:, None]
        for c in (a[:400], b[:400], torch.cat([torch.minimum(a, b)[:400, :2], torch.maximum(a, b)[:400, 2:]], 1))
    ]  # each (400, 20, 20)
    inter, union, hull = ((m.sum((1, 2)).double()) for m in (masks[0] & masks[1], masks[0] | masks[1], masks[2]))
    expected = (inter / union - (hull - union) / hull).tolist()
    assert same(arithmetic("iou", "giou", fixtures[:400]), expected)
    defect = ("(whole - union) / whole", "(whole - union) / union")
    assert not same(arithmetic("iou", "giou", fixtures[:400], defect), expected)


def test_anchors_and_their_labels_are_the_snippets(arithmetic):
    nine = load_functions("object-detection/nine_anchors").nine_anchors
    sizes = [(451, 300, 16), (64, 64, 64), (33, 90, 8), (100, 31, 32)]
    fixtures = [[*size, [64, 128, 256], [0.5, 1, 2]] for size in sizes]
    expected = [nine(*size).flatten(0, 1).tolist() for size in sizes]
    assert all(map(same, arithmetic("anchors", "anchors", fixtures), expected))

    grid = load_functions("object-detection/anchor_recall").grid_anchors
    families = [([32.0, 256.0], [0.25, 0.5, 1.0, 2.0, 4.0], 32, 451), ([128.0], [1.0], 16, 300)]
    found = arithmetic("anchors", "anchors", [[size, size, step, *some] for *some, step, size in families])
    for one, family in zip(found, families):
        assert same(sorted(one), sorted(grid(*family).tolist()))

    match = load_functions("object-detection/anchor_matching").match
    generator = torch.Generator().manual_seed(2)
    anchors = nine(200, 160)[::6].flatten(0, 1)
    objects = 120 * torch.rand(12, 4, generator=generator)
    objects[:, 2:] += objects[:, :2]
    objects = torch.cat([objects, anchors[5:7], torch.tensor([[900.0, 900, 910, 910]])])  # equal; far away
    fixtures = [[anchors.tolist(), one] for one in objects.tolist()]
    expected = [match(anchors, one[None])[0].tolist() for one in objects]
    assert {label for labels in expected for label in labels} == {1, 0, -1}
    assert [one["label"] for one in arithmetic("anchors", "match", fixtures)] == expected
    defects = [
        ("value === best && best > 0", "value === best"),
        (" || (value === best && best > 0)", ""),
        ("value < low", "value < high"),
    ]
    for defect in defects:
        found = arithmetic("anchors", "match", fixtures, defect)
        assert [one["label"] for one in found] != expected, defect


# --- Arithmetic: convolution


def test_output_size_is_the_snippets(arithmetic):
    output_size = load_functions("feature-extraction-and-pooling/output_size").output_size
    fixtures = [list(s) for s in product(range(1, 12), range(1, 6), range(1, 5), range(3), range(1, 4))]
    expected = [output_size(*setting) for setting in fixtures]
    assert min(expected) < 1  # a kernel that does not fit
    assert arithmetic("convolution", "outputSize", fixtures) == expected
    assert arithmetic("convolution", "outputSize", fixtures, ("Math.floor(", "Math.ceil(")) != expected


def test_inputs_read_are_those_that_conv2d_reads(arithmetic):
    """An image of its own column numbers, counted from 1, and kernels of one tap each: padding gives 0."""
    conv2d = load_functions("feature-extraction-and-pooling/patch_dot_products").conv2d
    settings = [
        (size, k, s, p, d)
        for size, k, s, p, d in product((3, 6, 7, 10), range(1, 6), range(1, 5), range(3), range(1, 4))
        if size + 2 * p > d * (k - 1)
    ]
    expected, unread, units = [], [], []
    for size, k, s, p, d in settings:
        x = torch.arange(1.0, size + 1).expand(1, 1, 20, size)  # high enough for a row of real inputs
        taps = torch.zeros(k, 1, k, k)
        taps[range(k), 0, k // 2, range(k)] = 1
        columns = conv2d(x, taps, torch.zeros(k), s, p, d)[0].amax(1).T.long()  # (outputs, k)
        for unit, row in enumerate(columns.tolist()):
            units.append([unit, k, s, p, d])
            expected.append([size, row])
        unread.append(sorted(set(range(size)) - {tap - 1 for tap in columns.flatten().tolist()}))

    def as_read(found):
        return [
            [size, [tap + 1 if 0 <= tap < size else 0 for tap in taps]]
            for (size, _), taps in zip(expected, found)
        ]

    assert as_read(arithmetic("convolution", "taps", units)) == expected
    assert arithmetic("convolution", "unread", [list(s) for s in settings]) == unread
    assert any(unread) and not all(unread)
    defect = ("index * stride - padding + k * dilation", "index * stride - padding + k")
    assert as_read(arithmetic("convolution", "taps", units, defect)) != expected
    assert arithmetic("convolution", "unread", [list(s) for s in settings], defect) != unread


# --- What a reader sees and does

CHANGES = """node => node.querySelector(".result").textContent
  + [...node.querySelectorAll(".picture")].map(picture => picture.innerHTML).join()"""


def operate_by_keyboard(page, box):
    """Every control is reached and moved by keys, changes the picture, and some change the words."""
    expect(box.locator("figure")).to_be_hidden()
    result = box.locator(".result")
    expect(result).to_have_attribute("aria-live", "polite")
    spoken = {result.inner_text()}
    controls = box.locator("input, select, button").all()
    for control in controls:
        control.focus()
        before, changed = box.evaluate(CHANGES), False
        kind = control.evaluate("node => node.type")
        keys = {"range": ["End", "Home"], "select-one": ["ArrowDown", "ArrowUp"]}.get(kind, ["Space"])
        for key in keys:  # a control that stands at one end moves to the other
            page.keyboard.press(key)
            changed = changed or box.evaluate(CHANGES) != before
            spoken.add(result.inner_text())
        assert changed, f"{control.evaluate('node => node.outerHTML')} does nothing"
    assert controls and len(spoken) > 1
    assert not re.search("NaN|undefined|Infinity", "".join(spoken)), spoken


@pytest.mark.parametrize("place", sorted(set(EXPLORABLES.values())))
def test_on_a_phone_in_both_themes_and_by_keyboard(open_page, address, place):
    page = open_page(f"{address}/{place}", viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for picture in page.locator(".explorable .picture").all():
        assert len(picture.get_attribute("aria-label")) >= 30
    for theme in ("default", "slate"):
        page.evaluate("theme => document.body.dataset.mdColorScheme = theme", theme)
        page.wait_for_timeout(300)  # colors change in a transition
        assert_accessible(page, include=[".explorable"])
    for box in page.locator(".explorable").all():
        operate_by_keyboard(page, box)


@pytest.mark.parametrize("place", sorted(set(EXPLORABLES.values())))
def test_without_scripts_the_figure_stays(open_page, address, place):
    page = open_page(f"{address}/{place}", viewport=PHONE, java_script_enabled=False)
    for box in page.locator(".explorable").all():
        expect(box.locator("figure img")).to_be_visible()
        expect(box.locator("figcaption")).to_be_visible()
        assert box.locator(".panel").count() == 0


# --- What the pages say about them


@pytest.fixture
def operate(open_page, address):
    """Set an explorable's controls by their labels and return its words."""
    pages = {}

    def operate(name, **settings):
        page = pages.get(name) or pages.setdefault(name, open_page(f"{address}/{EXPLORABLES[name]}"))
        box = page.locator(f"[data-explorable={name}]")
        for label, value in settings.items():
            control = box.locator(".controls").get_by_label(label.replace("_", " "))
            if control.evaluate("node => node.tagName") == "SELECT":
                control.select_option(value)
            else:
                control.fill(str(value))
        return box.locator(".result").inner_text()

    return operate


def test_nms_needs_the_threshold_and_the_scores(operate):
    assert operate("nms") == "3 of 10 boxes kept: 2 of 3 people, 0 duplicates, 1 false alarm. Lost: the middle person."
    assert "3 of 3 people, 1 duplicate, 1 false alarm" in operate("nms", IoU_threshold=0.55)
    assert "One box for each person." in operate("nms", Lowest_score=0.5)


def test_anchors_fit_as_the_page_says(operate):
    assert "IoU 0.81: positive" in operate("anchors")
    assert "IoU 0.71: positive" in operate("anchors", Object="one eye, 50 × 60")
    assert "IoU 0.64 and is positive only" in operate("anchors", Object="the nose, 64 × 46")
    assert "IoU 0.72: positive" in operate("anchors", Stride="8")
    assert "IoU 0.54 and" in operate("anchors", Object="whiskers, 130 × 32")
    assert "IoU 0.54 and" in operate("anchors", Stride="16")
    assert "IoU 0.84: positive" in operate("anchors", **{"Ratios_h:w": "1:4, 1:2, 1:1, 2:1, 4:1"})
    assert "IoU 0.62 and" in operate("anchors", Object="its pupil, 22 × 36", Scales="32, 64, 128, 256")
    assert "IoU 0.73: positive" in operate("anchors", Stride="8")


def test_convolution_leaves_out_what_the_page_says(operate):
    words = operate("convolution")
    assert "= 3, so 3 × 3 outputs" in words and "row and column 8 are read by no output" in words
    assert "= 3, so 3 × 3 outputs. The marked one reads 9 inputs. Every" in operate("convolution", Input_size_H=7)
    assert "no output" in operate("convolution", Input_size_H=3, Kernel_k=5)


def test_boxes_can_be_dragged(open_page, address):
    page = open_page(f"{address}/{EXPLORABLES['iou']}", viewport=PHONE, has_touch=True)
    box = page.locator("[data-explorable=iou]")
    result = box.locator(".result")
    presets = {"A third to the right": "IoU 0.50", "A quarter inside": "IoU 0.25", "Apart": "IoU 0.00, at any"}
    for label, iou in presets.items():
        box.get_by_role("button", name=label).tap()
        expect(result).to_contain_text(iou)
    picture = box.locator(".picture")
    picture.scroll_into_view_if_needed()
    at, scale = picture.bounding_box(), picture.bounding_box()["width"] / 330
    move = [(245, 75), (105, 75)]  # B, which stands apart, onto A
    (x1, y1), (x2, y2) = [(at["x"] + scale * x, at["y"] + scale * y) for x, y in move]
    page.mouse.move(x1, y1)
    page.mouse.down()
    page.mouse.move(x2, y2, steps=4)
    page.mouse.up()
    expect(result).to_have_text(
        "Intersection 8100, union 8100: IoU 1.00. Box around both 8100, of which 0 empty: GIoU 1.00."
    )
    expect(box.get_by_label("Left")).to_have_value("60")
