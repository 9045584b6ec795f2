"""Write the PDF, the EPUB, the social card and two archives beside the pages of the built site.

Pages -> one clean HTML (clean_html.py) -> pandoc -> Typst -> PDF, and pandoc -> EPUB. The same
pages give the same bytes: no dates, no fonts of the system.
"""

import json
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pypandoc
import typst
from lxml import etree

from answerbook import model
from answerbook.book.clean_html import Book, join_pages
from answerbook.project import NAME, TITLE, Trouble, write_zip

HERE = Path(__file__).parent
SUBTITLE = "Questions on convolutional networks for computer vision, answered with code that runs"
EPOCH = "1767225600"  # EPUB must state a time of change; a fixed one keeps the bytes
COVER = """
#cover(sys.inputs.title, sys.inputs.subtitle, bytes(sys.inputs.logo), sys.inputs.numbers)
"""
CARD = COVER.replace("#cover", "#card")
FRONT = f"""
#show: book.with(title: sys.inputs.title, description: sys.inputs.subtitle)
{COVER}
#imprint()
#contents()
"""


def write_book(site: Path, nav: list, source: model.Book) -> Book:
    """Write the book's files into ``site``, which was built from ``source``; ``nav`` is MkDocs'.

    Raises:
        Trouble: something would be missing or wrong; the message names the page.
    """
    book = join_pages(site, nav, source)
    # Parsed once, written twice. "smart" makes typographer's quotes.
    document = pandoc(
        book.html, ["--from=html+smart", "--to=json", f"--lua-filter={HERE / 'marks.lua'}"], book
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        epub = pool.submit(write_epub, book, document, site, Path(folder))
        write_pdf(book, document, site)
        write_card(book, site)
        epub.result()
    write_archives(site, source)
    return book


def pandoc(text: str, arguments: list[str], book: Book) -> str:
    """Run pandoc; whatever it warns of is an error, named with its page."""
    with tempfile.NamedTemporaryFile(suffix=".json") as log:
        run = subprocess.run(
            [pypandoc.get_pandoc_path(), "--quiet", f"--log={log.name}", *arguments],
            input=text,
            capture_output=True,
            text=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH},
        )
        if run.returncode:
            raise Trouble(f"pandoc: {run.stderr.strip()}")
        for entry in json.loads(Path(log.name).read_text() or "[]"):
            if entry["type"] == "CouldNotConvertTeXMath":
                tex = entry["contents"].strip()
                page = book.formulas.get(tex, "a page")
                raise Trouble(
                    f"{page}: formula {tex!r} cannot be converted: {entry['message'].splitlines()[-1]}"
                )
            if entry["verbosity"] == "WARNING":
                raise Trouble(f"pandoc: {entry['pretty']}")
    return run.stdout


def set_type(book: Book, site: Path, body: str, **options) -> bytes:
    """Let Typst set a text with the book's template; a warning is an error.

    Whether a figure has room where it stands depends on the figures above it, and Typst gives up after
    five rounds of moving them. Those that never came to rest then stay where they stand.
    """
    values = {
        "logo": (site / "assets/logo.svg").read_text(),
        "title": TITLE,
        "subtitle": SUBTITLE,
        "numbers": f"{book.questions} questions · {book.snippets} experiments, each run and checked",
    }
    source = (HERE / "template.typ").read_text() + body
    still: set[str] = set()  # numbers of the figures that stay
    while True:
        values["still"] = " ".join(sorted(still))
        compiler = typst.Compiler(source.encode(), root=site, ignore_system_fonts=True, sys_inputs=values)
        try:
            data, warnings = compiler.compile_with_warnings(**options)
        except typst.TypstError as error:
            raise Trouble(f"{_formula_at(error, source, book)}typst: {error.diagnostic}") from error
        restless = set(re.findall(r"<figure-([\d.]+)>", " ".join(w.diagnostic for w in warnings))) - still
        if warnings and not restless:
            raise Trouble(f"typst: {warnings[0].diagnostic}")
        if not warnings:
            return data
        still |= restless


