"""What a topic page includes of itself: ``docs/parts/<topic>.md``, a section a part.

``--8<-- "parts/<topic>.md:q17"`` is the line under a question's heading, ``…:q17-related`` the one that ends
its answer, and ``…:<technique>`` the folded listing of a snippet: what it needs, code, output, replication.
"""

from answerbook.model import Book, Question, Snippet
from answerbook.pages.ledger import Claim, replication, verified
from answerbook.project import slug

PACKAGES = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "faiss": "faiss-cpu",
}  # to install, by module
MODULES = {  # what a snippet may import beside the standard library
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "skimage",
    "matplotlib",
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


def listing(snippet: Snippet, claim: Claim | None) -> str:
    """The folded code of a snippet, with what it needs and what it printed."""
    needs = install_line(snippet)
    anchor = f"code-{snippet.name.split('/')[1].replace('_', '-')}"
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


def parts_files(book: Book, claims: list[Claim]) -> dict[str, str]:
    """The text of each topic's file, by its path from the project's root."""
    parts: dict[str, list[tuple[str, str]]] = {}
    for number, question in book.answered.items():
        topic = question.topic.split("/")[1]
        parts.setdefault(topic, []).append((f"q{number}", meta_line(question)))
        parts[topic].append((f"q{number}-related", related_line(question, book.answered)))
    by_snippet = {claim.snippet: claim for claim in claims}
    for name, snippet in book.snippets.items():
        if snippet.page:
            topic, technique = name.split("/")
            parts.setdefault(topic, []).append((technique, listing(snippet, by_snippet.get(name))))
    return {
        f"docs/parts/{topic}.md": "\n\n".join(
            f"<!-- --8<-- [start:{name}] -->\n{text}\n<!-- --8<-- [end:{name}] -->" for name, text in some
        )
        + "\n"
        for topic, some in parts.items()
    }
