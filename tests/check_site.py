"""Check the built site for what MkDocs' strict mode misses.

Raw HTML links, fragments, duplicate ids, undefined references, leftover markup, formulas that KaTeX
refuses, requests to other hosts. Part of ``make site``: each mistake names its page and a remedy.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html
from py_mini_racer import MiniRacer

SITE = Path(__file__).parent.parent / "site"
LOADED = {  # attributes that make a browser request something
    "img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "link": "href",
}  # fmt: skip
REFUSAL = """
function refusal(tex, displayMode) {
  try { katex.renderToString(tex, {displayMode, throwOnError: true, strict: "error"}); return "" }
  catch (error) { return String(error) }
}"""
LEFTOVER = re.compile(r"--8<--|^\s*(?:!!!|\?\?\?|///|:::)|\]\[|\{[:#] ?[\w-]+ ?\}|\$\$|\$[^\s$][^$]*\$", re.M)


def check(site: Path = SITE) -> list[str]:
    """All mistakes of the built site as lines ``page: what is wrong; remedy``."""
    pages = {path: lxml.html.parse(str(path)).getroot() for path in sorted(site.rglob("*.html"))}
    ids = {path: {node.get("id") for node in page.iter() if node.get("id")} for path, page in pages.items()}
    katex = MiniRacer()
    katex.eval((site / "assets/katex/katex.min.js").read_text())
    katex.eval(REFUSAL)
    problems = []
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        for check_page in (_head, _ids, _references, _text, _images):
            problems += [f"{name}: {problem}" for problem in check_page(page)]
        problems += [f"{name}: {problem}" for problem in _links(path, page, ids, site)]
        problems += [f"{name}: {problem}" for problem in _formulas(page, katex)]
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
    levels = [int(node.tag[1]) for node in page.xpath("//article//*[self::h1 or self::h2 or self::h3 or self::h4 or self::h5]")]
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
    for tag, attribute in LOADED.items():
        for node in page.iter(tag):
            url = node.get(attribute, "")
            rel = node.get("rel", "")
            if url.startswith(("http:", "https:", "//")) and rel not in ("canonical", "prev", "next"):
                yield f"loads {url}; readers offline cannot, keep a copy in docs/assets/"


def _text(page) -> Iterator[str]:
    for match in LEFTOVER.finditer(_content(page).text_content()):
        yield f"markup left in the text: {match[0].strip()[:60]!r}; mend the Markdown around it"


def _images(page) -> Iterator[str]:
    for image in page.xpath("//article//img"):
        if not image.get("alt", "").strip():
            yield f"{image.get('src')} has no alternative text; write ![what it shows](…)"


def _links(path: Path, page, ids: dict, site: Path) -> Iterator[str]:
    for node in page.xpath("//*[@href or @src]"):
        url = node.get("href") or node.get("src")
        parts = urlsplit(url)
        if parts.scheme or parts.netloc or url.startswith("javascript:"):
            continue
        # The 404 page is served at any address, so its links count from the root.
        base = site if path.name == "404.html" else path.parent
        target = base / unquote(parts.path).lstrip("/") if parts.path else path
        target = target.resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.exists():
            yield f"link to {url} leads nowhere; mend the path"
        elif parts.fragment and target.suffix == ".html":
            known = ids.get(target) or ids.get(site / target.relative_to(site.resolve()), set())
            # The theme's script makes these two.
            if unquote(parts.fragment) not in known and parts.fragment not in ("__drawer", "__search"):
                yield f"link to {url}: the page has no anchor #{parts.fragment}"


def _formulas(page, katex: MiniRacer) -> Iterator[str]:
    for node in page.xpath("//*[contains(concat(' ', @class, ' '), ' arithmatex ')]"):
        tex = node.text_content().strip()[2:-2]
        if message := katex.call("refusal", tex, node.tag == "div"):
            yield f"formula {tex!r}: {message}"


def main() -> int:
    problems = check()
    for problem in problems:
        print(problem, file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
