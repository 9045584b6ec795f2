"""The built site in a real browser: copying, searching, offline use, both themes, a phone."""

import gzip
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from answerbook.project import ROOT
from tests.blocks import blocks
from tests.browsing import COLORS, DESKTOP, PHONE, assert_accessible, hold_still, switch_theme
from tests.sources import QUESTIONS

HOME_BYTES, PAGE_BYTES = 300_000, 400_000  # compressed, search index included
PAGES = sorted(
    path.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
    for path in (ROOT / "docs").rglob("*.*")
    if path.suffix in (".md", ".ipynb") and path.parent.name != "parts"
)


COPY_ALL = """async () => {
  const soon = () => new Promise(resolve => setTimeout(resolve, 5));
  const texts = [];
  document.querySelectorAll("details.code").forEach(details => details.open = true);
  for (const block of document.querySelectorAll(".language-python.highlight")) {
    block.scrollIntoView();  // the theme adds the button when the block comes into view
    const button = () => block.querySelector("button[data-md-type=copy], button.md-clipboard");
    for (let i = 0; i < 1000 && !button(); i++) await soon();
    await navigator.clipboard.writeText("");
    button().click();
    let text = "";
    for (let i = 0; i < 1000 && !text; i++, await soon()) text = await navigator.clipboard.readText();
    texts.push(text.trimEnd());
  }
  return texts;
}"""


def test_copy_buttons_give_the_tested_text(open_page, address):
    page = open_page(address, permissions=["clipboard-read", "clipboard-write"])
    for source in sorted({block.page for block in blocks()}):
        page.goto(f"{address}/{source.removeprefix('docs/').removesuffix('.md')}.html")
        tested = [block.code.rstrip() for block in blocks() if block.page == source]
        assert page.evaluate(COPY_ALL) == tested, f"{source}: a button copies what was not tested"


# Where the focus is: its number among the elements of the page (-1: on none), and how it and what may
# show its focus look, now and when the focus was elsewhere. The theme hides a radio button behind its label.
FOCUS = """() => {
  const look = (node) => [node, node.parentElement, node.closest("form, section"), node.nextElementSibling]
    .filter(Boolean).map(getComputedStyle)
    .map((style) => [style.outline, style.boxShadow, style.backgroundColor, style.borderColor]).join();
  const [last, now] = [window.lastFocus, document.activeElement];
  window.lastFocus = now === document.body ? null : now;
  return {
    index: now === document.body ? -1 : [...document.querySelectorAll("*")].indexOf(now),
    name: now.outerHTML.slice(0, 120),
    look: look(now),
    left: last ? look(last) : "",
    hidden: !now.matches("[type=radio]") && !(now.offsetHeight && now.offsetWidth),
  };
}"""
# What a reader can operate or scroll, by its number; of radio buttons the Tab key reaches the chosen one.
# Chromium stops at all that scrolls, other browsers only where the page says so: with `tabindex` or something
# to operate inside.
OPERABLE = """() => [...document.querySelectorAll("*")].flatMap((node, index) => {
  const scrolls = node.scrollWidth > node.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(node).overflowX);
  const led = node.querySelector("a[href], button, input, summary, [tabindex]");  // the key scrolls it on its way
  if (scrolls && node.tabIndex < 0 && !led) return [index, -1];
  const operable = node.matches("a[href], button, input, select, textarea, summary, [tabindex]");
  const shown = node.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  const skipped = node.matches("[tabindex='-1'], [disabled], [hidden], [type=radio]:not(:checked), .md-search *");
  return shown && !skipped && ((scrolls && !led) || operable) ? [index] : [];
})"""
TAGS = "numbers => numbers.map(i => document.querySelectorAll('*')[i].outerHTML.slice(0, 120))"


def test_folded_code_opens_where_a_link_leads_into_it(open_page, address, site):
    """With scripts, without them, and when the address changes on the open page."""
    for scripts in (True, False):
        page = open_page(f"{address}/little-data/ensembles.html#code-bagging", java_script_enabled=scripts)
        opened = page.locator("details.code[open]")
        expect(opened).to_have_count(1)
        expect(opened.locator("#code-bagging")).to_be_in_viewport()
        if scripts:
            page.goto(f"{address}/little-data/ensembles.html#code-stacking")
            expect(opened).to_have_count(2)
        else:
            page.locator("details.code summary").first.click()
            expect(page.locator("details.code .language-python").first).to_be_visible()


