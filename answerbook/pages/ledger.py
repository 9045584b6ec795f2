"""The ledger: every measured claim with its verdict, its recorded effect and its replication.

All of it comes from the snippets (the claim), the topic pages (question and verdict), the recorded outputs
(the effect) and ``snippets/<topic>/record.json`` (seeds and when it was last run).
"""

import csv
import io
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from html import escape

from answerbook.model import ENOUGH, RUNS, VERDICTS, Book, Snippet, Study
from answerbook.pages.opening import opening
from answerbook.pages.studies import verdict_text, verdict_word


@dataclass(frozen=True)
class Claim:
    """One measured claim: a row of the ledger."""

    claim: str  # as the page or the study states it; of one that does not hold, the claim that is refuted
    question: int
    section: str  # slug
    page: str  # <section>/<topic>.md
    anchor: str  # of its heading on the page
    source: str  # snippets/<topic>/<technique>.py, or studies/<topic>/<study>.py
    verdict: str  # key of VERDICTS
    verdict_text: str  # as on the page, with the condition
    effect: str  # what the snippet printed, or the study's differences with their intervals
    seeds: (
        int  # that a snippet sets or says that it averages; pairs of a study; 0: nothing is drawn at random
    )
    held: int  # of ``runs``: fresh sets of seeds on which a snippet's claim held, pairs in which an arm was better
    runs: int  # a snippet's: RUNS, or 1 where nothing is drawn at random; a study's: its pairs
    verified: str  # date of that run
    python: str
    torch: str
    cpu: str
    cpu_seconds: float  # median of one run

    key: str  # the claim's name in the study; empty for a snippet

    @property
    def id(self) -> str:
        """Anchor of its row on the ledger page."""
        folder, name = self.source.removesuffix(".py").split("/", 1)
        kind = ["study"] if folder == "studies" else []
        return "-".join([*kind, name, *filter(None, [self.key])]).replace("/", "-").replace("_", "-")

    @property
    def snippet(self) -> str:
        """<topic>/<technique>; empty for a study."""
        return self.source[len("snippets/") : -len(".py")] if self.source.startswith("snippets/") else ""


def read_claims(book: Book) -> list[Claim]:
    """All claims by page, in the order of the list; what was never recorded, replicated or judged is left out
    and named by the checks."""
    order = {question.page: place for place, question in reversed(list(enumerate(book.questions.values())))}
    found = []
    for page in book.pages:
        name = page.file.removeprefix("docs/")
        for answer in page.answers:
            for entry in answer.entries:
                place = {
                    "question": answer.number,
                    "section": name.split("/")[0],
                    "page": name,
                    "anchor": entry.anchor,
                }
                for (snippet, _), (verdict, text) in zip(entry.snippets, entry.verdicts, strict=False):
                    one = book.snippets.get(snippet)
                    if one and one.output is not None and one.replication:
                        title = plain(entry.title) if verdict == "fails" else one.summary
                        found.append(_of_snippet(one, title, verdict, text, place))
                for study, _ in entry.studies:
                    if (one := book.studies.get(study)) and one.result:
                        found += _of_study(one, place)
    return sorted(found, key=lambda claim: order.get(claim.page, len(order)))


def plain(markdown: str) -> str:
    """A heading without its markup."""
    return re.sub(r"[*`]|\[([^]]+)\]\([^)]*\)", r"\1", markdown)


def _of_snippet(snippet: Snippet, claim: str, verdict: str, text: str, place: dict) -> Claim:
    entry, output = snippet.replication, snippet.output.rstrip()
    stated = [int(n) for n in re.findall(r"\b(?:seeds? 0 to |n = )?(\d+) seeds", output)]
    return Claim(
        claim=claim,
        source=f"snippets/{snippet.name}.py",
        verdict=verdict,
        verdict_text=text,
        effect=output,
        seeds=max([entry["seeds"], *stated]) if entry["runs"] > 1 else 0,
        verified=entry["date"],
        key="",
        **{key: entry[key] for key in ("held", "runs", "python", "torch", "cpu", "cpu_seconds")},
        **place,
    )


