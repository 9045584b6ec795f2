"""The glossary and what it explains on the pages, the index of techniques, the related questions."""

import re
import shutil
from dataclasses import replace

import lxml.html
import pytest
from playwright.sync_api import expect

from answerbook.model import VERDICTS, read_book
from answerbook.pages import glossary
from answerbook.pages.parts import listing_anchor
from answerbook.project import ROOT
from answerbook.site import check_sources
from tests.browsing import PHONE
from tests.sources import BOOK, CLAIMS, QUESTIONS

ENTRIES = BOOK.terms
TOPIC = "vision-tasks/object-detection.html"


def test_each_term_is_on_the_page_once_and_leads_to_its_answers(site):
    page = lxml.html.parse(str(site / "glossary.html")).getroot()
    rows = {row.cssselect("strong")[0].text_content(): row for row in page.cssselect(".glossary li")}
    assert list(rows) == [entry.term for entry in ENTRIES]
    for entry in ENTRIES:
        row = rows[entry.term]
        assert row.cssselect("[id]")[0].get("id") == glossary.anchor(entry)
        assert [link.get("href") for link in row.cssselect("a")] == [
            QUESTIONS[n].address for n in entry.questions
        ]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("[5, 19]", "[5, 73]", "there is no question 73 in docs/questions.yml; correct the number"),
        ("[5, 19]", "[5, 43]", "Non-maximum suppression: the answer to Q43 does not mention it"),
        ("Non-maximum suppression", "Mixup", "Mixup: #mixup stands for two entries; delete one"),
        ("abbreviation: NMS", "abbreviation: PGD", "#PGD stands for two entries; delete one"),
    ],
)
def test_a_wrong_entry_is_named_with_its_line(tmp_path, old, new, message):
    text = (ROOT / "docs/glossary.yml").read_text()
    entry = re.search(r"- term: Non-maximum suppression\n(?:  .*\n)+", text)
    assert old in entry[0]
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("figures", "assets", "labs"))
    (tmp_path / "docs/glossary.yml").write_text(text.replace(entry[0], entry[0].replace(old, new)))
    assert list(glossary.faults(BOOK)) == []
    line = text[: entry.start()].count("\n") + 1
    assert message in "".join(str(fault) for fault in glossary.faults(read_book(tmp_path)) if fault.line == line)


MARKED = """() => [...document.querySelectorAll("abbr.term")].map((term) => {
  const above = [...document.querySelectorAll("h2, h3")].filter((node) => node.compareDocumentPosition(term) & 4)
  return [above.findLast((node) => node.matches("h2")).id, term.dataset.term,
    !!term.closest("a, pre, code, figure, .arithmatex, .admonition-title") || above.pop().id.endsWith("-sources")]
})"""


def test_abbreviations_say_what_they_mean_by_keyboard_pointer_and_touch(open_page, address):
    page = open_page(f"{address}/vision-tasks/semantic-segmentation.html")
    places = page.evaluate(MARKED)
    page.goto(f"{address}/{TOPIC}")
    assert ["q5", "NMS", False] in page.evaluate(MARKED)
    for marks in (places, page.evaluate(MARKED)):
        assert len({(question, term) for question, term, _ in marks}) == len(marks) > 3  # each once in a question
        assert not any(outside_prose for *_, outside_prose in marks)

    marked = page.locator("abbr.term")
    texts = glossary.hover_texts(ENTRIES)
    tip, first, second = page.get_by_role("tooltip"), marked.nth(0), marked.nth(1)
    assert first.evaluate("term => term.tabIndex") == 0
    first.focus()
    expect(tip).to_have_text(texts[first.get_attribute("data-term")])
    expect(first).to_have_accessible_description(texts[first.get_attribute("data-term")])
    page.keyboard.press("Escape")  # dismissible
    expect(tip).to_have_count(0)
    expect(first).to_be_focused()

    second.hover()
    expect(tip).to_have_text(texts[second.get_attribute("data-term")])
    tip.hover()  # hoverable, and persistent while the pointer rests there
    page.wait_for_timeout(300)
    expect(tip).to_be_visible()
    page.locator("#q5").hover()
    expect(tip).to_have_count(0)

    phone = open_page(f"{address}/{TOPIC}", viewport=PHONE, has_touch=True)
    phone.locator("abbr.term[data-term=IoU]").first.tap()
    expect(phone.get_by_role("tooltip")).to_have_text(texts["IoU"])
    box = phone.get_by_role("tooltip").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    phone.locator("#q5").tap()
    expect(phone.get_by_role("tooltip")).to_have_count(0)


