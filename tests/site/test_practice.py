"""The study tools: the practice page, the cheat sheets on paper, the deck for Anki."""

import json
import re
import shutil
import sqlite3
import subprocess
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta

import lxml.html
import pytest
from playwright.sync_api import expect

from answerbook.book import anki_deck
from answerbook.model import VERDICTS
from answerbook.project import Trouble
from tests.browsing import PHONE, assert_accessible
from tests.sources import BOOK, QUESTIONS

SECTIONS = BOOK.by_section
KEY = "cnn-answer-book.practice"
PRACTICE = "practice.html"
KNOWN = {"version": 1, "questions": {"16": {"box": 2, "due": "2100-01-02", "asked": 4_000_000_000_000}}}


def words(node) -> str:
    """The words of an element, formulas as their source; spaces do not count."""
    return re.sub(r"[\s\u2060]+", " ", node.text_content()).strip()


@pytest.fixture(scope="session")
def short_answers(site) -> dict[int, str]:
    """The words of each short answer as its topic page shows them."""
    found = {}
    for topic in {question.topic for question in QUESTIONS.values()}:
        page = lxml.html.parse(str(site / f"{topic}.html")).getroot()
        for box in page.cssselect(".admonition.abstract"):
            heading = box.xpath("preceding::h2[starts-with(@id, 'q')][1]")[-1]
            found[int(heading.get("id")[1:])] = " ".join(words(p) for p in box.xpath("./*[position() > 1]"))
    return found


# The practice page


@pytest.fixture
def practice(open_page, address):
    """The page with its questions in the order of the list."""
    page = open_page(f"{address}/{PRACTICE}")
    page.get_by_label("Order").select_option("as listed")
    return page


def number(page) -> int:
    return int(re.match(r"Q(\d+)\.", page.locator(".card h2").text_content())[1])


def stored(page) -> dict:
    return json.loads(page.evaluate(f"localStorage.getItem({KEY!r})") or '{"questions": {}}')["questions"]


def answer(page, knew: bool) -> None:
    page.get_by_role("button", name="Show the answer").click()
    page.get_by_role("button", name="I knew it" if knew else "Not yet").click()


def test_the_lists_hold_every_short_answer_in_full(site, short_answers):
    assert set(short_answers) == set(QUESTIONS)
    page = lxml.html.parse(str(site / PRACTICE)).getroot()
    listed = {int(node.get("data-number")): node for node in page.cssselect("details[data-number]")}
    assert set(listed) == set(QUESTIONS)
    for n, node in listed.items():
        assert short_answers[n] in words(node), n
        assert node.cssselect("a")[-1].get("href") == QUESTIONS[n].address
    for section, some in SECTIONS.items():
        sheet = lxml.html.parse(str(site / f"cheat-sheets/{section}.html")).getroot()
        items = {int(node.cssselect("h2")[0].get("id")[1:]): node for node in sheet.cssselect(".item")}
        assert set(items) == set(some)
        for n, node in items.items():
            assert short_answers[n] in words(node), n


def test_deals_by_section_and_difficulty(practice):
    for section in ["", *SECTIONS]:
        for difficulty in (
            ["", "basic", "medium", "hard"] if section in ("", "beyond-one-image") else ["medium"]
        ):
            practice.get_by_label("Section").select_option(section)
            practice.get_by_label("Difficulty").select_option(difficulty)
            wanted = [
                n
                for name, some in SECTIONS.items()
                for n, question in some.items()
                if section in ("", name) and difficulty in ("", question.difficulty)
            ]
            if not wanted:
                expect(practice.locator(".card h2")).to_have_text("No such question")
                continue
            count = len(wanted)
            expect(practice.locator(".status")).to_contain_text(
                f"{count} question{'s' if count > 1 else ''} in this round"
            )
            dealt = []
            for _ in wanted[:3]:
                dealt.append(number(practice))
                if count > 1:
                    practice.get_by_role("button", name="Skip").click()
            assert dealt == wanted[:3]


