"""The built site in a real browser: copying, searching, offline use, both themes, a phone."""

import functools
import gzip
import http.server
import re
import shutil
import threading
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from check_sources import answered, read_questions
from pages import blocks
from playwright.sync_api import expect, sync_playwright
from record import ROOT

CHROMIUM = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
HOME_BYTES, PAGE_BYTES = 300_000, 400_000  # compressed, search index included
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}

PAGES = sorted(
    path.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
    for path in (ROOT / "docs").rglob("*.md")
)
QUESTIONS = answered(read_questions()[1])


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert path, "no Chromium or Chrome on this machine; run tests/install_tools.sh as root"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        browser.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(site):
    """The site served on the loopback interface."""
    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def open_page(browser):
    """Open an address; afterwards: no error on the console and no request to another host."""
    contexts, errors, requests = [], [], []

    def open_page(url, viewport=DESKTOP, theme="light", **options):
        context = browser.new_context(viewport=viewport, color_scheme=theme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    foreign = [u for u in requests if not re.match(r"http://127\.0\.0\.1:\d+/|file:|data:|blob:|about:", u)]
    assert not foreign, f"requests to other hosts: {foreign}"
    assert not errors, errors


def test_copy_buttons_give_the_tested_text(open_page, address):
    pages = sorted({block.page for block in blocks()})
    page = open_page(address, permissions=["clipboard-read", "clipboard-write"])
    for source in pages:
        page.goto(f"{address}/{source.removeprefix('docs/').removesuffix('.md')}.html")
        tested = [block.code.rstrip() for block in blocks() if block.page == source]
        buttons = page.locator(".language-python.highlight").filter(has=page.locator("code"))
        assert buttons.count() == len(tested), f"{source}: a Python block is not tested"
        for number, code in enumerate(tested):
            block = buttons.nth(number)
            block.hover()
            block.locator("button[data-md-type=copy], button.md-clipboard, .md-code__button").first.click()
            page.wait_for_function("navigator.clipboard.readText().then(t => t.length > 0)")
            assert page.evaluate("navigator.clipboard.readText()").rstrip() == code
            page.evaluate("navigator.clipboard.writeText('')")


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


@pytest.mark.parametrize("name", PAGES)
def test_page_on_a_phone_and_with_math(open_page, address, name):
    page = open_page(f"{address}/{name}", viewport=PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"{name} is {width} px wide on a phone of {PHONE['width']} px"
    formulas = page.locator(".arithmatex").count()
    assert page.locator(".arithmatex .katex").count() >= formulas, f"{name}: formulas are not set"
    assert page.locator(".katex-error").count() == 0
    for image in page.locator("article img").all():
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete", arg=image.element_handle())
        assert image.evaluate("image => image.naturalWidth") > 0, image.get_attribute("src")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", [*PAGES, "404.html"])
def test_page_is_accessible(open_page, address, name, theme):
    page = open_page(f"{address}/{name}", theme=theme)
    scheme = page.evaluate("document.body.dataset.mdColorScheme")
    assert scheme == {"light": "default", "dark": "slate"}[theme]
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.wait_for_timeout(300)  # colors change in a transition
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    # Thousands of colored words of code and letters of formulas look the same on every page: one
    # page of answers is checked with them, the others without.
    all_of_it = name in ("contributing.html", "little-data/ensembles.html")
    context = {"include": [["html"]], "exclude": [] if all_of_it else [["pre code"], [".katex-html"]]}
    found = Axe().run(page, context, {"runOnly": {"type": "tag", "values": tags}})
    assert found.violations_count == 0, found.generate_report()


def test_theme_can_be_switched_and_is_kept(open_page, address):
    page = open_page(f"{address}/index.html")
    page.get_by_title("Switch to the dark theme").click()
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page.goto(f"{address}/questions.html")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"


@pytest.mark.parametrize("name", PAGES)
def test_first_view_is_light(browser, address, name, site):
    """Compressed bytes of everything that the first view loads, and of the search index."""
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    loaded = {}
    page.on("response", lambda response: loaded.setdefault(response.url.split("?")[0], response))
    page.goto(f"{address}/{name}", wait_until="networkidle")
    paths = {url.removeprefix(address).lstrip("/") for url in loaded}
    paths |= {path.relative_to(site).as_posix() for path in site.glob("search/search_index.js")}
    context.close()
    weight = sum(_compressed(site / path) for path in paths if (site / path).is_file())
    limit = HOME_BYTES if name == "index.html" else PAGE_BYTES
    print(f"{name}: {weight / 1000:.0f} KB compressed")
    assert weight <= limit, f"{name} weighs {weight} bytes compressed, more than {limit}"


def _compressed(path: Path) -> int:
    data = path.read_bytes()
    return len(data) if path.suffix in (".woff2", ".png") else len(gzip.compress(data))
