"""The built site in a real browser: fixtures and checks that several tests use."""

import functools
import http.server
import re
import shutil
import threading
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from answerbook.audits.lighthouse import CHROMIUM

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}


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


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host that writes nothing to the terminal."""

    def log_message(self, *args):
        pass


@contextmanager
def served(folder, handler=Quiet):
    """The address of a folder on the loopback interface."""
    handler = functools.partial(handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def address(site):
    """The site served on the loopback interface."""
    with served(site) as url:
        yield url


@pytest.fixture
def open_page(browser):
    """Open an address; afterwards: no error on the console and no request to another host."""
    contexts, errors, requests = [], [], []

    def open_page(url, viewport=DESKTOP, theme="light", loaded=None, **options):
        context = browser.new_context(viewport=viewport, color_scheme=theme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        if loaded is not None:
            page.on("response", lambda response: loaded.append(response.url))
        page.goto(url, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    foreign = [u for u in requests if not re.match(r"http://127\.0\.0\.1:\d+/|file:|data:|blob:|about:", u)]
    assert not foreign, f"requests to other hosts: {foreign}"
    assert not errors, errors


STILL = """() => {
  const style = new CSSStyleSheet();
  style.replaceSync("*, ::before, ::after { transition: none !important; animation: none !important }");
  document.adoptedStyleSheets.push(style);
}"""
COLORS = ["color-contrast", "link-in-text-block"]


def hold_still(page):
    """From now on the page changes its colors and places at once, not over a third of a second."""
    page.evaluate(STILL)


def switch_theme(page, scheme):
    """Set the page's colors to the theme's scheme ``default`` (light) or ``slate`` (dark)."""
    page.evaluate("scheme => document.body.dataset.mdColorScheme = scheme", scheme)


def assert_accessible(page, include=("html",), exclude=(), rules=()):
    """axe finds no violation of WCAG 2.2 AA or of its best practices in these parts of the page, each a
    CSS selector. ``rules``: only these, such as COLORS, those which the theme decides."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": tags}
    context = {
        "include": [[selector] for selector in include],
        "exclude": [[selector] for selector in exclude],
    }
    found = Axe().run(page, context, {"runOnly": only, "resultTypes": ["violations"]})
    assert found.violations_count == 0, f"{page.url} in {page.viewport_size}: {found.generate_report()}"
