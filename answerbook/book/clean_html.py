"""One clean HTML book from the built pages: parts, chapters, questions, a glossary and three indexes.

Everything here either removes what only a browser needs, or names in classes and attributes what
the PDF and the EPUB must know. Whatever a reader would miss (an image, a target) stops the build.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from lxml import etree, html

from answerbook import model
from answerbook.model import VERDICTS
from answerbook.project import Trouble
from answerbook.project import slug as _slug

# Pages that are no chapter. The list of questions becomes the indexes, and links to it land there.
# The home page only leads to the others, the recipe for contributors is of use only beside the
# sources, and the ledger, the index of snippets, the corrections and the pages to practice repeat the answers:
# links to these become plain text.
LIST = "questions.html"
LEFT_OUT = re.compile(
    r"(index|contributing|hosting|ledger|techniques|corrections|practice|cheat-sheets/.*)\.html"
)
INTRODUCTION = "evidence.html"  # readers need its verdicts before the first answer
GLOSSARY = "glossary.html"  # stands behind the last part
# Classes of Pygments (two letters, else one) to the book's colors: comment, string, number, keyword,
# constant, function. Names and operators stay plain: fewer runs, a third less time to set the book.
COLORS = {
    "c": "c",
    "s": "s",
    "m": "n",
    "k": "k",
    "kc": "l",
    "nb": "f",
    "nf": "f",
    "nc": "f",
    "nd": "f",
    "ow": "k",
    "se": "n",
    "si": "_",
}
TABLE_WIDTH = 74  # characters that a table's line holds


@dataclass
class Book:
    """The book as HTML, and what is needed to name a page in an error."""

    html: str = ""
    pages: list[str] = field(default_factory=list)
    formulas: dict[str, str] = field(default_factory=dict)  # TeX source: first page with it
    images: list[str] = field(default_factory=list)  # paths from the site's root
    questions: int = 0
    snippets: int = 0


@dataclass
class Chapter:
    """One page of the site."""

    page: str
    body: html.HtmlElement

    @property
    def id(self) -> str:
        return Path(self.page).stem


def join_pages(site: Path, nav: list, source: model.Book) -> Book:
    """Read the pages that MkDocs' nav names and join them to one book.

    Raises:
        Trouble: the book would be wrong; the message names the page and the fault.
    """
    book = Book()
    parts: list[tuple[str, list[Chapter]]] = []
    introduction: list[Chapter] = []
    glossary: list[Chapter] = []
    for title, pages in _sections(nav):
        chapters = []
        for page in pages:
            if page == LIST or LEFT_OUT.fullmatch(page):
                continue
            chapter = Chapter(page, _article(site / page, page))
            outside = introduction if page == INTRODUCTION or not title else chapters
            (glossary if page == GLOSSARY else outside).append(chapter)
        if chapters:
            parts.append((title, chapters))
    chapters = introduction + [chapter for _, some in parts for chapter in some] + glossary
    book.pages = [chapter.page for chapter in chapters]
    known = {
        chapter.page: {node.get("id") for node in chapter.body.iter() if node.get("id")}
        for chapter in chapters
    }
    tags, tag_list = _technique_index(site, known)
    known[LIST] = tags | {"by-technique"}
    for number, chapter in enumerate(chapters, 1 - len(introduction)):
        _clean(chapter, number, book, site, source, known)

    pieces = [f'<div class="front">{_inner(chapter.body)}</div>' for chapter in introduction]
    for title, some in parts:
        pieces.append(f'<h1 id="part-{_slug(title)}">{escape(title)}</h1>')
        for chapter in some:
            _deepen(chapter.body)
            pieces.append(_inner(chapter.body))
    pieces += [f'<div class="front">{_inner(chapter.body)}</div>' for chapter in glossary]
    pieces += [_question_index(chapters), tag_list, _claim_index(chapters, source)]
    book.html = "\n".join(pieces)
    return book


def _sections(nav: list) -> Iterator[tuple[str, list[str]]]:
    """Title and pages of each section of the nav; a page outside a section has an empty title."""
    for item in nav:
        title, value = next(iter(item.items())) if isinstance(item, dict) else ("", item)
        entries = value if isinstance(value, list) else [value]
        paths = [next(iter(entry.values())) if isinstance(entry, dict) else entry for entry in entries]
        yield (
            (title if isinstance(value, list) else ""),
            [re.sub(r"\.(md|ipynb)$", ".html", path) for path in paths],
        )


def _article(path: Path, page: str) -> html.HtmlElement:
    if not path.exists():
        raise Trouble(f"{page}: the nav names it, but the site has no such page")
    found = html.fromstring(path.read_bytes().decode()).cssselect("article.md-content__inner")
    if not found:
        raise Trouble(f"{page}: no <article class='md-content__inner'>; did the theme change?")
    return found[0]


def _clean(
    chapter: Chapter, number: int, book: Book, site: Path, source: model.Book, known: dict[str, set]
) -> None:
    """Turn one page into a chapter, in place."""
    page, body = chapter.page, chapter.body
    etree.strip_tags(body, etree.Comment)
    for node in body.cssselect(
        "a.headerlink, a.md-content__button, script, button, .md-code__nav, p.stamp a, a[download], nav.letters, .glossary h2, .online"
    ):
        node.drop_tree()
    for node in body.cssselect("details.code"):  # paper does not unfold
        for extra in [node.find("summary"), *node.cssselect("p.needs")]:
            extra.drop_tree()
        node.drop_tag()
    for node in body.cssselect("details"):  # the code of a lab's solution says what it is
        if node.findtext("summary") == "Solution":
            node.cssselect(".language-python")[0].set("data-file", "Solution")
            node.find("summary").drop_tree()
            node.drop_tag()
    for node in body.cssselect("details"):
        node.tag = "div"
        node.set("class", "admonition " + (node.get("class") or "question"))
    for node in body.cssselect("summary"):
        node.tag = "p"
    _footnotes(body, page)
    for node in body.cssselect(".arithmatex"):
        _formula(node, page, book)
    _code_blocks(chapter, book, source)
    for count, node in enumerate(body.cssselect("figure"), 1):
        _figure(node, page, book, site, f"{number}.{count}")
    if stray := [
        node for node in body.iter("img") if not any(a.tag == "figure" for a in node.iterancestors())
    ]:
        raise Trouble(f"{page}: image {stray[0].get('src')} is not in a figure; give it a caption")
    for node in body.cssselect("table"):
        _table_widths(node)
    for node in list(body.iter("a")):
        _link(node, page, known)
    for node in body.cssselect("p.meta"):  # pandoc keeps a class on a div, not on a paragraph
        node.tag = "div"
    book.questions += len([node for node in body.iter("h2") if re.match(r"q\d+$", node.get("id") or "")])
    first = next(body.iter("h1"))
    for node in body.iter():
        if node.get("id"):
            node.set("id", chapter.id if node is first else _anchor(page, node.get("id")))


def _anchor(page: str, name: str) -> str:
    """Anchors of questions are unique in the site; all others need their page's name before them."""
    return name if re.match(r"q\d+(-|$)", name) else f"{Path(page).stem}--{_slug(name)}"


