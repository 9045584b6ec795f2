"""The ledger: every measured claim with its verdict, its recorded effect and its replication.

All of it comes from the snippets (the claim), the topic pages (question and verdict), the recorded outputs
(the effect) and ``snippets/replicated.json`` (seeds and when it was last run).
"""

import csv
import io
import json
import re
import statistics
from collections import Counter
from dataclasses import asdict, dataclass
from html import escape

from answerbook.model import ENOUGH, RUNS, VERDICTS, Book, Snippet
from answerbook.pages.opening import opening


@dataclass(frozen=True)
class Claim:
    """One measured claim: a row of the ledger."""

    claim: str  # the first sentence of the snippet's docstring
    question: int
    section: str  # slug
    page: str  # <section>/<topic>.md
    anchor: str  # of its heading on the page
    snippet: str  # <topic>/<technique>
    verdict: str  # key of VERDICTS
    verdict_text: str  # as on the page, with the condition
    output: str  # what the snippet printed: the effect, with spread and seeds where they matter
    seeds: int  # that it sets or says that it averages; 0 where nothing is drawn at random
    held: int  # fresh sets of seeds on which it held, of ``runs``
    runs: int  # RUNS, or 1 where nothing is drawn at random
    verified: str  # date of that replication
    python: str
    torch: str
    cpu: str
    cpu_seconds: float  # median of one run

    @property
    def id(self) -> str:
        return row_id(self.snippet)


def row_id(snippet: str) -> str:
    """Anchor of a snippet's row on the ledger page."""
    return snippet.replace("/", "-").replace("_", "-")


def read_claims(book: Book) -> list[Claim]:
    """All claims by page, in the order of the list; what was never recorded, replicated or judged is left out
    and named by the checks."""
    order = {question.page: place for place, question in reversed(list(enumerate(book.questions.values())))}
    found = []
    for page in book.pages:
        name = page.file.removeprefix("docs/")
        for answer in page.answers:
            for entry in answer.entries:
                for (snippet, _), (verdict, text) in zip(entry.snippets, entry.verdicts, strict=False):
                    one = book.snippets.get(snippet)
                    if one and one.output is not None and one.replication:
                        found.append(_claim(one, answer.number, name, entry.anchor, verdict, text))
    return sorted(found, key=lambda claim: order.get(claim.page, len(order)))


def _claim(snippet: Snippet, question: int, page: str, anchor: str, verdict: str, text: str) -> Claim:
    entry, output = snippet.replication, snippet.output.rstrip()
    stated = [int(n) for n in re.findall(r"\b(?:seeds? 0 to |n = )?(\d+) seeds", output)]
    return Claim(
        claim=snippet.summary,
        question=question,
        section=page.split("/")[0],
        page=page,
        anchor=anchor,
        snippet=snippet.name,
        verdict=verdict,
        verdict_text=text,
        output=output,
        seeds=max([entry["seeds"], *stated]) if entry["runs"] > 1 else 0,
        verified=entry["date"],
        **{key: entry[key] for key in ("held", "runs", "python", "torch", "cpu", "cpu_seconds")},
    )


def replication(claim: Claim) -> str:
    """How often a claim held on fresh seeds, in words."""
    if claim.runs == 1:
        return "nothing is drawn at random"
    return f"held on {claim.held} of {claim.runs} fresh sets of seeds"


def verified(claim: Claim) -> str:
    """The stamp that the run left: when, with what, how long."""
    seconds = "under 1" if claim.cpu_seconds < 1 else f"{claim.cpu_seconds:.0f}"
    return (
        f"Last verified {claim.verified}: Python {claim.python}, torch {claim.torch}, {claim.cpu}, "
        f"{seconds} CPU s"
    )


