"""The built site has none of the faults that MkDocs' strict mode misses."""

import check_site
import lxml.html
from check_sources import read_questions
from record import ROOT


def test_no_faults_in_the_built_site(site):
    assert check_site.check(site) == []


def test_home_page_leads_to_every_section_and_question(site):
    home = lxml.html.parse(str(site / "index.html")).getroot()
    links = {node.get("href") for node in home.xpath("//article//a[@href]")}
    sections, questions = read_questions()
    ready = [(n, q) for n, q in questions.items() if (ROOT / f"docs/{q['topic']}.md").exists()]
    assert ready
    for number, question in ready:
        assert f"{question['topic']}.html#q{number}" in links
    titles = {node.text_content().rstrip("#") for node in home.xpath("//article//h2")}
    assert titles == {sections[question["topic"].split("/")[0]] for _, question in ready}
