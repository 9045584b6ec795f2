"""Check the pages against the list of questions, the snippets and the house form.

Part of every build, so that a mistake is named with its file, its line and its remedy before
anything is rendered.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from answerbook.model import (
    DIFFICULTIES,
    ENOUGH,
    FENCE,
    PART,
    QUESTION,
    VERDICTS,
    Answer,
    Book,
    Entry,
    Page,
    Question,
    Snippet,
    existing_figures,
    read_page,
)
from answerbook.pages import generated_files, glossary
from answerbook.project import Problem
from answerbook.run import labs

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
PAPER = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\((https://(?:arxiv\.org|doi\.org)/[^)\s]+)\)")
PARTS = (
    "wrong",
    "follow-ups",
    "breaks",
    "evidence",
    "sources",
)  # each an anchor #q<number>-<part>, in this order
FEW, MANY = 3, 5  # related questions of one question
LEAST = 2  # studies and snippets that an answer stands on


def check(book: Book) -> list[Problem]:
    """All mistakes in the sources, in reading order; an empty list is a pass."""
    problems = list(book.problems)
    for page in [*book.pages, *_generated_pages(book)]:
        problems += _check_head(page)
        problems += _check_fences(page, book)
        problems += _check_figures(page, book)
        problems += _check_papers(page, book)
    problems += _check_questions(book)
    used = Counter(name for page in book.pages for name, _ in page.snippets)
    for name, snippet in book.snippets.items():
        if used[name] != 1:
            message = f'is on {used[name]} pages; show it on exactly one, by --8<-- "{_part(name)}"'
            problems.append(Problem(f"snippets/{name}.py", 1, message))
        if name.split("/")[0] not in book.converted:
            problems += _check_replication(snippet)
    problems += _check_studies(book)
    for path in sorted((book.root / "snippets").glob("*/*.out")):
        if not path.with_suffix(".py").exists():
            file = path.relative_to(book.root).as_posix()
            problems.append(Problem(file, 1, "has no snippet beside it; delete it"))
    problems += _check_list(book)
    problems += glossary.faults(book)
    problems += labs.problems(book.root)
    return problems


def _generated_pages(book: Book) -> Iterator[Page]:
    for file, text in generated_files(book).items():
        if file.endswith(".md") and not file.startswith("docs/parts/"):
            yield read_page(file, text)


def _part(snippet: str) -> str:
    return "parts/{}.md:{}".format(*snippet.split("/"))


def _check_head(page: Page) -> Iterator[Problem]:
    description = str(page.meta.get("description") or "")
    if not 50 <= len(description) <= 160:
        message = f"description has {len(description)} characters; give it 50 to 160 in front matter"
        yield Problem(page.file, 1, message)
    if not page.meta.get("title"):
        yield Problem(page.file, 1, "no title; add `title:` to the front matter")


def _check_fences(page: Page, book: Book) -> Iterator[Problem]:
    """A page holds no code of its own: Python is a snippet, which a part of the page lists."""
    opened = None  # (marks, line number) of the open fence
    for number, line in enumerate(page.lines, 1):
        match = FENCE.match(line)
        if opened is None and match:
            opened = (match[1], number)
            if line.lstrip()[0] == "~" or not re.fullmatch(r"[a-z]*", match[2]):
                message = f"fence `{line.strip()}` escapes the tests; write ```text or ```console"
                yield Problem(page.file, number, message)
            elif match[2] in ("py", "python", "python3", "pycon", "ipython"):
                message = (
                    "a Python block must be one snippet: move the code to snippets/ and write "
                    '--8<-- "parts/<topic>.md:<technique>"'
                )
                yield Problem(page.file, number, message)
            elif match[2] == "":
                yield Problem(page.file, number, "fence without a language; write ```text or ```console")
        elif opened and match and match[1].startswith(opened[0]) and not match[2].strip():
            opened = None
        elif opened is None and (part := PART.match(line)):
            yield from _check_part(page, number, f"{part[1]}/{part[2]}", book)
    if opened:
        yield Problem(page.file, opened[1], "this fence is never closed")


def _check_part(page: Page, line: int, name: str, book: Book) -> Iterator[Problem]:
    topic, part = name.split("/")
    if topic != Path(page.file).stem:
        yield Problem(page.file, line, f"includes a part of {topic}; a page shows the parts of its own topic")
    elif part.startswith("study-"):
        if f"{topic}/{part.removeprefix('study-')}" not in book.studies:
            message = f"studies/{topic}/{part.removeprefix('study-')}.py does not exist; check the spelling"
            yield Problem(page.file, line, message)
    elif not re.match(r"q\d+|reading$", part):
        snippet = book.snippets.get(name)
        if snippet is None:
            yield Problem(page.file, line, f"snippets/{name}.py does not exist; check the spelling")
        elif snippet.output is None:
            yield Problem(page.file, line, f"snippets/{name}.py was never recorded; run `make record`")
        elif not snippet.is_recorded:
            message = f"snippets/{name}.py changed after its output was recorded; run `make record`"
            yield Problem(page.file, line, message)


def _check_questions(book: Book) -> Iterator[Problem]:
    seen: dict[int, str] = {}
    for page in book.pages:
        for number, line in enumerate(page.lines, 1):
            if re.match(r"## Q\d", line) and not QUESTION.match(line):
                yield Problem(page.file, number, "write the heading as `## Q16. Title { #q16 }`")
        for answer in page.answers:
            question = book.questions.get(answer.number)
            if question is None:
                message = f"there is no question {answer.number} in docs/questions.yml"
                yield Problem(page.file, answer.line, message)
                continue
            if answer.number in seen:
                message = f"question {answer.number} is already on {seen[answer.number]}"
                yield Problem(page.file, answer.line, message)
            seen[answer.number] = f"{page.file}:{answer.line}"
            if page.file != f"docs/{question.page}":
                message = f"question {answer.number} belongs on docs/{question.page}"
                yield Problem(page.file, answer.line, message)
            if answer.title != question.title:
                message = f"docs/questions.yml has the title {question.title!r}"
                yield Problem(page.file, answer.line, message)
            if answer.anchor != f"q{answer.number}":
                message = f"write the anchor as {{ #q{answer.number} }}, not #{answer.anchor}"
                yield Problem(page.file, answer.line, message)
            yield from _check_form(answer, question, book)
        reading = f'--8<-- "parts/{Path(page.file).stem}.md:reading"'
        if page.answers and reading not in page.lines:
            yield Problem(page.file, 1, f"write this line before the first question: {reading}")
        for number, question in book.questions.items():
            if page.file == f"docs/{question.page}" and number not in seen:
                yield Problem(page.file, 1, f"question {number} ({question.title}) is missing on its page")


def _check_form(answer: Answer, question: Question, book: Book) -> Iterator[Problem]:
    """The parts that every answer has."""
    file, line, number, topic = answer.file, answer.line, answer.number, question.topic.split("/")[1]
    for part, where in (("", "under its heading"), ("-related", "under its sources")):
        include = f'--8<-- "parts/{topic}.md:q{number}{part}"'
        if include not in answer.lines:
            yield Problem(file, line, f"Q{number}: write this line {where}: {include}")
    words = len(answer.short.split())
    if not 1 <= words <= 60:
        yield Problem(file, line, f"Q{number}: the short answer has {words} words; give it 1 to 60")
    converted = topic in book.converted
    parts = PARTS if converted else [part for part in PARTS if part != "breaks"]
    places = [answer.text.find(f"{{ #q{number}-{part} }}") for part in parts]
    for part, place in zip(parts, places, strict=True):
        if place < 0:
            yield Problem(file, line, f"Q{number}: no heading with the anchor #q{number}-{part}")
    if min(places) >= 0 and places != sorted(places):
        yield Problem(file, line, f"Q{number}: put its parts in the order {', '.join(parts)}")
    if not answer.wrong:
        yield Problem(file, line, f"Q{number}: no `!!! wrong` block with a common wrong answer")
    if not re.search(r"^\?\?\? question ", answer.text, re.MULTILINE):
        yield Problem(file, line, f"Q{number}: no folded follow-up (`??? question`)")
    shown = sum(len(entry.snippets) + len(entry.studies) for entry in answer.entries)
    if shown < LEAST:
        message = f"Q{number}: {shown} studies and snippets; an answer stands on at least {LEAST}"
        yield Problem(file, line, message)
    for entry in answer.entries:
        yield from _check_entry(answer, entry, converted)


def _check_entry(answer: Answer, entry: Entry, converted: bool) -> Iterator[Problem]:
    """A claim has one verdict: of a first edition's snippet from its author, of a study from its intervals."""
    file, number = answer.file, answer.number
    if converted:
        if entry.verdicts:
            message = (
                "has a verdict written by hand; where effects are studies, verdicts come from their results"
            )
            yield Problem(file, entry.line, message)
        if entry.anchor and not entry.anchor.startswith(f"q{number}-"):
            yield Problem(file, entry.line, f"give this heading an anchor {{ #q{number}-… }}")
        return
    for name, at in entry.snippets:
        anchor = f"q{number}-{name.split('/')[1].replace('_', '-')}"
        if entry.anchor != anchor:
            yield Problem(file, at, f"give the heading above the anchor {{ #{anchor} }}")
        if len(entry.verdicts) != len(entry.snippets):
            forms = ", ".join(f'!!! {key} "{VERDICTS[key].name}"' for key in ("holds", "holds-when", "fails"))
            message = f"{len(entry.verdicts)} verdicts for this snippet; give it one of {forms}"
            yield Problem(file, at, message)