@pytest.mark.parametrize(
    "name", ["index.html", "efficiency/gpus.html", "practice.html", "labs/shrink_a_cnn.html"]
)
def test_tab_key_walks_through_the_page(open_page, address, name):
    """From the link to the content on, in the order of the page, to everything that can be operated or
    scrolled; each stop is seen, and the last one leads out of the page."""
    page = open_page(f"{address}/{name}", viewport=PHONE if name == "efficiency/gpus.html" else DESKTOP)
    page.wait_for_load_state("networkidle")
    hold_still(page)
    operable, stops = page.evaluate(OPERABLE), []
    scrolling = [operable[i - 1] for i, index in enumerate(operable) if index < 0]
    assert not page.evaluate(TAGS, scrolling), f"{name}: give tabindex=0 to what scrolls"
    while True:
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert not stops or focus["left"] != stops[-1]["look"], f"{stops[-1]['name']}: no sign of the focus"
        if focus["index"] < 0:
            break
        assert not focus["hidden"], f"{focus['name']} has the focus and cannot be seen"
        assert not stops or focus["index"] > stops[-1]["index"], f"{focus['name']} is out of order"
        if "md-search__input" in focus["name"]:  # a moment later the search opens around it
            expect(page.locator("#__search")).to_be_checked()
            focus = page.evaluate(FOCUS)
        stops.append(focus)
    assert "md-skip" in stops[0]["name"]
    missed = set(operable) - {stop["index"] for stop in stops}
    assert not page.evaluate(TAGS, sorted(missed)), f"{name}: the Tab key does not reach this"


def test_keys_open_and_close_search_menu_and_answers(open_page, address):
    page = open_page(f"{address}/efficiency/gpus.html", viewport=PHONE)
    for target, key in [("article summary", "Enter"), ("article summary", "Space")]:
        details = page.locator("article details").first
        was_open = details.get_attribute("open") is not None
        page.locator(target).first.focus()
        page.keyboard.press(key)
        assert (details.get_attribute("open") is not None) != was_open, f"{key} does not work on {target}"
    page.keyboard.press("/")
    expect(page.locator("#__search")).to_be_checked()
    expect(page.locator("[data-md-component=search-query]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#__search")).not_to_be_checked()
    expect(page.locator("article summary").first).to_be_focused()
    menu = page.get_by_role("button", name="Menu")
    for key, is_open in [("Enter", "true"), ("Space", "false"), ("Space", "true"), ("Escape", "false")]:
        menu.focus() if key != "Escape" else page.locator(".md-nav--primary a").first.focus()
        page.keyboard.press(key)
        expect(menu).to_have_attribute("aria-expanded", is_open)
        assert page.locator("#__drawer").is_checked() == (is_open == "true"), key
    expect(menu).to_be_focused()


def test_no_letter_leaves_the_page(open_page, address):
    page = open_page(f"{address}/questions.html")
    page.wait_for_load_state("networkidle")
    for key in ("n", "p", "N", ".", ","):
        page.keyboard.press(key)
    page.keyboard.press("/")  # keys are heard in their order: by now a letter would have led away
    expect(page.locator("[data-md-component=search-query]")).to_be_focused()
    assert page.url == f"{address}/questions.html"


def test_search_works_from_disk(open_page, site):
    """Each question by its title; test_search.py does the same and more over HTTP."""
    page = open_page((site / "index.html").as_uri())
    page.keyboard.press("/")
    box = page.locator("[data-md-component=search-query]")
    sections = page.locator(".md-search-result__item").first.locator("a[href*='#']")
    for number, question in QUESTIONS.items():
        box.fill(question.title)
        box.press("End")  # the search listens to keys
        # Results replace each other while the worker answers: wait for the right one on top.
        wanted = rf"{question.topic}\.html\?h=.*#q{number}$"
        try:
            expect(sections.first).to_have_attribute("href", re.compile(wanted), timeout=15_000)
        except AssertionError as error:
            raise AssertionError(f"Q{number} {question.title!r}: {error}") from None


SHOW_ALL = """async () => {
  document.querySelectorAll("details").forEach(details => details.open = true);
  const images = [...document.querySelectorAll("article img")];
  images.forEach(image => image.loading = "eager");
  await Promise.all(images.map(image => image.decode()));
}"""


