"""Do MkDocs' successors build the same pages from the same mkdocs.yml? Behind ``make successors``.

ProperDocs must give the same files, byte for byte; only its name in <meta name="generator"> and the
compressed sitemap, which holds the time, may differ. Zensical has a theme of its own, so its frame around the
article differs; every page that is written in Markdown must have its address, and in the article the same
anchors, text, code, formulas, pictures and links. It has no notebooks: links to a lab are not compared.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import lxml.html

from answerbook import pages
from answerbook.model import read_book
from answerbook.project import ROOT, SOURCES, Trouble

GENERATOR = re.compile(rb'(<meta name="generator" content=")mkdocs-(ProperDocs )?[\d.]+')
FORMULA = ".//*[contains(concat(' ', @class, ' '), ' arithmatex ')]"
PARTS = {  # what the article of a page at an address is made of
    "anchors": lambda article, _: [
        name for name in article.xpath(".//@id") if not name.startswith("__")
    ],  # a theme's
    "text": lambda article, _: article.text_content().split(),
    "code": lambda article, _: [node.text_content() for node in article.xpath(".//pre/code")],
    "formulas": lambda article, _: [node.text_content() for node in article.xpath(FORMULA)],
    "pictures": lambda article, _: [(node.get("src"), node.get("alt")) for node in article.xpath(".//img")],
    "links": lambda article, page: [url for url in _links(article, page) if not url.startswith("/labs/")],
}


def properdocs_differences(ours: Path, theirs: Path) -> Iterator[str]:
    """What ProperDocs' site has otherwise than MkDocs', a line a file."""
    names = {
        path.relative_to(site).as_posix()
        for site in (ours, theirs)
        for path in site.rglob("*")
        if path.is_file()
    }
    for name in sorted(names - {"sitemap.xml.gz"}):
        if not (ours / name).exists() or not (theirs / name).exists():
            yield f"{name}: only one of the two wrote it"
        elif GENERATOR.sub(rb"\1", (ours / name).read_bytes()) != GENERATOR.sub(
            rb"\1", (theirs / name).read_bytes()
        ):
            yield f"{name}: the bytes differ"


def zensical_differences(ours: Path, theirs: Path) -> Iterator[str]:
    """What Zensical's articles have otherwise than MkDocs', a line a page and part."""
    for path in sorted(ours.rglob("*.html")):
        page = path.relative_to(ours).as_posix()
        if page.startswith("labs/") or page == "404.html":
            continue
        if not (theirs / page).exists():
            yield f"{page}: does not exist"
            continue
        mine, other = (
            lxml.html.parse(str(site / page)).getroot().find(".//article") for site in (ours, theirs)
        )
        for part, read in PARTS.items():
            expected, found = read(mine, page), read(other, page)
            if expected != found:
                pair = next(
                    (pair for pair in zip(expected, found) if pair[0] != pair[1]), (len(expected), len(found))
                )
                yield f"{page}: {part} differ, first {pair[0]!r} and {pair[1]!r}"


def _links(article, page: str) -> list[str]:
    return [urljoin(f"/{page}", node.get("href")) for node in article.xpath(".//a[@href]")]


def _build(program: str, project: Path) -> Path:
    """The site that a program of one of the environments builds from the project's copy."""
    environment = os.environ | {"BOOK": "true"}
    command = [ROOT / program, "build", "--strict"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise Trouble(f"{program} failed: {(result.stdout + result.stderr)[-3000:]}")
    return (project / "site").rename(project / Path(program).name)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        for source in SOURCES:
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, project / source)
        pages.write(read_book(project))  # Zensical calls no hooks
        ours = _build(".venv/bin/mkdocs", project)
        found = {
            "ProperDocs": list(
                properdocs_differences(ours, _build(".venv-properdocs/bin/properdocs", project))
            ),
            "Zensical": list(zensical_differences(ours, _build(".venv-zensical/bin/zensical", project))),
        }
    for program, differences in found.items():
        print("\n".join([f"{program}: {len(differences)} differences", *differences]))
    return int(any(found.values()))