def _check_studies(book: Book) -> Iterator[Problem]:
    """Each study has a result of its present code and stands on one page; tests/study asks what it says."""
    shown = Counter(name for page in book.pages for name, _ in page.studies)
    for name, study in book.studies.items():
        file, remedy = f"studies/{name}.py", f"run `make study ONLY={name}`"
        if study.result is None:
            yield Problem(file, 1, f"was never run; {remedy}")
        elif not study.is_recorded:
            yield Problem(file, 1, f"changed after its result was certified; {remedy}")
        elif not (book.root / f"docs/figures/{name}.svg").exists():
            yield Problem(file, 1, f"has no figure docs/figures/{name}.svg; {remedy}")
        if name in book.snippets:
            yield Problem(file, 1, "has the name of a snippet, so that both would own one figure; rename it")
        if shown[name] != 1:
            topic, key = name.split("/")
            include = f'--8<-- "parts/{topic}.md:study-{key}"'
            yield Problem(file, 1, f"is on {shown[name]} pages; show it on exactly one, by {include}")


def _check_list(book: Book) -> Iterator[Problem]:
    """What docs/questions.yml says of each question."""
    for number, question in book.questions.items():
        related = list(question.related)
        fault = ""
        if question.difficulty not in DIFFICULTIES:
            fault = f"has the difficulty {question.difficulty!r}; write one of {', '.join(DIFFICULTIES)}"
        elif not FEW <= len(set(related)) == len(related) <= MANY:
            fault = f"has `related: {related}`; name {FEW} to {MANY} different questions"
        elif number in related:
            fault = "names itself in `related`; name another"
        elif unknown := set(related) - set(book.questions):
            fault = f"names {min(unknown)} in `related`, which does not exist; correct the number"
        if fault:
            yield Problem("docs/questions.yml", question.line, f"question {number} {fault}")


