"""Check the built site for what MkDocs' strict mode misses.

Raw HTML links, fragments, duplicate ids, undefined references, leftover markup, formulas that KaTeX
refuses, requests to other hosts. Each mistake names its page and a remedy.
"""

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html
from py_mini_racer import MiniRacer

LOADED = {  # attributes that make a browser request something
    "img": "src",
    "script": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "link": "href",
}
REFUSAL = """
function refusal(tex, displayMode) {
  try { katex.renderToString(tex, {displayMode, throwOnError: true, strict: "error"}); return "" }
  catch (error) { return String(error) }
}"""
LEFTOVER = re.compile(r"--8<--|^\s*(?:!!!|\?\?\?|///|:::)|\]\[|\{[:#] ?[\w-]+ ?\}|\$\$|\$[^\s$][^$]*\$", re.M)


def check(site: Path) -> list[str]:
    """All mistakes of the built site as lines ``page: what is wrong; remedy``."""
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    anchors: dict[str, set[str]] = {}  # by page
    links: list[tuple[str, str, str, str]] = []  # with an anchor: page, address, target, anchor
    good: set[tuple[str, str]] = (
        set()
    )  # links without one, by folder and address: the pages of a folder share most
    katex = MiniRacer()
    katex.eval((site / "assets/katex/katex.min.js").read_text())
    katex.eval(REFUSAL)
    problems = []
    for name in sorted(name for name in files if name.endswith(".html")):
        page = lxml.html.parse(str(site / name)).getroot()  # one at a time: a thousand would fill the memory
        anchors[name] = set(page.xpath("//@id", smart_strings=False))  # a smart one keeps its page
        for check_page in (_head, _ids, _references, _text, _images):
            problems += [f"{name}: {problem}" for problem in check_page(page)]
        problems += [f"{name}: {problem}" for problem in _links(name, page, files, good, links)]
        problems += [f"{name}: {problem}" for problem in _formulas(page, katex)]
    for name, url, target, anchor in links:
        # The theme's script makes these two.
        if anchor not in anchors[target] and anchor not in ("__drawer", "__search"):
            problems.append(f"{name}: link to {url}: the page has no anchor #{anchor}")
    for path in sorted(site.rglob("*.css")):
        for url in re.findall(r"url\(([^)]+)\)", path.read_text()):
            url = url.strip("\"' ")
            if url.startswith(("http", "//")):
                problems.append(f"{path.relative_to(site)}: loads {url}; keep a copy in docs/assets/")
            elif not url.startswith(("data:", "#")) and not (path.parent / url.split("?")[0]).exists():
                problems.append(f"{path.relative_to(site)}: {url} does not exist")
    return problems


def _content(page):
    """The article, without code, formulas and scripts."""
    article = page.find(".//article")
    copy = lxml.html.fromstring(lxml.html.tostring(page if article is None else article))
    for node in copy.xpath("//pre|//code|//script|//style|//*[contains(@class,'arithmatex')]"):
        node.drop_tree()
    return copy


def _head(page) -> Iterator[str]:
    if page.get("lang") != "en":
        yield "no lang attribute on <html>"
    if not page.xpath("string(//title)").strip():
        yield "no <title>; give the page a title in its front matter"
    if not page.xpath("string(//meta[@name='description']/@content)").strip():
        yield "no description; give the page one in its front matter"
    levels = [
        int(node.tag[1])
        for node in page.xpath("//article//*[self::h1 or self::h2 or self::h3 or self::h4 or self::h5]")
    ]
    if levels.count(1) != 1:
        yield f"{levels.count(1)} headings of level 1; write exactly one `# Title`"
    for above, below in zip(levels, levels[1:]):
        if below > above + 1:
            yield f"a heading of level {below} follows one of level {above}; skip no level"


def _ids(page) -> Iterator[str]:
    for identifier, count in Counter(page.xpath("//@id")).items():
        if count > 1:
            yield f"id #{identifier} occurs {count} times; give one heading another anchor"


def _references(page) -> Iterator[str]:
    if not page.xpath("//head/meta[@http-equiv='Content-Security-Policy']"):
        yield "no Content-Security-Policy; mend answerbook/site/finish.py if the theme's <head> changed"
    for node in page.xpath("//style|//*[@style]|//@*[starts-with(name(), 'on')]/.."):
        yield f"<{node.tag}> with a style or a script of its own, which browsers refuse here; use docs/assets/"
    for tag, attribute in LOADED.items():
        for node in page.iter(tag):
            url = node.get(attribute, "")
            rel = node.get("rel", "")
            if url.startswith(("http:", "https:", "//")) and rel not in ("canonical", "prev", "next"):
                yield f"loads {url}; readers offline cannot, keep a copy in docs/assets/"


def _text(page) -> Iterator[str]:
    if page.xpath("//@markdown"):
        yield "an attribute `markdown` is left; Markdown took a `<` for a tag, in a formula write `i < l`, not `i<l`"
    for match in LEFTOVER.finditer(_content(page).text_content()):
        yield f"markup left in the text: {match[0].strip()[:60]!r}; mend the Markdown around it"


def _images(page) -> Iterator[str]:
    for image in page.xpath("//article//img"):
        if not image.get("alt", "").strip():
            yield f"{image.get('src')} has no alternative text; write ![what it shows](…)"


def _links(name: str, page, files: set[str], good: set, anchored: list) -> Iterator[str]:
    """Links that lead nowhere; those to an anchor go to ``anchored``, for when all anchors are known."""
    root = json.loads(page.xpath("string(//script[@id='__config'])") or "{}").get("base", "")
    folder = posixpath.dirname(name) if name != "404.html" else name
    for url in page.xpath("//@href | //@src", smart_strings=False):
        if (folder, url) in good:
            continue
        parts = urlsplit(url)
        if parts.scheme or parts.netloc:
            continue
        inside, target = unquote(parts.path), name
        if name == "404.html" and inside:  # served at any address
            if not inside.startswith(root):
                yield f"link to {url} is outside of {root}, where SITE_URL says that the site is"
                continue
            target = inside.removeprefix(root) or "."
        elif inside.startswith("/"):
            yield f"link to {url} fails on a disk and under a sub-path; write it relative to the page"
            continue
        elif inside:
            target = posixpath.normpath(posixpath.join(folder, inside))
        if target not in files:
            target = posixpath.normpath(f"{target}/index.html")
        if target not in files:
            yield f"link to {url} leads nowhere; mend the path"
        elif parts.fragment and target.endswith(".html"):
            anchored.append((name, url, target, unquote(parts.fragment)))
        else:
            good.add((folder, url))


def _formulas(page, katex: MiniRacer) -> Iterator[str]:
    for node in page.xpath("//*[contains(concat(' ', @class, ' '), ' arithmatex ')]"):
        tex = node.text_content().strip()[2:-2]
        if message := katex.call("refusal", tex, node.tag == "div"):
            yield f"formula {tex!r}: {message}"
