"""Where to read on: the questions that docs/questions.yml names as related, at the end of each answer.

``make index`` writes them into ``snippets/<topic>/related.md``, a section a question, which the topic
page includes under its sources.
"""

from collections.abc import Iterator

FEW, MANY = 3, 5  # related questions of one question


def include(number: int, question: dict) -> str:
    """The line that ends an answer on its topic page."""
    return f'--8<-- "{question["topic"].split("/")[1]}/related.md:q{number}"'


def related_files(questions: dict[int, dict]) -> dict[str, str]:
    """The sections to include, by path from the project's root; only links among these questions."""
    files: dict[str, list[str]] = {}
    for number, question in questions.items():
        links = [
            f"[Q{n}. {questions[n]['title']}](../{questions[n]['topic']}.md#q{n})"
            for n in question.get("related", ())
            if n in questions
        ]
        lines = [f"<!-- --8<-- [start:q{number}] -->"]
        if links:
            lines += [f'<p class="meta related" markdown>Related questions: {" · ".join(links)}</p>']
        topic = question["topic"].split("/")[1]
        files.setdefault(f"snippets/{topic}/related.md", []).append(
            "\n".join([*lines, f"<!-- --8<-- [end:q{number}] -->", ""])
        )
    return {name: "\n".join(parts) for name, parts in files.items()}


def faults(questions: dict[int, dict]) -> Iterator[str]:
    """What is wrong with the lists, and the remedy."""
    for number, question in questions.items():
        related = question.get("related", [])
        if not FEW <= len(set(related)) == len(related) <= MANY:
            yield f"question {number} has `related: {related}`; name {FEW} to {MANY} different questions"
        elif number in related:
            yield f"question {number} names itself in `related`; name another"
        elif unknown := set(related) - set(questions):
            yield f"question {number} names {min(unknown)} in `related`, which does not exist; correct the number"
