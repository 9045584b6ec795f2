"""The book as its authors wrote it: the one reader of lists, pages, snippets and recordings.

:func:`read_book` parses each file once. Checks, generated pages, search, deck and book work from what it
returns. What is malformed becomes a :class:`Problem` of the book; the rest is read all the same, so that one
mistake hides no other.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import yaml

from answerbook.project import ROOT, Problem, Trouble
from answerbook.run.digest import code_digest

RUNS = 10  # fresh sets of seeds on which each random claim is run again
ENOUGH = 9  # of RUNS; a claim that holds less often is reworded or its verdict changed
DIFFICULTIES = ("basic", "medium", "hard")
GENERATED = (  # what answerbook.pages writes below docs/; git ignores it
    "questions.md",
    "practice.md",
    "corrections.md",
    "glossary.md",
    "techniques.md",
    "ledger.md",
    "cheat-sheets",
    "parts",
)
QUESTION = re.compile(r"## Q(\d+)\. (.+?) *\{ #(\S+) \}$")
ENTRY = re.compile(r"#### (.+?) *\{ #(\S+) \}$")
FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")
PART = re.compile(r'--8<-- "parts/([\w-]+)\.md:([\w-]+)"$')
TOLERANCE = re.compile(r"<!--\s*tolerance:\s*([0-9.e-]+)\s*-->$")


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: its name on a page, its mark in lists, the heading of its list."""

    name: str
    mark: str
    heading: str


VERDICTS = {
    "holds": Verdict("Holds", "✓", "Claims that hold"),
    "holds-when": Verdict("Holds when …", "≈", "Claims that hold under a condition"),
    "fails": Verdict("Does not hold here", "✗", "Claims that do not hold here"),
    "open": Verdict("Open here", "?", "Claims that stay open here"),
}


@dataclass(frozen=True)
class Question:
    """One entry of docs/questions.yml."""

    number: int
    line: int  # in docs/questions.yml
    title: str = ""
    topic: str = ""  # <section>/<topic>
    difficulty: str = ""
    task: str = ""
    techniques: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    related: tuple[int, ...] = ()
    formulas: tuple[int, ...] = (1,)

    @property
    def section(self) -> str:
        return self.topic.split("/")[0]

    @property
    def page(self) -> str:
        """Path of its page from docs/."""
        return f"{self.topic}.md"

    @property
    def address(self) -> str:
        """Its address from the site's root."""
        return f"{self.topic}.html#q{self.number}"


@dataclass
class Entry:
    """One claim under Evidence: a heading of level 4 and what stands below it."""

    title: str  # Markdown
    anchor: str
    line: int
    snippets: list[tuple[str, int]] = field(default_factory=list)  # <topic>/<technique>, line
    studies: list[tuple[str, int]] = field(default_factory=list)  # <topic>/<study>, line
    verdicts: list[tuple[str, str]] = field(default_factory=list)  # key of VERDICTS, text with the condition


@dataclass
class Answer:
    """The answer to one question, as its page has it."""

    number: int
    title: str
    anchor: str
    file: str
    line: int
    lines: list[str]
    entries: list[Entry] = field(default_factory=list)

    @cached_property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    @cached_property
    def short(self) -> str:
        """The short answer as Markdown; empty if there is none."""
        found = re.search(r'^!!! abstract "Short answer"\n\n((?:    .*\n|\n)+)', self.text, re.MULTILINE)
        return re.sub(r"^    ", "", found[1], flags=re.MULTILINE).strip() if found else ""

    @cached_property
    def formulas(self) -> list[str]:
        """TeX of the displays before the evidence."""
        before = self.text.partition("\n### Evidence")[0]
        return [" ".join(tex.split()) for tex in re.findall(r"^\s*\$\$\n(.*?)\n\s*\$\$", before, re.M | re.S)]

    @cached_property
    def wrong(self) -> list[str]:
        """The common wrong answers, as Markdown."""
        titles = re.findall(r'^!!! wrong "(.*)"$', self.text, re.MULTILINE)
        return [title.replace('\\"', '"') for title in titles]


@dataclass
class Page:
    """One hand-written page."""

    file: str  # from the project's root
    lines: list[str]  # examples of how to write a page are blanked out
    meta: dict
    answers: list[Answer] = field(default_factory=list)

    @property
    def snippets(self) -> list[tuple[str, int]]:
        """The snippets that it shows, with their lines."""
        return [shown for answer in self.answers for entry in answer.entries for shown in entry.snippets]

    @property
    def studies(self) -> list[tuple[str, int]]:
        """The studies that it shows, with their lines."""
        return [shown for answer in self.answers for entry in answer.entries for shown in entry.studies]


