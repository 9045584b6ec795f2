"""Run the tests: ``make test``, or ``make test ONLY=ensembles`` for one topic."""

from pathlib import Path

from answerbook.model import read_book
from answerbook.project import ROOT, Trouble
from answerbook.site import check_sources


def test(topics: list[str], root: Path = ROOT) -> int:
    """pytest's exit status.

    Args:
        topics: those to test, by the names of their folders in snippets/; none: all tests.
        root: the project's folder.

    Raises:
        Trouble: there is no such topic, or the sources are not in order, which every other test relies on.
    """
    import pytest

    book = read_book(root)
    known = sorted({question.topic.split("/")[1] for question in book.questions.values()})
    for topic in topics:
        if topic not in known:
            raise Trouble(f"there is no topic {topic}; the topics are {', '.join(known)}")
    if problems := check_sources.check(book):
        raise Trouble("\n".join(map(str, problems)))
    chosen = ["-k", " or ".join(topics)] if topics else []
    return int(pytest.main([str(root / "tests"), *chosen]))