def test_index_lists_every_snippet_once_by_the_alphabet(site):
    page = lxml.html.parse(str(site / "techniques.html")).getroot()
    rows = page.cssselect(".ledger li")
    links = [row.cssselect("a")[0] for row in rows]
    listed = {
        link.get("href"): "".join(node.text_content() for node in row.cssselect("strong"))
        for link, row in zip(links, rows)
    }
    assert len(rows) == len(listed)
    shown = {
        name: f"{page.file.removeprefix('docs/').removesuffix('.md')}.html#{listing_anchor(BOOK.snippets[name])}"
        for page in BOOK.pages
        for name, _ in page.snippets
    }
    assert listed.keys() == set(shown.values()) and shown.keys() == BOOK.snippets.keys()
    judged = {claim.snippet: VERDICTS[claim.verdict].name for claim in CLAIMS}
    for name, address in shown.items():
        assert listed[address].endswith(judged.get(name, "")) and bool(listed[address]) == (name in judged)
    names = [link.text_content().lower() for link in links]
    assert names == sorted(names)
    assert [a.text_content() for a in page.cssselect(".letters a")] == sorted({name[0].upper() for name in names})


def test_index_can_be_filtered_by_keyboard(open_page, address):
    page = open_page(f"{address}/techniques.html")
    page.get_by_label("Words").focus()
    page.keyboard.type("attention")
    rows = page.locator(".ledger li:visible")
    expect(rows.first).to_contain_text("ttention")
    assert all("attention" in text.lower() for text in rows.all_text_contents())
    expect(page.locator(".ledger output")).to_have_text(f"{rows.count()} of {len(BOOK.snippets)} snippets")
    headings = page.locator(".ledger h2:visible").all_text_contents()
    assert headings == page.locator(".letters a:visible").all_text_contents()


def test_each_answer_ends_with_its_related_questions(site):
    for topic in {question.topic for question in QUESTIONS.values()}:
        page = lxml.html.parse(str(site / f"{topic}.html")).getroot()
        found = {}
        for line in page.cssselect("p.related"):
            number = int(line.xpath("preceding::h2[starts-with(@id, 'q')][1]")[-1].get("id")[1:])
            before = line.xpath("preceding::h3[1]")[-1].get("id")
            assert number not in found and before == f"q{number}-sources"
            found[number] = [link.text_content() for link in line.cssselect("a")]
        mine = {n: question.related for n, question in QUESTIONS.items() if question.topic == topic}
        assert found == {n: [f"Q{m}. {QUESTIONS[m].title}" for m in some] for n, some in mine.items()}


@pytest.mark.parametrize(
    "numbers, message",
    [
        ([16, 41], "question 1 has `related: [16, 41]`; name 3 to 5 different questions"),
        ([16, 41, 41], "name 3 to 5 different questions"),
        ([16, 41, 1], "question 1 names itself in `related`"),
        ([16, 41, 73], "question 1 names 73 in `related`, which does not exist"),
    ],
)
def test_a_wrong_relation_is_named(numbers, message):
    questions = QUESTIONS | {1: replace(QUESTIONS[1], related=tuple(numbers))}
    found = check_sources.check(replace(BOOK, questions=questions))
    (fault,) = [problem for problem in found if problem.file == "docs/questions.yml"]
    assert message in str(fault) and fault.line == QUESTIONS[1].line