@dataclass(frozen=True)
class Snippet:
    """One snippet with what was recorded of it."""

    name: str  # <topic>/<technique>
    source: str
    output: str | None  # None: never recorded
    recorded: str  # digest of the code that was recorded; empty: none
    replication: dict | None
    page: str = ""  # the page that shows it, from docs/
    tolerance: float | None = None  # absolute, for the decimals of its output; None: one in the last digit

    @cached_property
    def tree(self) -> ast.Module:
        """Its code; empty if it does not parse."""
        try:
            return ast.parse(self.source)
        except SyntaxError:
            return ast.Module([], [])

    @cached_property
    def digest(self) -> str:
        """Of its code; empty if it does not parse, and so belongs to no recording."""
        try:
            return code_digest(self.source)
        except SyntaxError:
            return ""

    @property
    def is_recorded(self) -> bool:
        return self.output is not None and bool(self.digest) and self.recorded == self.digest

    @cached_property
    def summary(self) -> str:
        """The first sentence of its docstring."""
        text = " ".join((ast.get_docstring(self.tree) or "").partition("\n\n")[0].split())
        found = re.match(r".+?[.!?](?=\s|$)|.+", text)
        return found[0] if found else ""

    @cached_property
    def imports(self) -> set[str]:
        """The top-level modules that it imports."""
        nodes = list(ast.walk(self.tree))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        return {name.split(".")[0] for name in names}


@dataclass(frozen=True)
class Study:
    """One study with its recorded result."""

    name: str  # <topic>/<study>
    digest: str  # of its code
    result: dict | None  # as answerbook.study wrote it; None: never run

    @property
    def is_recorded(self) -> bool:
        return bool(self.result) and self.result["digest"] == self.digest


@dataclass(frozen=True)
class Term:
    """One entry of docs/glossary.yml."""

    term: str
    questions: tuple[int, ...]
    definition: str
    line: int
    abbreviation: str = ""


@dataclass
class Book:
    """Everything that was read, and what is wrong with it."""

    root: Path
    sections: dict[str, str]  # title by slug
    questions: dict[int, Question]
    pages: list[Page]
    snippets: dict[str, Snippet]
    studies: dict[str, Study]
    terms: list[Term]  # by the alphabet
    papers: dict[str, dict]
    corrections: dict[str, list[dict]]
    problems: list[Problem]

    @cached_property
    def answers(self) -> dict[int, Answer]:
        """The first answer to each question, on whatever page it stands."""
        found: dict[int, Answer] = {}
        for page in self.pages:
            for answer in page.answers:
                found.setdefault(answer.number, answer)
        return found

    @cached_property
    def answered(self) -> dict[int, Question]:
        """The questions whose topic page exists, in the order of the list."""
        files = {page.file for page in self.pages}
        return {n: q for n, q in self.questions.items() if f"docs/{q.page}" in files}

    @cached_property
    def by_section(self) -> dict[str, dict[int, Question]]:
        """The answered questions of each section that has one."""
        found = {s: {n: q for n, q in self.answered.items() if q.section == s} for s in self.sections}
        return {section: some for section, some in found.items() if some}

    @cached_property
    def converted(self) -> set[str]:
        """The topics whose effects are studies: there snippets carry neither verdict nor replication."""
        return {name.split("/")[0] for name in self.studies}

    def verdicts(self, entry: Entry) -> list[tuple[str, str]]:
        """The verdicts of an entry, those of its studies among them: key of VERDICTS, text."""
        found = list(entry.verdicts)
        for name, _ in entry.studies:
            if (study := self.studies.get(name)) and study.result:
                claims = study.result["claims"].values()
                found += [(claim["verdict"], VERDICTS[claim["verdict"]].name) for claim in claims]
        return found

    def answer(self, number: int) -> Answer:
        """The answer to a question; an empty one if its page lacks it, which the checks name."""
        return self.answers.get(number) or Answer(number, "", "", "", 0, [])