def _of_study(study: Study, place: dict) -> list[Claim]:
    result = study.result
    pairs = len(result["units"])
    return [
        Claim(
            claim=claim["refutes"] if claim["verdict"] == "fails" and claim["refutes"] else claim["sentence"],
            source=f"studies/{study.name}.py",
            verdict=claim["verdict"],
            verdict_text=verdict_word(claim),
            effect=verdict_text(result, key),
            seeds=pairs,
            held=claim["with"]["better_in"],
            runs=pairs,
            verified=result["date"],
            key=key,
            **{name: result[name] for name in ("python", "torch", "cpu", "cpu_seconds")},
            **place,
        )
        for key, claim in result["claims"].items()
    ]


def replication(claim: Claim) -> str:
    """How often a claim held on fresh seeds, in words."""
    if claim.key:
        return f"certified on {claim.runs} pairs, better in {claim.held}"
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


def filter_form(claims: list[Claim], titles: dict[str, str], rows: int, what: str) -> str:
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
        f'<output aria-live="polite">{rows} {what}</output>\n'
        "</form>"
    )


def ledger_page(book: Book, claims: list[Claim]) -> str:
    """docs/ledger.md: the rows and their selectors."""
    counts = Counter(claim.verdict for claim in claims)
    studied = [claim for claim in claims if claim.key]
    replicated = [claim for claim in claims if not claim.key]
    drawn = [claim for claim in replicated if claim.runs > 1]
    enough = [claim for claim in drawn if claim.held >= ENOUGH]
    all_runs = sum(claim.held for claim in drawn)
    dates = sorted({claim.verified for claim in replicated})
    period = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "never"
    lines = opening(
        "Ledger of claims",
        f"All {len(claims)} measured claims of this book with verdict, recorded effect, seeds and replication on fresh "
        "seeds.",
        "the snippets, their outputs and the replication; do not edit",
    )
    lines += [
        f"Every claim that this book measures: {len(claims)} of them. {counts['holds']} hold, "
        f"{counts['holds-when']} hold under a stated condition, {counts['fails']} are popular claims that do "
        f"not hold here, {counts['open']} stay open. [How the evidence works](evidence.md) says what that means. "
        'Take the whole ledger as <a href="ledger.csv" download>CSV</a> or '
        '<a href="ledger.json" download>JSON</a>.',
        "",
        f"**Studies** carry {len(studied)} of the claims: all arms tuned alike, paired, certified on seeds that "
        "follow from the study's own code; the verdict is computed from the interval. `make study` repeats them.",
        "",
        f"**Snippets** carry the other {len(replicated)}, from the first edition; a study will replace each that "
        f"compares. {len(drawn)} draw random numbers. Each was run again on {RUNS} sets of seeds that follow from "
        f"the date of the run through SHA-256. {len(enough)} held on at least {ENOUGH} of {RUNS}, and {all_runs} of "
        f"{RUNS * len(drawn)} runs held in all. The other {len(replicated) - len(drawn)} draw nothing at random "
        f"and ran once. Runs of {period}; `make replicate` repeats them.",
        "",
        '<div class="ledger">',
        filter_form(claims, book.sections, len(claims), "claims"),
    ]
    for section, title in book.sections.items():
        some = [claim for claim in claims if claim.section == section]
        if not some:
            continue
        lines += [f'<h2 id="{section}">{escape(title)}</h2>', "<ul>"]
        for claim in some:
            page = claim.page.replace(".md", ".html")
            seeds = (
                f"{claim.seeds} seed{'s' * (claim.seeds != 1)} · " if claim.seeds and not claim.key else ""
            )
            lines += [
                f'<li id="{claim.id}" data-section="{section}" data-verdict="{claim.verdict}">',
                f'<p><a href="{page}#{claim.anchor}">{escape(claim.claim)}</a></p>',
                f'<p class="facts"><strong class="{claim.verdict}">{VERDICTS[claim.verdict].mark} '
                f'{escape(claim.verdict_text)}</strong> · <a href="{page}#q{claim.question}">Q{claim.question}</a> · '
                f"{seeds}{replication(claim)}</p>",
                f'<details><summary>Effect as recorded</summary><pre tabindex="0">{escape(claim.effect)}</pre>'
                f"<p>{verified(claim)}. <code>{claim.source}</code></p></details>",
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