def _inner(node: html.HtmlElement) -> str:
    return "".join(html.tostring(child, encoding="unicode") for child in node)


def _deepen(body: html.HtmlElement) -> None:
    """The page's title becomes a chapter of its part, so each heading goes one level down."""
    for node in list(body.iter("h1", "h2", "h3", "h4", "h5")):
        node.tag = f"h{int(node.tag[1]) + 1}"


def _footnotes(body: html.HtmlElement, page: str) -> None:
    """Put each note's text where its number was: pandoc and Typst number the notes themselves."""
    notes = {}
    for item in body.cssselect("div.footnote li[id]"):
        for back in item.cssselect("a.footnote-backref"):
            back.drop_tree()
        # A note is one run of text, so that it can stand inside a paragraph.
        notes[item.get("id")] = (
            " ".join(escape(p.text or "") + _inner(p) for p in (item.cssselect("p") or [item]))
            .replace("\N{NO-BREAK SPACE}", " ")
            .strip()
        )
    for mark in body.cssselect("a.footnote-ref"):
        target = mark.get("href").lstrip("#")
        if target not in notes:
            raise Trouble(f"{page}: footnote {target} has no text")
        note = html.fragment_fromstring(f'<span class="footnote">{notes[target]}</span>')
        holder = mark.getparent()  # <sup>
        note.tail = holder.tail
        holder.getparent().replace(holder, note)
    for block in body.cssselect("div.footnote"):
        block.drop_tree()