def read_book(root: Path = ROOT) -> Book:
    """Read the project at ``root``; nothing is written and nothing is imported from it."""
    problems: list[Problem] = []
    sections, questions = _questions(root, problems)
    files = [path for path in sorted((root / "docs").rglob("*.md")) if _is_written_by_hand(root, path)]
    pages = [_page(path, root) for path in files]
    return Book(
        root,
        sections,
        questions,
        pages,
        read_snippets(root, pages),
        _studies(root),
        _terms(root, problems),
        read_yaml(root, "docs/papers.yml")[0],
        read_yaml(root, "docs/corrections.yml")[0],
        problems,
    )


def read_yaml(root: Path, file: str) -> tuple:
    """What a list below ``root`` holds, and its lines.

    Raises:
        Trouble: it is missing or no YAML.
    """
    try:
        text = (root / file).read_text()
        return yaml.safe_load(text), text.splitlines()
    except FileNotFoundError:
        raise Trouble(f"{file}:1: does not exist; restore it from git") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Trouble(f"{file}:{line}: is no YAML ({error.problem}); mend this line") from None


def _is_written_by_hand(root: Path, path: Path) -> bool:
    return path.relative_to(root / "docs").parts[0] not in GENERATED


def _questions(root: Path, problems: list[Problem]) -> tuple[dict[str, str], dict[int, Question]]:
    file = "docs/questions.yml"
    data, rows = read_yaml(root, file)
    lines: dict[int, int] = {}
    for line, row in enumerate(rows, 1):
        if match := re.match(r"  (\d+):", row):
            if (number := int(match[1])) in lines:  # YAML keeps the last one in silence
                problems.append(Problem(file, line, f"question {number} is listed twice; delete one"))
            lines.setdefault(number, line)
    found = {}
    for number, fields in data["questions"].items():
        line = lines[number]
        missing = [
            key for key in ("title", "topic", "difficulty", "task", "techniques") if not fields.get(key)
        ]
        unknown = sorted(set(fields) - set(Question.__dataclass_fields__))
        if missing or unknown:
            fault = (
                f"has no {missing[0]}; write it"
                if missing
                else f"has a field {unknown[0]!r}; delete or correct it"
            )
            problems.append(Problem(file, line, f"question {number} {fault}"))
            fields = {key: value for key, value in fields.items() if key not in unknown}
        if fault := _keyword_fault(fields.get("keywords", [])):
            problems.append(Problem(file, line, f"question {number} {fault}"))
            fields = fields | {"keywords": []}
        lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
        found[number] = Question(number, line, **(fields | lists))
    return data["sections"], found


def _keyword_fault(keywords) -> str:
    """What the search adds to a question are words, each once."""
    if not isinstance(keywords, list) or not all(isinstance(word, str) and word.strip() for word in keywords):
        return (
            "has keywords that are no list of texts; write [NMS, mAP], and quote what YAML takes for a number"
        )
    twice = [word for word, count in Counter(map(str.lower, keywords)).items() if count > 1]
    return f"has the keyword {twice[0]} twice; delete one" if twice else ""


def without_examples(lines: list[str]) -> list[str]:
    """Blank out ```markdown blocks: they show how a page is written and are not themselves one."""
    kept, fence = [], ""
    for line in lines:
        match = FENCE.match(line)
        closes = bool(fence and match and match[1] == fence and not match[2])
        if match and not fence and match[2] == "markdown":
            fence = match[1]
        kept.append("" if fence else line)
        if closes:
            fence = ""
    return kept


def read_page(file: str, text: str) -> Page:
    """A page from its text; ``file`` is its path from the project's root."""
    lines = without_examples(text.splitlines())
    front = re.match(r"---\n(.*?)\n---\n", text, flags=re.DOTALL)
    page = Page(file, lines, (yaml.safe_load(front[1]) if front else None) or {})
    starts = [n for n, line in enumerate(lines) if QUESTION.match(line)]
    for start, end in pairwise([*starts, len(lines)]):
        number, title, anchor = QUESTION.match(lines[start]).groups()
        answer = Answer(int(number), title, anchor, file, start + 1, lines[start:end])
        answer.entries = list(_entries(answer, Path(file).stem))
        page.answers.append(answer)
    return page


def _page(path: Path, root: Path) -> Page:
    return read_page(path.relative_to(root).as_posix(), path.read_text())


