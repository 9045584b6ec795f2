"""The explorables: what a reader can do with them, and what the pages say about them.

The tests of form run on every explorable that a page holds.
"""

import re

import pytest
from playwright.sync_api import expect

from answerbook.project import ROOT
from tests.browsing import PHONE

EXPLORABLES = {  # name: page
    name: path.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
    for path in sorted((ROOT / "docs").rglob("*.md"))
    for name in re.findall(
        r'^<div class="explorable" data-explorable="([\w-]+)"', path.read_text(), re.MULTILINE
    )
}


def test_every_explorable_is_on_a_page():
    files = {path.stem for path in (ROOT / "docs/assets/explorables").glob("*.js")}
    assert files - {"explorable", "fgsm_model"} == set(EXPLORABLES)


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
def test_on_a_phone_by_keyboard(open_page, address, place):
    page = open_page(f"{address}/{place}", viewport=PHONE)
    for picture in page.locator(".explorable .picture").all():
        assert len(picture.get_attribute("aria-label")) >= 30
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
    assert (
        operate("nms")
        == "3 of 10 boxes kept: 2 of 3 people, 0 duplicates, 1 false alarm. Lost: the middle person."
    )
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
    assert "= 3, so 3 × 3 outputs. The marked one reads 9 inputs. Every" in operate(
        "convolution", Input_size_H=7
    )
    assert "no output" in operate("convolution", Input_size_H=3, Kernel_k=5)


def test_boxes_can_be_dragged(open_page, address):
    page = open_page(f"{address}/{EXPLORABLES['iou']}", viewport=PHONE, has_touch=True)
    box = page.locator("[data-explorable=iou]")
    result = box.locator(".result")
    presets = {
        "A third to the right": "IoU 0.50",
        "A quarter inside": "IoU 0.25",
        "Apart": "IoU 0.00, at any",
    }
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


def test_quantization_shows_what_the_page_says(operate):
    assert "7 levels, step 0.27" in operate("quantization")
    words = operate("quantization", Range_kept=50)  # where the button and the figure stand
    assert "Clipped: 2.5 %" in words and "13.2 dB" in words and "75 % is rounding, 25 % clipping" in words
    assert "zero point −4" in operate("quantization", Values="relu", Scheme="asymmetric")


def test_receptive_field_shows_what_the_page_says(operate):
    assert operate("receptive-field").startswith("Receptive field 18 px, a new unit every 4 px, 4 units.")
    assert "only 7 of these 13: dilation or stride leaves gaps" in operate(
        "receptive-field", Start_from="gaps"
    )
    assert "field 15 px, a new unit every 1 px" in operate("receptive-field", Start_from="dilated")
    words = operate("receptive-field", Start_from="pooled", Input=8)
    assert words == "Layer 4 does not fit: its kernel spans 2 units, its input has 1."


def test_threshold_shows_what_the_page_says(open_page, address, operate):
    words = operate("threshold", Positives=4, Threshold=1.7)  # the figure
    assert "618 positives found" in words and "F1 0.612" in words
    page = open_page(f"{address}/little-data/class-imbalance.html")
    box = page.locator("[data-explorable=threshold]")
    controls = box.locator(".controls")
    controls.get_by_label("Positives").fill("4")
    box.get_by_role("button", name="Best F1").click()
    assert controls.get_by_label("Threshold").input_value() == "1.7"
    controls.get_by_label("Positives").fill("10")
    box.get_by_role("button", name="Best accuracy").click()
    assert "recall 0.00" in box.locator(".result").inner_text()  # it stops finding positives


def test_fgsm_shows_what_the_page_says(operate):
    assert "it says 7" in operate("fgsm")
    words = operate("fgsm", ε=0.1)
    assert "it says 4 (98 %)" in words and "errs on 12 of these 20" in words
    assert "errs on 0 of these 20" in operate("fgsm", ε=0.1, Direction="random")
