"""The ledger and the replication: every claim has its row, and no seed of the author's survives."""

import csv
import json
from collections import Counter

import lxml.html
import pytest
from playwright.sync_api import expect

from answerbook.model import ENOUGH, RUNS, VERDICTS
from answerbook.pages.ledger import plain
from answerbook.project import ROOT
from answerbook.run import runner
from answerbook.run.replicate import offsets
from tests.sources import BOOK, CLAIMS

DRAWS = {  # each way in which snippets draw numbers
    "torch": "torch.manual_seed(0); print(torch.rand(3))",
    "a tensor as seed": "torch.manual_seed(torch.tensor([0, 1])[0]); print(torch.rand(3))",
    "a generator": "g = torch.Generator().manual_seed(0); print(torch.rand(3, generator=g))",
    "no seed": "print(torch.rand(3))",
    "NumPy": "print(np.random.default_rng(0).random(3))",
    "NumPy's old seed": "np.random.seed(0); print(np.random.rand(3))",
    "scikit-learn": "print(train_test_split(list(range(50)), random_state=0)[1])",
    "random": "random.seed(0); print(random.random(), random.Random(0).random())",
    "a child process": "print(subprocess.run([sys.executable, '-c', 'import torch; torch.manual_seed(0); "
    "print(torch.rand(3))'], capture_output=True, text=True).stdout)",
}
IMPORTS = (
    "import random, subprocess, sys\nimport numpy as np\nimport torch\nfrom sklearn.model_selection import train_test_split\n"
)


@pytest.mark.parametrize("way", DRAWS)
def test_replication_moves_every_seed(way):
    runs = [runner.run(IMPORTS + DRAWS[way], way, seed_offset=offset) for offset in (None, 1000, 1000, 2000)]
    assert not any(run.error for run in runs), runs
    plain, one, again, other = (run.stdout for run in runs)
    assert one == again
    assert len({plain, one, other}) == 3


def test_a_claim_that_only_the_printed_seed_supports_does_not_hold():
    source = "import torch\ntorch.manual_seed(3)\nassert (torch.rand(6) < 0.5).sum() in (0, 6)"
    held = [not runner.run(source, "luck", seed_offset=offset).error for offset in offsets("2026-11-23")]
    assert sum(held) < ENOUGH


def test_offsets_follow_from_the_date():
    assert offsets("2026-11-23") == offsets("2026-11-23") != offsets("2026-11-24")
    assert len(set(offsets("2026-11-23"))) == RUNS


def test_every_claim_is_a_row_that_links_there_and_back(site):
    claims = {claim.id: claim for claim in CLAIMS}
    assert len(claims) == len(CLAIMS)
    judged = {name for name in BOOK.snippets if name.split("/")[0] not in BOOK.converted}
    assert {claim.snippet for claim in CLAIMS if claim.snippet} == judged
    keys = {(name, key) for name, study in BOOK.studies.items() for key in study.result["claims"]}
    studied = {(claim.source[len("studies/") : -len(".py")], claim.key) for claim in CLAIMS if claim.key}
    assert studied == keys
    ledger = lxml.html.parse(str(site / "ledger.html")).getroot()
    rows = {node.get("id"): node for node in ledger.cssselect(".ledger li")}
    assert set(rows) == set(claims)
    pages = {claim.page for claim in CLAIMS}
    back = {
        link.get("href").partition("#")[2]: page
        for page in pages
        for link in lxml.html.parse(str(site / page.replace(".md", ".html"))).getroot().cssselect("p.stamp a")
    }
    for name, claim in claims.items():
        assert rows[name].cssselect("a")[0].get("href") == f"{claim.page.replace('.md', '.html')}#{claim.anchor}"
        assert rows[name].cssselect("pre")[0].text_content() == claim.effect
        assert claim.key or back[name] == claim.page


def test_a_claim_that_does_not_hold_is_the_one_that_was_refuted(site):
    """Not the finding, which the verdict would negate."""
    titles = {entry.anchor: plain(entry.title) for answer in BOOK.answers.values() for entry in answer.entries}
    for claim in CLAIMS:
        if claim.verdict == "fails" and claim.snippet:
            assert claim.claim == titles[claim.anchor]
        elif claim.verdict == "fails":
            stated = BOOK.studies[claim.source[len("studies/") : -len(".py")]].result["claims"][claim.key]
            assert claim.claim == (stated["refutes"] or stated["sentence"])


def test_downloads_hold_the_same_rows(site):
    rows = json.loads((site / "ledger.json").read_text())
    with open(site / "ledger.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [{key: str(value) for key, value in row.items()} for row in rows] == table
    assert len(table) == len(CLAIMS)
    for row in rows:
        if not row["key"]:
            assert row["effect"] == (ROOT / row["source"]).with_suffix(".out").read_text().rstrip()
            assert row["held"] >= min(ENOUGH, row["runs"])


def test_rows_can_be_filtered_and_the_view_linked(open_page, address):
    claims = CLAIMS
    page = open_page(f"{address}/ledger.html")
    visible = page.locator(".ledger li:visible")
    expect(visible).to_have_count(len(claims))
    for verdict, count in Counter(claim.verdict for claim in claims).items():
        page.get_by_label("Verdict").select_option(verdict)
        expect(visible).to_have_count(count)
        expect(page.locator(".ledger output")).to_have_text(f"{count} of {len(claims)} claims")
    page.get_by_label("Verdict").select_option("fails")
    page.get_by_label("Section").select_option("efficiency")
    some = [claim for claim in claims if (claim.verdict, claim.section) == ("fails", "efficiency")]
    expect(visible).to_have_count(len(some))
    page.goto(page.url)  # the address holds the choice
    expect(page.get_by_label("Section")).to_have_value("efficiency")
    expect(visible).to_have_count(len(some))
    page.goto(f"{address}/ledger.html?words=mixup#{claims[0].id}")
    assert 0 < visible.count() < len(claims)
    assert all("mixup" in text.lower() for text in visible.all_text_contents())


def test_verdicts_of_ledger_and_pages_agree(site):
    shown = Counter()
    for topic in {question.page for question in BOOK.answered.values()}:
        page = lxml.html.parse(str(site / topic.replace(".md", ".html"))).getroot()
        for node in page.cssselect(", ".join(f".admonition.{key}, span.verdict.{key}" for key in VERDICTS)):
            shown[node.get("class").split()[-1]] += 1
    assert shown == Counter(claim.verdict for claim in CLAIMS)