def _formula(node: html.HtmlElement, page: str, book: Book) -> None:
    """KaTeX reads the TeX source in the browser; pandoc reads it from an attribute (marks.lua)."""
    tex = node.text_content().strip()[2:-2].strip()
    book.formulas.setdefault(tex, page)
    if r"\tag" in tex:  # pandoc drops it in silence
        raise Trouble(
            f"{page}: formula {tex!r} has a \\tag, which the book cannot show; number it in the text"
        )
    display = node.tag == "div"
    mark = html.Element("span", {"class": "tex-display" if display else "tex", "data-tex": tex})
    if display:
        paragraph = html.Element("p")
        paragraph.append(mark)
        mark = paragraph
    mark.tail = node.tail
    node.getparent().replace(node, mark)


def _code_blocks(chapter: Chapter, book: Book, source: model.Book) -> None:
    """Plain text instead of the theme's colored spans, whose colors go into an attribute.

    A snippet gets the name of its file in the archive of snippets, which its heading's anchor holds.
    """
    previous = None
    for node in chapter.body.cssselect("div.highlight"):
        language = next((c[9:] for c in node.get("class").split() if c.startswith("language-")), "text")
        block = html.Element("pre")
        block.append(html.Element("code"))
        block[0].text = node.text_content().rstrip("\n")
        block.set("data-runs", _runs(node.cssselect("code")[0]))
        block.tail = node.tail
        if file := node.get("data-file"):
            block.set("data-file", file)
        elif language == "python":
            heading = node.xpath("preceding::*[self::h3 or self::h4][@id][1]")
            technique = re.sub(r"^q\d+-", "", heading[-1].get("id")) if heading else ""
            name = f"{chapter.id}/{technique.replace('-', '_')}"
            if name in source.snippets:
                block.set("data-file", f"{name}.py")
                book.snippets += 1
        if language == "text" and previous is not None and node.getprevious() is previous:
            language = "output"
        block.set("class", language)
        node.getparent().replace(node, block)
        previous = block if language == "python" else None


def _runs(code: html.HtmlElement) -> str:
    """The colors of code, found once by Pygments for all formats: "k6 _1 c5", a line a line."""
    pieces = [("_", code.text or "")]
    for span in code:
        kind = span.get("class") or "_"
        pieces += [
            (COLORS.get(kind[:2]) or COLORS.get(kind[:1], "_"), span.text_content()),
            ("_", span.tail or ""),
        ]
    lines: list[list[list]] = [[]]
    for color, text in pieces:
        for number, part in enumerate(text.split("\n")):
            if number:
                lines.append([])
            if lines[-1] and (lines[-1][-1][0] == color or part.isspace()):
                lines[-1][-1][1] += len(part)
            elif part:
                lines[-1].append([color, len(part)])
    return "\n".join(" ".join(f"{color}{count}" for color, count in line) for line in lines).rstrip("\n")


def _figure(node: html.HtmlElement, page: str, book: Book, site: Path, number: str) -> None:
    """Number the figure, because in the PDF it may move away from the text that speaks of it."""
    image, caption = next(node.iter("img"), None), next(node.iter("figcaption"), None)
    if image is None or caption is None:
        raise Trouble(f"{page}: figure {number} lacks its image or its caption")
    node.set("data-number", number)
    before = node.getprevious()
    node.set("data-opens", str(before is not None and before.tag in ("h2", "h3", "h4", "h5")).lower())
    place = next(caption.iter("p"), caption)
    label = html.Element("strong")
    label.text, label.tail = f"Figure {number}.", f" {(place.text or '').lstrip()}"
    place.text = ""
    place.insert(0, label)
    source = urljoin(page, image.get("src"))
    if not (site / source).exists():
        raise Trouble(f"{page}: image {source} is missing")
    if not image.get("alt"):
        raise Trouble(f"{page}: image {source} has no alternative text")
    book.images.append(source)
    _keep(image, "alt")
    image.set("src", source)


def _keep(node: html.HtmlElement, *names: str) -> None:
    """Remove all other attributes: they mean something to the theme only."""
    for name in set(node.attrib) - set(names):
        del node.attrib[name]