def test_random_order_deals_each_question_once(open_page, address):
    page = open_page(f"{address}/{PRACTICE}#robustness")
    expect(page.get_by_label("Section")).to_have_value("robustness")  # an address may name the section
    orders = set()
    for _ in range(4):
        order = []
        for _ in SECTIONS["robustness"]:
            order.append(number(page))
            page.get_by_role("button", name="Skip").click()
        assert set(order) == set(SECTIONS["robustness"])
        orders.add(tuple(order))
        page.get_by_label("Order").select_option("as listed")
        page.get_by_label("Order").select_option("random")
    assert len(orders) > 1  # four equal orders of seven: once in 10^11 runs


def test_a_round_by_keyboard_alone(open_page, address, short_answers):
    page = open_page(f"{address}/{PRACTICE}")
    for _ in range(60):  # as far as the first choice
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SELECT":
            break
    page.keyboard.press("ArrowDown")  # the first section
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # the order: as listed
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Show the answer")).to_be_focused()
    page.keyboard.press("Enter")
    some = list(SECTIONS["foundations"])
    expect(page.locator(".card .answer")).to_be_focused()
    assert "".join(short_answers[some[0]].split()[:9]) in "".join(
        page.locator(".card .answer").inner_text().split()
    )
    page.keyboard.press("2")  # I knew it
    expect(page.locator(".card h2")).to_be_focused()
    assert number(page) == some[1]
    expect(page.locator(".status")).to_contain_text("back tomorrow")
    page.keyboard.press("Space")
    page.keyboard.press("1")  # not yet
    assert number(page) == some[2]
    page.keyboard.press("u")  # a slip: take it back
    assert number(page) == some[1] and str(some[1]) not in stored(page)
    page.keyboard.press("0")  # skip
    assert number(page) == some[2]
    for _ in some[1:]:
        page.keyboard.press("Space")
        page.keyboard.press("Tab")  # over the link to the full answer
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="I knew it")).to_be_focused()
        page.keyboard.press("Enter")
    expect(page.locator(".card h2")).to_have_text("This round is done")
    expect(page.locator(".progress")).to_contain_text("Foundations: 3 of 3 known.")
    page.keyboard.press("/")  # the site's own key still works: the search
    expect(page.locator("[data-md-component=search-query]")).to_be_focused()


def test_keys_do_nothing_outside_of_the_card(practice):
    practice.locator("h1").click()
    for key in ("1", "2", "u", "0"):
        practice.keyboard.press(key)
    expect(practice.locator(".card .answer")).to_be_hidden()
    assert stored(practice) == {}


def test_what_was_not_known_comes_back_after_three_others(practice):
    practice.get_by_label("Section").select_option("Robustness and insight")
    order = list(SECTIONS["robustness"])
    answer(practice, knew=False)
    assert stored(practice)[str(order[0])]["box"] == 1
    for n in order[1:4]:
        assert number(practice) == n
        answer(practice, knew=True)
    assert number(practice) == order[0]
    answer(practice, knew=True)
    assert stored(practice)[str(order[0])]["box"] == 2
    assert number(practice) == order[4]


def test_what_was_known_comes_back_after_1_3_7_and_21_days(practice):
    def again(day):
        """A new round on that day."""
        practice.clock.set_fixed_time(day)
        practice.get_by_label("Section").select_option("Vision tasks")
        practice.get_by_label("Section").select_option("Foundations")
        return number(practice)

    now = datetime(2026, 3, 27, 23, 30)  # late, and before a change of the clocks
    first = again(now)
    for box, days in ((2, 1), (3, 3), (4, 7), (5, 21), (5, 21)):
        assert again(now) == first
        answer(practice, knew=True)
        entry = stored(practice)[str(first)]
        assert (entry["box"], entry["due"]) == (box, f"{now + timedelta(days):%Y-%m-%d}")
        assert again(now + timedelta(days - 1)) != first, "not due before"
        now += timedelta(days)
    assert again(now) == first
    answer(practice, knew=False)
    assert stored(practice)[str(first)]["box"] == 1, "forgotten: back to the first box"


