"""The search answers what readers type: each query of search_queries.yml, typed into the built site.

**A hit.** The theme shows one result a page: the page's title, below it the sections that match best, and
the rest folded. A result leads where its first unfolded section lies or, if it shows none, to the page's
first question. ``hit@n`` is the share of queries of which one of the first n results, counted in the order
on the screen, leads into the answer to a right question. What is folded, a lab, or a right page with
another question's section on top is no hit.
"""

import json
import re
import statistics
from collections import Counter

import pytest
import yaml
from playwright.sync_api import expect

from answerbook.project import ROOT
from tests.browsing import assert_accessible
from tests.sources import QUESTIONS

QUERIES = yaml.safe_load((ROOT / "tests/site/search_queries.yml").read_text())

# Types every query, one after the other: its text, then a key, to which the search listens. Returns for each
# the milliseconds until the first frame with results and where the first three lead. The theme writes the
# number of results anew for each answer, and shows them at once.
TYPE_ALL = """async (queries) => {
  const box = document.querySelector("[data-md-component=search-query]")
  const number = document.querySelector(".md-search-result__meta")
  let shown
  new MutationObserver(() => requestAnimationFrame(() => shown())).observe(number, { childList: true })
  const answers = []
  for (const query of queries) {
    box.value = query
    const pressed = performance.now()
    box.dispatchEvent(new KeyboardEvent("keyup", { key: query.at(-1), bubbles: true }))
    await new Promise((resolve, reject) => {
      shown = resolve
      setTimeout(reject, 10000, new Error(`no answer to ${query}`))
    })
    const items = [...document.querySelectorAll(".md-search-result__item")].slice(0, 3)
    answers.push([performance.now() - pressed, items.map(item => {
      const [page, section] = item.querySelectorAll(":scope > a[href]")
      return (section || page).href
    })])
  }
  return answers
}"""


def _open_search(open_page, url: str):
    page = open_page(url)
    page.keyboard.press("/")
    expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching", timeout=15_000)
    return page


def _questions(site) -> dict[str, int]:
    """The question that each section answers; for a page, its first."""
    found: dict[str, int] = {}
    for entry in json.loads((site / "search/search_index.json").read_text())["docs"]:
        page, _, anchor = entry["location"].partition("#")
        if match := re.match(r"q(\d+)(?:-|$)", anchor):
            current = int(match[1])
            found.setdefault(page, current)
        if page in found:
            found[entry["location"]] = current
    return found


def test_queries_are_answered(open_page, address, site):
    titles = {question.title: question.address for question in QUESTIONS.values()}
    page = _open_search(open_page, f"{address}/evidence.html")
    typed = [*titles, *(query for queries in QUERIES.values() for query in queries)]
    answers = dict(zip(typed, page.evaluate(TYPE_ALL, typed), strict=True))
    places = {
        query: [re.sub(r"\?[^#]*", "", url.removeprefix(f"{address}/")) for url in urls]
        for query, (_, urls) in answers.items()
    }
    middle = statistics.median(time for time, _ in answers.values())
    print(
        f"from key to results: median {middle:.0f} ms, at most {max(time for time, _ in answers.values()):.0f} ms"
    )

    questions, first, soon, misses = _questions(site), Counter(), Counter(), []
    for name, queries in QUERIES.items():
        for query, right in queries.items():
            hits = [questions.get(place) in right for place in places[query]]
            first[name] += hits[:1] == [True]
            soon[name] += any(hits)
            if not any(hits):
                misses.append(f"{query!r} leads to {places[query]}, not to question {right}")
        print(f"{name}: hit@1 {first[name] / len(queries):.3f}, hit@3 {soon[name] / len(queries):.3f}")
    told = "; ".join(misses) + "; mend the `keywords` of those questions in docs/questions.yml"
    spelled = len(QUERIES["tuned"]) + len(QUERIES["held_out"])
    assert soon["tuned"] + soon["held_out"] >= 0.98 * spelled, f"hit@3 is below 0.98; {told}"
    assert soon["misspelled"] >= 0.9 * len(QUERIES["misspelled"]), (
        f"hit@3 of the misspelled is below 0.9; {told}"
    )
    assert first["tuned"] + first["held_out"] >= 0.9 * spelled, f"hit@1 is below 0.9; {told}"
    for title, place in titles.items():
        assert places[title][:1] == [place], f"the title {title!r} leads to {places[title]}, not to {place}"


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_correction_is_said(open_page, address, site, scheme):
    page = _open_search(
        open_page, f"{address}/index.html" if scheme == "http" else (site / "index.html").as_uri()
    )
    page.keyboard.type("adverserial atack")
    expect(page.locator(".search-corrected")).to_have_text(
        "Showing results for “adversarial attack” instead of “adverserial atack”."
    )
    expect(page.locator(".md-search-result__item").first).to_contain_text("Q42.")
    if scheme == "http":
        assert_accessible(page, include=(".md-search",))
    box = page.locator("[data-md-component=search-query]")
    box.fill("adversarial attac")
    box.press("k")
    expect(page.locator(".search-corrected")).to_be_empty()
    expect(page.locator(".md-search-result__item").first).to_contain_text("Q42.")
