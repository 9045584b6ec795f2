"""A copy hosted under a sub-path works there and tells other sites its addresses."""

import re
import shutil
import struct

import lxml.etree
import lxml.html
import pytest
from playwright.sync_api import expect

from answerbook.site import check_site, pipeline
from tests.browsing import Quiet, served
from tests.copies import copy_project

SITE_URL = "https://example.org/some/sub/path/"


@pytest.fixture(scope="module")
def hosted(tmp_path_factory):
    """The root of a host whose folder some/sub/path is a small copy of the site."""
    root = tmp_path_factory.mktemp("host")
    project = copy_project(tmp_path_factory.mktemp("project"))
    result = pipeline.mkdocs(project, root / "some/sub/path", book=True, SITE_URL=SITE_URL.rstrip("/"))
    assert result.returncode == 0, result.stderr
    return root


@pytest.fixture(scope="module")
def host(hosted):
    """Address of the hosted copy on the loopback interface, by a host that knows the page 404.html."""

    class Host(Quiet):
        def send_error(self, code, message=None, explain=None):
            # With 200, or the browser would report the page itself as an error.
            page = (hosted / "some/sub/path/404.html").read_bytes()
            self.send_response(200 if self.path.endswith(".html") else code)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

    with served(hosted, Host) as url:
        yield f"{url}/some/sub/path"


def test_pages_and_search_work_under_a_sub_path(open_page, host):
    page = open_page(f"{host}/")
    page.locator("article a[href*='backpropagation']").first.click()
    page.wait_for_url(re.compile(f"^{host}/foundations/backpropagation.html"))
    page.keyboard.press("/")
    page.locator("[data-md-component=search-query]").press_sequentially("pooling")
    page.locator(".md-search-result__item a").first.click()
    page.wait_for_url(re.compile(f"^{host}/foundations/feature-extraction-and-pooling.html"))


@pytest.mark.parametrize("missing", ["nowhere.html", "vision-tasks/deep/er/nowhere.html"])
def test_page_not_found_leads_on_from_any_depth(open_page, host, missing):
    page = open_page(f"{host}/{missing}")  # a style or script that is missing too would be an error
    expect(page.locator("h1")).to_have_text("Page not found")
    page.get_by_role("link", name="the list of all questions").click()
    page.wait_for_url(f"{host}/questions.html")


def test_whole_addresses_are_right_where_the_site_has_one(hosted):
    site = hosted / "some/sub/path"
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"}
    listed = lxml.etree.parse(str(site / "sitemap.xml")).xpath("//*[local-name()='loc']/text()")
    assert sorted(listed) == sorted(SITE_URL + page for page in pages)
    assert f"Sitemap: {SITE_URL}sitemap.xml" in (site / "robots.txt").read_text()
    for name in pages:
        head = lxml.html.parse(str(site / name)).getroot().head
        assert head.xpath("//link[@rel='canonical']/@href") == [SITE_URL + name]
        assert _meta(head, "og:url") == SITE_URL + name
        assert _meta(head, "og:image") == _meta(head, "twitter:image") == f"{SITE_URL}assets/social-card.png"
        for kind in ("og", "twitter"):
            assert _meta(head, f"{kind}:title") in head.findtext("title")
            assert _meta(head, f"{kind}:description") == _meta(head, "description")
    assert [problem for problem in check_site.check(site) if "cnn-answer-book" not in problem] == []  # no book here


def test_links_of_the_page_not_found_must_stay_inside(hosted, tmp_path):
    site = shutil.copytree(hosted / "some/sub/path", tmp_path / "site")
    page = site / "404.html"
    page.write_text(page.read_text().replace('href="/some/sub/path/questions.html"', 'href="/questions.html"'))
    found = "\n".join(check_site.check(site))
    assert "404.html: link to /questions.html is outside of /some/sub/path/" in found


def test_site_without_an_address_names_none_and_has_its_card(book):
    head = lxml.html.parse(str(book / "index.html")).getroot().head
    assert _meta(head, "og:title") == "The CNN Answer Book"
    assert not head.xpath("//link[@rel='canonical'] | //meta[@property='og:url' or @property='og:image']")
    assert "loc" not in (book / "sitemap.xml").read_text() and "Sitemap" not in (book / "robots.txt").read_text()
    card = (book / "assets/social-card.png").read_bytes()
    assert struct.unpack(">II", card[16:24]) == (1200, 630)
    assert len(card) <= 60_000


def _meta(head, name: str) -> str:
    (content,) = head.xpath("//meta[@name=$name or @property=$name]/@content", name=name)
    return content
