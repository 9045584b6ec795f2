"""What is wrong after a change, in seconds: ``make check``.

The sources and the locks are checked, snippets whose code changed run (those and no others), and the pages are
built without the book and checked. All of it runs side by side.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from answerbook.audits import lock
from answerbook.model import Book, Snippet, read_book
from answerbook.project import ROOT, Trouble
from answerbook.run import runner
from answerbook.run.compare import difference
from answerbook.run.runner import Run
from answerbook.site import check_site, check_sources, pipeline


def check(root: Path = ROOT) -> None:
    """Print what was done; nothing that is recorded changes.

    Raises:
        Trouble: something is wrong; the message has a line for each mistake.
    """
    book = read_book(root)
    changed = [snippet for snippet in book.snippets.values() if not snippet.is_recorded]
    with ThreadPoolExecutor() as pool:
        built = pool.submit(_pages, root)
        runs = {snippet.name: runner.submit(snippet.source, snippet.name) for snippet in changed}
        problems = [*lock.check(root), *map(str, check_sources.check(book))]
        problems += [_verdict(book.snippets[name], run.result()) for name, run in runs.items()]
        problems += built.result()
    if problems:
        raise Trouble("\n".join(problems))
    print(_summary(book))


def _pages(root: Path) -> list[str]:
    site = root / ".cache/check"
    result = pipeline.mkdocs(root, site)
    return check_site.check(site) if result.returncode == 0 else [result.stderr.strip()]


def _verdict(snippet: Snippet, run: Run) -> str:
    """What became of a snippet that changed."""
    file = f"snippets/{snippet.name}.py"
    remedy = f"`make record ONLY={snippet.name}` keeps it"
    if run.error:
        return f"{file}:1: {run.error}"
    if not run.stdout.strip():
        return f"{file}:1: prints nothing; print the numbers that the claim rests on"
    if snippet.output is None:
        return f"{file}:1: runs ({run.cost}) and prints\n{run.stdout.rstrip()}\n{file}:1: {remedy}"
    if found := difference(run.stdout, snippet.output, snippet.tolerance):
        return f"{file}:1: {found}; if the new output is right, {remedy}"
    return f"{file}:1: runs ({run.cost}) and prints what its page shows; {remedy}"


def _summary(book: Book) -> str:
    return (
        f"{len(book.pages)} pages and {len(book.snippets)} snippets are in order; `make test` runs them all"
    )