def _check_replication(snippet: Snippet) -> Iterator[Problem]:
    entry, file = snippet.replication, f"snippets/{snippet.name}.py"
    if not entry or entry["digest"] != snippet.digest:
        yield Problem(file, 1, "was not run on fresh seeds since it changed; run `make replicate`")
    elif entry["held"] < min(ENOUGH, entry["runs"]):
        message = (
            f"held on {entry['held']} of {entry['runs']} fresh sets of seeds; reword the claim or change its "
            "verdict, then run `make replicate`"
        )
        yield Problem(file, 1, message)


def _check_papers(page: Page, book: Book) -> Iterator[Problem]:
    """Every identifier of a paper was looked up once and belongs to the title that links to it."""
    for number, line in enumerate(page.lines, 1):
        for text, url in PAPER.findall(line):
            if url not in book.papers:
                message = f"{url} is not in docs/papers.yml; look it up, then add it with its title"
                yield Problem(page.file, number, message)
            elif _plain(text) != _plain(title := book.papers[url]["title"]):
                yield Problem(page.file, number, f"{url} is {title!r}, not {text!r}; write its title")


def _plain(title: str) -> str:
    return re.sub(r"\W+", " ", title.lower()).strip()


def _check_figures(page: Page, book: Book) -> Iterator[Problem]:
    folder = (book.root / page.file).parent
    shown, fenced = set(), False
    for number, line in enumerate(page.lines, 1):
        fenced ^= bool(re.match(r"\s*`{3,}", line))
        for alt, target in IMAGE.findall(line) if not fenced else ():
            path = (folder / target.split("#")[0]).resolve()
            shown.add(path)
            if not path.exists():
                yield Problem(page.file, number, f"no figure {target}; run `make record` or mend the path")
            if len(alt) < 30:
                message = f"alternative text of {len(alt)} characters; say what {target} shows"
                yield Problem(page.file, number, message)
            if "loading=lazy" not in line:
                yield Problem(page.file, number, f"write {{ loading=lazy }} behind {target}")
            if not any(after.strip().startswith("/// caption") for after in page.lines[number : number + 2]):
                message = f"{target} has no caption; add a `/// caption` block below it"
                yield Problem(page.file, number, message)
    for name, line in page.snippets:
        for figure in existing_figures(name, book.root):
            if figure.resolve() not in shown:
                yield Problem(page.file, line, f"figure {figure.name} of snippet {name} is not on the page")