# A page has thousands of colored words of code, and letters of formulas in the color of the text around them:
# "same" are all but one word of each color and one formula. "alike" are paragraphs, rows and so on that hold the
# same kinds of elements inside of the same kinds of elements as one that was looked at before, here or on
# another page; the new kinds are returned.
MARK_REPETITIONS = """known => {
  const first = (seen, key) => !seen.has(key) && seen.add(key);
  const colors = new Set(), blocks = new Set(known);
  for (const span of document.querySelectorAll("pre code span"))
    if (!first(colors, span.className)) span.replaceWith(...span.childNodes);
  for (const letters of [...document.querySelectorAll(".katex-html")].slice(1)) letters.classList.add("same");
  const kind = (node) => node.tagName + "." + node.className;
  const above = (node) => node ? [kind(node), ...above(node.parentElement)] : [];
  for (const block of document.querySelectorAll("li, tr, p, pre, h2, h3, h4, summary, figcaption, nav, header, footer")) {
    const key = [...above(block), "holds", ...new Set([...block.querySelectorAll("*")].map(kind))].join();
    if (!first(blocks, key)) block.classList.add("alike");
  }
  return [...blocks].slice(known.length);
}"""
KINDS: list[str] = []  # of the blocks on the pages so far
REMOVE_REPETITIONS = """() => document.querySelectorAll(".same, .alike").forEach(node => node.remove())"""
# What a wider screen may change about a page, beside its colors. All rules run there on a page of each kind.
LAYOUT = [*COLORS, "target-size", "scrollable-region-focusable"]
WIDE = [
    "index.html",
    "questions.html",
    "practice.html",
    "ledger.html",
    "cheat-sheets/foundations.html",
    "404.html",
]
WIDE += ["efficiency/distillation.html", "vision-tasks/object-detection.html", "labs/detector.html"]


@pytest.mark.parametrize("name", [*PAGES, "404.html"])
def test_page(open_page, address, site, name):
    """Weight, width, formulas and, on a phone and a desktop in both themes, accessibility.

    All rules run on the whole page on a phone. A wider screen shows other parts, and a theme changes nothing but
    colors: there the kinds of blocks count which no page before had, and the rules that can tell a difference."""
    loaded = []
    page = open_page(f"{address}/{name}", viewport=PHONE, loaded=loaded)
    page.wait_for_load_state("networkidle")
    weight = _first_view(site, [url.removeprefix(address) for url in loaded])
    limit = HOME_BYTES if name == "index.html" else PAGE_BYTES
    print(f"{name}: {weight / 1000:.0f} KB compressed")
    assert weight <= limit, f"{name} weighs {weight} bytes compressed, more than {limit}"

    page.evaluate(SHOW_ALL)  # fails if a picture does
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"{name} is {width} px wide on a phone of {PHONE['width']} px"
    expect(page.locator(".arithmatex:not(:has(.katex))"), "formulas that are not set").to_have_count(0)
    assert page.locator(".katex-error").count() == 0

    KINDS.extend(page.evaluate(MARK_REPETITIONS, KINDS))
    hold_still(page)
    assert_accessible(page, exclude=[".same"])
    if name in WIDE:
        page.set_viewport_size(DESKTOP)
        assert_accessible(page, exclude=[".same"])
        page.set_viewport_size(PHONE)
    page.evaluate(REMOVE_REPETITIONS)
    switch_theme(page, "slate")
    assert_accessible(page, rules=COLORS)
    page.set_viewport_size(DESKTOP)
    assert_accessible(page, rules=COLORS)
    switch_theme(page, "default")
    assert_accessible(page, rules=LAYOUT)


def _first_view(site: Path, loaded: list[str]) -> int:
    """Compressed bytes of everything that was loaded, and of the search index, loaded or not."""
    paths = {url.split("?")[0].lstrip("/") or "index.html" for url in loaded} | {"search/search_index.json"}
    return sum(_compressed(site / path) for path in paths if (site / path).is_file())


def _compressed(path: Path) -> int:
    data = path.read_bytes()
    return len(data) if path.suffix in (".woff2", ".png") else len(gzip.compress(data))


def test_theme_follows_the_system_can_be_switched_and_is_kept(open_page, address):
    page = open_page(f"{address}/index.html", theme="dark")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page = open_page(f"{address}/index.html")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "default"
    page.get_by_title("Switch to the dark theme").click()
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page.goto(f"{address}/questions.html")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