def _formula_at(error: typst.TypstError, source: str, book: Book) -> str:
    """Page and TeX source of the formula that Typst refused, if it was one: pandoc may know a symbol
    that Typst has renamed since (typst.lua)."""
    if not (place := re.search(r":(\d+):(\d+)\n", error.diagnostic)):
        return ""
    lines = source.split("\n")[: int(place[1])]
    before = "\n".join([*lines[:-1], lines[-1][: int(place[2])]])
    alts = re.findall(r'#math\.equation\(block: \w+, alt: "((?:[^"\\]|\\.)*)"', before)
    tex = re.sub(r"\\(.)", r"\1", alts[-1]) if alts else ""
    pages = [page for formula, page in book.formulas.items() if " ".join(formula.split()) == tex]
    return f"{pages[0]}: formula {tex!r} cannot be set; " if pages else ""


def write_pdf(book: Book, document: str, site: Path) -> None:
    """The PDF: tagged for PDF/UA-1, with Typst's own fonts only."""
    body = pandoc(
        document, ["--from=json", "--to=typst", "--wrap=none", f"--lua-filter={HERE / 'typst.lua'}"], book
    )
    data = set_type(book, site, FRONT + body, format="pdf", pdf_standards=["ua-1"])
    (site / f"{NAME}.pdf").write_bytes(data)


def write_card(book: Book, site: Path) -> None:
    """The picture that other sites show with a link to this one; theme/main.html names it."""
    (site / "assets/social-card.png").write_bytes(set_type(book, site, CARD, format="png", ppi=72))


def write_epub(book: Book, document: str, site: Path, folder: Path) -> None:
    """The EPUB, from the same HTML; its cover is a picture of the PDF's."""
    cover = folder / "cover.png"
    cover.write_bytes(set_type(book, site, COVER, format="png", ppi=110))
    for name in book.images:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        data = (site / name).read_bytes()
        target.write_bytes(plain_svg(data) if name.endswith(".svg") else data)
    target = folder / "book.epub"
    pandoc(
        document,
        [
            "--from=json",
            "--to=epub3",
            f"--lua-filter={HERE / 'epub.lua'}",
            f"--output={target}",
            "--mathml",
            "--toc",
            "--toc-depth=3",
            "--split-level=2",
            f"--css={HERE / 'epub.css'}",
            f"--epub-cover-image={cover}",
            f"--resource-path={folder}",
            f"--metadata-file={HERE / 'epub.yml'}",
            f"--metadata=title:{TITLE}",
            f"--metadata=description:{SUBTITLE}",
        ],
        book,
    )
    (site / f"{NAME}.epub").write_bytes(target.read_bytes())


def plain_svg(data: bytes) -> bytes:
    """EPUBCheck refuses what matplotlib writes: a DOCTYPE, paths without a form, and the same id
    twice for two equal pictures in a figure."""
    root = etree.fromstring(data)
    for node in root.xpath("//*[local-name()='path'][not(@d)]"):
        node.set("d", "")
    seen = set()
    for node in root.xpath("//*[@id]"):
        if node.get("id") in seen:
            del node.attrib["id"]
        seen.add(node.get("id"))
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def write_archives(site: Path, source: model.Book) -> None:
    """The snippets, and the whole site to read from disk."""
    folder = source.root / "snippets"
    scripts = {f"{NAME}-snippets/{path.relative_to(folder)}": path for path in folder.glob("*/*.py")}
    write_zip(site / f"{NAME}-snippets.zip", {name: path.read_bytes() for name, path in scripts.items()})
    whole = site / f"{NAME}-site.zip"
    whole.unlink(missing_ok=True)
    pages = {
        f"{NAME}/{path.relative_to(site)}": path.read_bytes() for path in site.rglob("*") if path.is_file()
    }
    home = f"{NAME}/index.html"  # the archive does not contain itself
    pages[home] = re.sub(rb'<span\s+class="online">.*?</span>', b"", pages[home], flags=re.DOTALL)
    write_zip(whole, pages)