def _entries(answer: Answer, topic: str) -> Iterator[Entry]:
    """The claims of an answer; a listing or a verdict outside of one belongs to an entry without a title."""
    entry = Entry("", "", answer.line)
    for number, line in enumerate(answer.lines, answer.line):
        if line.startswith("##") and (entry.snippets or entry.studies or entry.verdicts or entry.title):
            yield entry
        if match := ENTRY.match(line):
            entry = Entry(match[1], match[2], number)
        elif line.startswith("##"):
            entry = Entry("", "", number)
        elif (match := PART.match(line)) and not re.match(r"q\d+|reading$", match[2]):
            kind = entry.studies if match[2].startswith("study-") else entry.snippets
            kind.append((f"{match[1]}/{match[2].removeprefix('study-')}", number))
        elif match := re.match(rf'!!! ({"|".join(VERDICTS)}) "(.*)"$', line):
            entry.verdicts.append((match[1], match[2].replace('\\"', '"')))
    if entry.snippets or entry.studies or entry.verdicts or entry.title:
        yield entry


def snippet_names(root: Path = ROOT) -> list[str]:
    """Names ``<topic>/<technique>`` of all snippets, sorted; the labs are not among them."""
    return sorted(
        path.relative_to(root / "snippets").with_suffix("").as_posix()
        for path in (root / "snippets").glob("*/*.py")
        if path.parent.name != "labs"
    )


def read_record(topic: str, root: Path = ROOT) -> dict[str, dict]:
    """What was recorded of a topic's snippets, by technique: ``digest`` of the code that was recorded, and what
    its last ``replication`` found."""
    return _json(root, f"snippets/{topic}/record.json")


def _json(root: Path, file: str) -> dict:
    if not (root / file).exists():
        return {}
    try:
        return json.loads((root / file).read_text())
    except json.JSONDecodeError as error:
        raise Trouble(f"{file}:{error.lineno}: is no JSON; restore it with `git checkout {file}`") from None


def read_snippets(root: Path = ROOT, pages: Sequence[Page] = ()) -> dict[str, Snippet]:
    """All snippets by name; those that ``pages`` show know their page."""
    names = snippet_names(root)
    records = {topic: read_record(topic, root) for topic in {name.split("/")[0] for name in names}}
    shown = {name: (page, line) for page in pages for name, line in page.snippets}
    found = {}
    for name in names:
        topic, technique = name.split("/")
        record = records[topic].get(technique, {})
        path = root / f"snippets/{name}.py"
        output = path.with_suffix(".out")
        place: dict = {}
        if name in shown:
            page, line = shown[name]
            before = TOLERANCE.match(page.lines[line - 2])
            place = {
                "page": page.file.removeprefix("docs/"),
                "tolerance": float(before[1]) if before else None,
            }
        found[name] = Snippet(
            name,
            path.read_text(),
            output.read_text() if output.exists() else None,
            record.get("digest", ""),
            record.get("replication"),
            **place,
        )
    return found


def _studies(root: Path) -> dict[str, Study]:
    found = {}
    for path in sorted((root / "studies").glob("*/*.py")):
        name = f"{path.parent.name}/{path.stem}"
        try:
            digest = code_digest(path.read_text())
        except SyntaxError:
            digest = ""
        found[name] = Study(name, digest, _json(root, f"studies/{name}.json") or None)
    return found


def figure_paths(name: str, count: int, root: Path = ROOT) -> list[Path]:
    """Where a snippet's figures lie: ``<technique>.svg``, the second ``<technique>-2.svg`` …"""
    folder = root / "docs" / "figures"
    return [folder / f"{name}{'' if n == 1 else f'-{n}'}.svg" for n in range(1, count + 1)]


def existing_figures(name: str, root: Path = ROOT) -> list[Path]:
    """The recorded figures of a snippet, in order."""
    found = []
    while (path := figure_paths(name, len(found) + 1, root)[-1]).exists():
        found.append(path)
    return found


def _terms(root: Path, problems: list[Problem]) -> list[Term]:
    file = "docs/glossary.yml"
    data, rows = read_yaml(root, file)
    lines = [number for number, row in enumerate(rows, 1) if row.startswith("- ")]
    found = []
    for fields, line in zip(data, lines, strict=True):
        missing = {"term", "questions", "definition"} - {key for key, value in fields.items() if value}
        if missing:
            problems.append(Problem(file, line, f"this entry has no {min(missing)}; write it"))
            continue
        if not fields["definition"].endswith("."):
            problems.append(Problem(file, line, "the definition does not end in a period; add it"))
        found.append(Term(**(fields | {"questions": tuple(fields["questions"]), "line": line})))
    return sorted(found, key=lambda term: term.term.casefold())
