"""The built site has none of the faults that MkDocs' strict mode misses."""

import check_site
import lxml.html
from generated_pages import answered, read_questions


def test_no_faults_in_the_built_site(site):
    assert check_site.check(site) == []


def test_home_page_leads_to_every_section_and_question(site):
    home = lxml.html.parse(str(site / "index.html")).getroot()
    links = {node.get("href") for node in home.xpath("//article//a[@href]")}
    sections, questions = read_questions()
    ready = answered(questions)
    assert ready
    for number, question in ready.items():
        assert f"{question['topic']}.html#q{number}" in links
    titles = {node.text_content().rstrip("#") for node in home.xpath("//article//h2")}
    assert titles == {sections[question["topic"].split("/")[0]] for question in ready.values()}