def filter_form(claims: list[Claim], titles: dict[str, str]) -> str:
    """The selectors over a list of claims, which assets/ledger.js brings to life."""
    sections = "".join(
        f'<option value="{section}">{escape(title)}</option>'
        for section, title in titles.items()
        if any(claim.section == section for claim in claims)
    )
    verdicts = "".join(f'<option value="{key}">{verdict.name}</option>' for key, verdict in VERDICTS.items())
    return (
        '<form class="ledger-filter" hidden>\n'
        f'<label>Section <select name="section"><option value="">all</option>{sections}</select></label>\n'
        f'<label>Verdict <select name="verdict"><option value="">all</option>{verdicts}</select></label>\n'
        '<label>Words <input name="words" type="search" autocomplete="off"></label>\n'
        f'<output aria-live="polite">{len(claims)} claims</output>\n'
        "</form>"
    )


def ledger_page(book: Book, claims: list[Claim]) -> str:
    """docs/ledger.md: the rows and their selectors."""
    counts = Counter(claim.verdict for claim in claims)
    drawn = [claim for claim in claims if claim.runs > 1]
    enough = [claim for claim in drawn if claim.held >= ENOUGH]
    all_runs = sum(claim.held for claim in drawn)
    seconds = statistics.median(claim.cpu_seconds for claim in claims) if claims else 0
    dates = sorted({claim.verified for claim in claims})
    period = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "never"
    lines = opening(
        "Ledger of claims",
        f"All {len(claims)} measured claims of this book with verdict, recorded effect, seeds and replication on fresh "
        "seeds.",
        "the snippets, their outputs and the replication; do not edit",
    )
    lines += [
        f"Every claim that this book measures: {len(claims)} of them, of which {counts['holds']} hold, "
        f"{counts['holds-when']} hold under a stated condition and {counts['fails']} are popular claims that do "
        "not hold here. [How the evidence works](evidence.md) says what that means. Take the whole ledger as "
        '<a href="ledger.csv" download>CSV</a> or <a href="ledger.json" download>JSON</a>.',
        "",
        f"**Replication.** {len(drawn)} claims draw random numbers. Each was run again on {RUNS} sets of seeds that "
        "nobody chose: they follow from the date of the run through SHA-256. "
        f"{len(enough)} of {len(drawn)} held on at least {ENOUGH} of {RUNS}, and {all_runs} of {RUNS * len(drawn)} "
        f"runs held in all. The other {len(claims) - len(drawn)} draw nothing at random and ran once. Runs of "
        f"{period}; the median run takes {seconds:.1f} CPU s. `make replicate` repeats them.",
        "",
        '<div class="ledger">',
        filter_form(claims, book.sections),
    ]
    for section, title in book.sections.items():
        some = [claim for claim in claims if claim.section == section]
        if not some:
            continue
        lines += [f'<h2 id="{section}">{escape(title)}</h2>', "<ul>"]
        for claim in some:
            page = claim.page.replace(".md", ".html")
            seeds = f"{claim.seeds} seed{'s' * (claim.seeds != 1)} · " if claim.seeds else ""
            lines += [
                f'<li id="{claim.id}" data-section="{section}" data-verdict="{claim.verdict}">',
                f'<p><a href="{page}#{claim.anchor}">{escape(claim.claim)}</a></p>',
                f'<p class="facts"><strong class="{claim.verdict}">{VERDICTS[claim.verdict].mark} '
                f'{escape(claim.verdict_text)}</strong> · <a href="{page}#q{claim.question}">Q{claim.question}</a> · '
                f"{seeds}{replication(claim)}</p>",
                f'<details><summary>Effect as recorded</summary><pre tabindex="0">{escape(claim.output)}</pre>'
                f"<p>{verified(claim)}. Snippet <code>{claim.snippet}.py</code></p></details>",
                "</li>",
            ]
        lines.append("</ul>")
    return "\n".join([*lines, "</div>", ""])


def ledger_files(book: Book, claims: list[Claim]) -> dict[str, str]:
    """The page and its two downloads, by path from the project's root."""
    table = io.StringIO()
    rows = [asdict(claim) for claim in claims]
    writer = csv.DictWriter(table, list(Claim.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {
        "docs/ledger.md": ledger_page(book, claims),
        "docs/ledger.csv": table.getvalue(),
        "docs/ledger.json": json.dumps(rows, indent=1, ensure_ascii=False) + "\n",
    }
