"""The built site in a real browser: copying, searching, offline use, both themes, a phone."""

import gzip
import re
from pathlib import Path

import pytest
from browsing import PHONE, assert_accessible
from generated_pages import answered, read_questions
from pages import blocks
from playwright.sync_api import expect
from record import ROOT

HOME_BYTES, PAGE_BYTES = 300_000, 400_000  # compressed, search index included
# Thousands of colored words of code look the same on every page: one page is checked with them.
# The letters of formulas take the color of the text around them.
CODE = [["pre code"], [".katex-html"]]

PAGES = sorted(
    path.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
    for path in (ROOT / "docs").rglob("*.md")
)
QUESTIONS = answered(read_questions()[1])


COPY_ALL = """async () => {
  const soon = () => new Promise(resolve => setTimeout(resolve, 5));
  const texts = [];
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


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_search_finds_each_question_by_its_title(open_page, address, site, scheme):
    page = open_page(f"{address}/index.html" if scheme == "http" else (site / "index.html").as_uri())
    page.keyboard.press("/")
    box = page.locator("[data-md-component=search-query]")
    sections = page.locator(".md-search-result__item").first.locator("a[href*='#']")
    for number, question in QUESTIONS.items():
        box.fill(question["title"])
        box.press("End")  # the search listens to keys
        # Results replace each other while the worker answers: wait for the right one on top.
        wanted = rf"{question['topic']}\.html\?h=.*#q{number}$"
        try:
            expect(sections.first).to_have_attribute("href", re.compile(wanted), timeout=15_000)
        except AssertionError as error:
            raise AssertionError(f"Q{number} {question['title']!r}: {error}") from None


SHOW_ALL = """async () => {
  document.querySelectorAll("details").forEach(details => details.open = true);
  const images = [...document.querySelectorAll("article img")];
  images.forEach(image => image.loading = "eager");
  await Promise.all(images.map(image => image.decode()));
}"""


@pytest.mark.parametrize("name", [*PAGES, "404.html"])
def test_page_on_a_phone_in_light(open_page, address, site, name):
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
    formulas = page.locator(".arithmatex").count()
    assert page.locator(".arithmatex .katex").count() >= formulas, f"{name}: formulas are not set"
    assert page.locator(".katex-error").count() == 0
    assert page.evaluate("document.body.dataset.mdColorScheme") == "default"
    assert_accessible(page, exclude=[] if name == "contributing.html" else CODE)


@pytest.mark.parametrize("name", [*PAGES, "404.html"])
def test_page_on_a_desktop_in_dark(open_page, address, name):
    page = open_page(f"{address}/{name}", theme="dark")
    page.evaluate(SHOW_ALL)
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page.wait_for_timeout(300)  # colors change in a transition
    assert_accessible(page, exclude=[] if name == "contributing.html" else CODE)


def _first_view(site: Path, loaded: list[str]) -> int:
    """Compressed bytes of everything that was loaded, and of the search index, loaded or not."""
    paths = {url.split("?")[0].lstrip("/") or "index.html" for url in loaded} | {"search/search_index.json"}
    return sum(_compressed(site / path) for path in paths if (site / path).is_file())


def _compressed(path: Path) -> int:
    data = path.read_bytes()
    return len(data) if path.suffix in (".woff2", ".png") else len(gzip.compress(data))


def test_theme_can_be_switched_and_is_kept(open_page, address):
    page = open_page(f"{address}/index.html")
    page.get_by_title("Switch to the dark theme").click()
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page.goto(f"{address}/questions.html")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