def test_progress_survives_a_reload_and_travels_as_a_file(practice, tmp_path):
    order = list(SECTIONS["foundations"])
    answer(practice, knew=True)
    answer(practice, knew=False)
    kept = stored(practice)
    practice.reload()
    expect(practice.locator(".progress li").first).to_have_text(
        f"Foundations: 1 of {len(order)} known, 1 not yet, {len(order) - 2} new."
    )
    with practice.expect_download() as download:
        practice.get_by_role("button", name="Export").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert json.loads(path.read_text()) == {"version": 1, "questions": kept}

    practice.once("dialog", lambda dialog: dialog.dismiss())
    practice.get_by_role("button", name="Reset").click()
    assert stored(practice) == kept, "the reader changed their mind"
    practice.once("dialog", lambda dialog: dialog.accept())
    practice.get_by_role("button", name="Reset").click()
    assert stored(practice) == {}
    expect(practice.locator(".progress li").last).to_contain_text(f"0 of {len(QUESTIONS)} known")

    practice.get_by_label("Import").set_input_files(path)
    expect(practice.locator(".note")).to_have_text("Imported: 2 answers that are newer.")
    assert stored(practice) == kept
    # An older answer in a file does not undo a newer one; a newer one counts.
    older = json.loads(path.read_text())
    older["questions"][str(order[0])] |= {"box": 5, "asked": 1}
    path.write_text(json.dumps(older | {"questions": older["questions"] | KNOWN["questions"]}))
    practice.get_by_label("Import").set_input_files(path)
    expect(practice.locator(".note")).to_have_text("Imported: 1 answer that is newer.")
    assert stored(practice) == kept | KNOWN["questions"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        '{"version": 2, "questions": {}}',
        '{"version": 1}',
        '{"version": 1, "questions": {"1": {"box": 9, "due": "2100-01-01", "asked": 1}}}',
    ],
)
def test_a_file_that_is_no_progress_changes_nothing(practice, tmp_path, content):
    (tmp_path / "wrong.json").write_text(content)
    answer(practice, knew=True)
    kept = stored(practice)
    practice.get_by_label("Import").set_input_files(tmp_path / "wrong.json")
    expect(practice.locator(".note")).to_have_text(
        "That is not a progress file of this page. Nothing was changed."
    )
    assert stored(practice) == kept


def test_without_storage_the_round_goes_on_and_the_reader_is_told(practice):
    full = "throw new DOMException('', 'QuotaExceededError')"
    practice.evaluate(f"() => {{ Storage.prototype.setItem = () => {{ {full} }} }}")
    answer(practice, knew=True)
    answer(practice, knew=True)
    expect(practice.locator(".note")).to_contain_text(
        "does not keep data for this page: export your progress"
    )
    expect(practice.locator(".progress li").last).to_contain_text(f"2 of {len(QUESTIONS)} known")


def test_practice_from_a_file_and_formulas_are_set(open_page, site):
    page = open_page((site / PRACTICE).as_uri())
    page.get_by_label("Section").select_option("Learning from little data")
    page.get_by_label("Order").select_option("as listed")
    while number(page) != 50:
        page.get_by_role("button", name="Skip").click()
    page.get_by_role("button", name="Show the answer").click()
    expect(page.locator(".card .answer .katex")).to_have_count(1)
    page.get_by_role("button", name="I knew it").click()
    page.reload()
    assert stored(page)["50"]["box"] == 2
    page.get_by_text("The whole list").click()
    page.get_by_text("Q50. ").last.click()
    page.get_by_role("link", name="Q50 in full").click()
    assert page.url.endswith("multi-label-classification.html#q50")