def _link(node: html.HtmlElement, page: str, known: dict[str, set]) -> None:
    """A link to a page of the site becomes a link inside the book."""
    _keep(node, "href", "id")
    href = node.get("href")
    if href is None or urlsplit(href).scheme:
        heading = node.xpath("string(preceding::*[self::h1 or self::h2 or self::h3][1]/@id)")
        if heading.endswith("sources") or any(a.get("class") == "footnote" for a in node.iterancestors()):
            node.set("class", "source")
        return
    url = urlsplit(urljoin(page, href))
    target, name = url.path or page, url.fragment
    if LEFT_OUT.fullmatch(target):
        node.drop_tag()
    elif target not in known or (name and name not in known[target]):
        raise Trouble(f"{page}: the link to {href} lands nowhere in the book")
    elif target == LIST:
        node.set(
            "href", "#" + {"": "index-of-questions", "by-technique": "index-of-techniques"}.get(name, name)
        )
        if any("meta" in (a.get("class") or "") for a in node.iterancestors()):
            node.set("class", "bare")  # pages would drown the line under a question
    else:
        node.set("href", "#" + (_anchor(target, name) if name else Path(target).stem))


def _table_widths(table: html.HtmlElement) -> None:
    """Widths for a table whose cells do not fit in one line each.

    A column gets at least its longest word; the rest is shared by the root of the columns' text,
    because a long column wraps well and a short one does not.
    """
    rows = [[cell.text_content().strip() for cell in row] for row in table.iter("tr")]
    columns = list(zip(*rows))
    natural = [max(len(text) for text in column) + 2 for column in columns]
    if sum(natural) <= TABLE_WIDTH:
        return
    least = [
        max(len(word) for text in column for word in re.split(r"[\s/.,_-]", text)) + 2 for column in columns
    ]
    spare = max(0, TABLE_WIDTH - sum(least))
    weight = [(full - low) ** 0.5 for full, low in zip(natural, least)]
    widths = [low + spare * part / (sum(weight) or 1) for low, part in zip(least, weight)]
    group = "".join(f'<col style="width: {100 * width / sum(widths):.1f}%">' for width in widths)
    table.insert(0, html.fragment_fromstring(f"<colgroup>{group}</colgroup>"))


def _question_index(chapters: list[Chapter]) -> str:
    """All questions by number, which is how the site's addresses name them."""
    found = {}
    for chapter in chapters:
        for node in chapter.body.iter("h2", "h3"):
            if match := re.match(r"q(\d+)$", node.get("id") or ""):
                found[int(match[1])] = escape(node.text_content().strip())
    lines = [f'<li><a class="entry" href="#q{n}">{title}</a></li>' for n, title in sorted(found.items())]
    return _index("index-of-questions", "Index of questions", f"<ul>{''.join(lines)}</ul>")


def _technique_index(site: Path, known: dict[str, set]) -> tuple[set[str], str]:
    """The site's own list by technique, and the anchors in it."""
    body = _article(site / LIST, LIST)
    anchors, lines = set(), []
    for node in body.cssselect("[id^=tag-]"):
        anchors.add(node.get("id"))
        links = []
        for link in node.getparent().iter("a"):
            page, _, name = link.get("href").partition("#")
            if name not in known.get(page, ()):
                raise Trouble(f"{LIST}: the link to {page}#{name} lands nowhere; is the page in the nav?")
            links.append(f'<a class="tagged" href="#{name}">{escape(link.text_content())}</a>')
        lines.append(
            f'<li><span id="{node.get("id")}">{escape(node.text_content())}</span>: {", ".join(links)}</li>'
        )
    body_html = f'<div class="columns"><ul>{"".join(lines)}</ul></div>'
    return anchors, _index("index-of-techniques", "Index of techniques", body_html)


def _claim_index(chapters: list[Chapter], source: model.Book) -> str:
    """Every claim that was run, by its verdict: a reader looks here for what failed."""
    headings = {node.get("id"): node for chapter in chapters for node in chapter.body.iter("h5", "h4", "h3")}
    lists = []
    for key, verdict in VERDICTS.items():
        found = [
            f'<li><a class="entry" href="#{entry.anchor}">{_inner_with_text(headings[entry.anchor])}</a></li>'
            for page in source.pages
            for answer in page.answers
            for entry in answer.entries
            if entry.anchor in headings and key in [kind for kind, _ in source.verdicts(entry)]
        ]
        if found:
            lists.append(f'<h2 id="claims-{key}">{verdict.heading}</h2><ul>{"".join(found)}</ul>')
    return _index("index-of-claims", "Index of claims", "".join(lists))


def _inner_with_text(node: html.HtmlElement) -> str:
    return escape(node.text or "") + _inner(node)


def _index(name: str, title: str, body: str) -> str:
    return f'<div class="front"><h1 id="{name}">{title}</h1><div class="index">{body}</div></div>'