def test_without_scripts_every_answer_can_be_opened(open_page, address):
    page = open_page(f"{address}/{PRACTICE}", java_script_enabled=False)
    folded = page.locator("details[data-number]")
    assert folded.count() == len(QUESTIONS)
    expect(page.locator("select, .card")).to_have_count(0)
    for index in (0, len(QUESTIONS) - 1):
        text = folded.nth(index).locator("p").first
        expect(text).to_be_hidden()
        folded.nth(index).locator("summary").click()
        expect(text).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_round_is_accessible_on_a_phone(open_page, address, theme):
    page = open_page(f"{address}/{PRACTICE}", viewport=PHONE, theme=theme)
    page.get_by_label("Section").select_option("Beyond one image")
    states = ["Show the answer", "Not yet", "Show the answer", "I knew it", "Show the answer"]
    for count, name in enumerate(states):
        button = page.get_by_role("button", name=name)
        size = button.bounding_box()
        assert min(size["height"], size["width"]) >= 24
        button.click()
        if count == 0:
            page.wait_for_timeout(300)  # colors change in a transition
            assert_accessible(page, include=[".deal"], exclude=[".katex-html"])
    page.get_by_role("button", name="I knew it").click()
    expect(page.locator(".card h2")).to_have_text("This round is done")
    assert_accessible(page, include=[".deal"])
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("button", name="Deal them all").click()
    expect(page.locator(".status")).to_have_text("2 questions in this round.")


# The cheat sheets on paper

CUT = """() => [...document.querySelectorAll(".cheat-sheet .katex-display")]
  .filter(node => node.scrollWidth > node.clientWidth + 1 || node.parentElement.scrollWidth > node.parentElement.clientWidth + 1)
  .map(node => node.textContent)"""
SIZES = """() => [...document.querySelectorAll(".cheat-sheet :is(h2, p, li)")]
  .map(node => parseFloat(getComputedStyle(node).fontSize) * 0.75)"""


def test_each_cheat_sheet_prints_on_one_page(open_page, address, tmp_path, short_answers):
    page = open_page(address)
    for section, some in SECTIONS.items():
        page.goto(f"{address}/cheat-sheets/{section}.html")
        expect(page.locator(".arithmatex:not(:has(.katex))")).to_have_count(0)
        path = tmp_path / f"{section}.pdf"
        page.pdf(path=path, prefer_css_page_size=True)
        info = subprocess.run(["pdfinfo", path], capture_output=True, text=True, check=True).stdout
        assert re.search(r"Pages:\s+1\n", info), f"{section}: {info}"
        assert "(A4)" in info
        text = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True).stdout
        for n in some:
            assert f"Q{n}. " in text
            ending = short_answers[n].split()[-1]
            assert ending in text, f"Q{n} is cut"
        assert "Search" not in text and "Ctrl+P" not in text
        page.set_viewport_size({"width": 718, "height": 1000})  # the width of the paper's text, 190 mm
        page.emulate_media(media="print")
        assert min(page.evaluate(SIZES)) >= 7, f"{section}: the text is too small to read"
        assert page.evaluate(CUT) == [], f"{section}: a formula is wider than its column"
        page.emulate_media(media="null")


# The deck for Anki


def read_deck(path, folder):
    """Notes by the start of their first field, the other tables, and the media by name."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    names = json.loads((folder / "media").read_text())
    media = {name: (folder / key).read_bytes() for key, name in names.items()}
    with sqlite3.connect(folder / "collection.anki2") as base:
        notes = {}
        for guid, mid, changed, tags, fields in base.execute("select guid, mid, mod, tags, flds from notes"):
            fields = fields.split("\x1f")
            notes[int(re.match(r"Q(\d+)\. ", fields[0])[1])] = (guid, mid, changed, tags.split(), fields)
        decks = json.loads(base.execute("select decks from col").fetchone()[0])
        cards = base.execute("select count(*), count(distinct nid) from cards").fetchone()
    return notes, decks, cards, media


@pytest.fixture(scope="module")
def deck(book, tmp_path_factory):
    return read_deck(book / "cnn-answer-book.apkg", tmp_path_factory.mktemp("deck"))


def test_the_deck_has_a_note_for_each_question(deck, short_answers):
    notes, decks, cards, _ = deck
    assert set(notes) == set(QUESTIONS)
    assert cards == (len(QUESTIONS), len(QUESTIONS))
    assert len({guid for guid, *_ in notes.values()}) == len(QUESTIONS)
    titles, listed = BOOK.sections, QUESTIONS
    names = {deck["name"] for deck in decks.values()}
    assert {f"The CNN Answer Book::{i} {title}" for i, title in enumerate(titles.values(), 1)} <= names
    for n, (_, _, _, tags, fields) in notes.items():
        question, section, difficulty, answer, *_, link = fields
        assert question == f"Q{n}. {listed[n].title}"
        assert section == titles[listed[n].section] and difficulty == listed[n].difficulty
        assert words(lxml.html.fromstring(f"<div>{answer}</div>")) == short_answers[n]
        assert {listed[n].section, difficulty} < set(tags)
        assert re.search(rf", Q{n}(</a>)?$", link)


def test_the_deck_is_sound_html_with_all_its_pictures(deck):
    notes, _, _, media = deck
    shown = set()
    for n, (*_, fields) in notes.items():
        text = "".join(fields)
        assert "$" not in text and "class=" not in text.replace('class="caption"', ""), (
            f"Q{n}: markup of the site"
        )
        assert text.count(r"\(") == text.count(r"\)") and text.count(r"\[") == text.count(r"\]"), f"Q{n}"
        for value in fields:
            again = lxml.html.tostring(
                lxml.html.fragment_fromstring(value, create_parent="div"), encoding="unicode"
            )
            assert len(again) == len(f"<div>{value}</div>"), f"Q{n}: the parser had to mend {value!r}"
        shown |= set(re.findall(r'<img src="([^"]+)"', text))
        assert 'alt="' in fields[5], f"Q{n} has no figure"
        judged = any(BOOK.verdicts(entry) for entry in BOOK.answer(n).entries)
        assert ("<li>" in fields[6]) == judged, f"Q{n} has no findings"  # a question of proofs has none
    assert shown == set(media)
    assert all(data.lstrip().startswith((b"<?xml", b"<svg")) for data in media.values())


def test_an_update_of_the_deck_keeps_what_was_learned(site, deck, tmp_path):
    notes, decks, *_ = deck
    copy = tmp_path / "site"
    some = SECTIONS["foundations"] | SECTIONS["beyond-one-image"]
    part = replace(BOOK, questions=some)
    for topic in sorted({question.topic for question in some.values()}):
        (copy / topic).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(site / f"{topic}.html", copy / f"{topic}.html")
    (copy / "figures").symlink_to(site / "figures")
    page = copy / "foundations/backpropagation.html"
    page.write_text(re.sub(r"(Short answer</p>\s*<p>)", r"\1It was changed. ", page.read_text(), count=1))
    written = []
    for changed in (1_800_000_000, 1_800_000_000, 1_900_000_000):
        anki_deck.write_deck(copy, part, "https://example.org/book/", changed)
        written.append((copy / "cnn-answer-book.apkg").read_bytes())
    assert written[0] == written[1] != written[2]
    after, decks_after, *_ = read_deck(copy / "cnn-answer-book.apkg", tmp_path / "after")
    assert {n: note[:2] for n, note in after.items()} == {n: notes[n][:2] for n in some}
    assert len(decks_after) == 3 and all(
        decks[key]["name"] == deck["name"] for key, deck in decks_after.items()
    )
    assert all(note[2] == 1_900_000_000 for note in after.values())  # newer, so Anki takes it
    assert after[2][4][3].startswith("<p>It was changed. ") and after[1][4][3] == notes[1][4][3]
    assert 'href="https://example.org/book/foundations/backpropagation.html#q2"' in after[2][4][-1]


def test_the_deck_names_the_page_of_a_fault(site, tmp_path):
    copy = tmp_path / "site"
    shutil.copytree(site / "foundations", copy / "foundations")
    (copy / "figures").symlink_to(site / "figures")
    page = copy / "foundations/backpropagation.html"
    page.write_text(page.read_text().replace("admonition abstract", "admonition note"))
    part = replace(BOOK, questions=SECTIONS["foundations"])
    with pytest.raises(Trouble, match="foundations/backpropagation.html: Q2 has no short answer"):
        anki_deck.write_deck(copy, part, "", 0)


def test_the_deck_shows_each_claim_with_its_verdict(deck):
    for n, (*_, fields) in deck[0].items():
        marks = [
            VERDICTS[verdict].mark for entry in BOOK.answer(n).entries for verdict, _ in BOOK.verdicts(entry)
        ]
        assert re.findall(r"<li>(.) ", fields[6]) == marks, f"Q{n}"
