"""Check the pages against the list of questions, the snippets and the house form.

Part of every build, so that a mistake is named with its file, its line and its remedy before
anything is rendered.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import glossary
import related
import yaml
from generated_pages import generated_pages, read_questions, slug
from labs import lab_names, recorded_digest
from record import ROOT, digest, existing_figures, read_manifest, snippet_names
from replicate import holds, read_replications

QUESTION = re.compile(r"^## Q(\d+)\. (.+?) *\{ #(\S+) \}$")
INCLUDE = re.compile(r'^\s*--8<--\s+"([^"]+)"\s*$')
FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
PAPER = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\((https://(?:arxiv\.org|doi\.org)/[^)\s]+)\)")
VERDICTS = ('!!! holds "Holds"', '!!! holds-when "Holds when ', '!!! fails "Does not hold here')
PARTS = ("evidence", "wrong", "follow-ups", "sources")  # each an anchor #q<number>-<part>


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is and what to do about it."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def meta_line(question: dict) -> str:
    """The line under a question's heading: difficulty, task and techniques, linked to the index."""
    tags = [f"[{tag}](../questions.md#tag-{slug(tag)})" for tag in question["techniques"]]
    parts = [f"Difficulty: {question['difficulty']}", f"Task: {question['task']}"]
    return f'<p class="meta" markdown>{" · ".join(parts)} · Techniques: {", ".join(tags)}</p>'


def check(root: Path = ROOT) -> list[Problem]:
    """All mistakes in the sources, in reading order; an empty list is a pass."""
    _, questions = read_questions(root)
    manifest = read_manifest(root)
    seen: dict[int, str] = {}
    used: Counter[str] = Counter()
    problems: list[Problem] = []
    papers = yaml.safe_load((root / "docs/papers.yml").read_text())
    for path in sorted((root / "docs").rglob("*.md")):
        file = path.relative_to(root).as_posix()
        lines = _without_examples(path.read_text().splitlines())
        problems += _check_description(file, lines)
        problems += _check_fences(file, lines, root, used, manifest)
        problems += _check_questions(file, lines, questions, seen)
        problems += _check_figures(file, lines, path, root, manifest)
        problems += _check_papers(file, lines, papers)
    for name in snippet_names(root):
        if used[name] != 1:
            problems.append(
                Problem(f"snippets/{name}.py", 1, f"is on {used[name]} pages; show it on exactly one")
            )
    problems += _check_replications(root)
    for path in (root / "snippets").glob("*/*.out"):
        if not path.with_suffix(".py").exists():
            file = path.relative_to(root).as_posix()
            problems.append(Problem(file, 1, "has no snippet beside it; delete it"))
    problems += _check_keywords(root, questions)
    problems += [Problem("docs/questions.yml", 1, fault) for fault in related.faults(questions)]
    problems += [Problem("docs/glossary.yml", line, fault) for line, fault in glossary.faults(questions, root)]
    for file, text in generated_pages(root).items():
        if not (root / file).exists() or (root / file).read_text() != text:
            problems.append(Problem(file, 1, "is out of date; run `make index`"))
    return problems


def _without_examples(lines: list[str]) -> list[str]:
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


def _check_description(file: str, lines: list[str]) -> Iterator[Problem]:
    text = "\n".join(lines)
    front = re.match(r"---\n(.*?)\n---\n", text, flags=re.DOTALL)
    meta = yaml.safe_load(front[1]) if front else {}
    description = str((meta or {}).get("description") or "")
    if not 50 <= len(description) <= 160:
        yield Problem(
            file, 1, f"description has {len(description)} characters; give it 50 to 160 in front matter"
        )
    if not (meta or {}).get("title"):
        yield Problem(file, 1, "no title; add `title:` to the front matter")


def _check_fences(
    file: str, lines: list[str], root: Path, used: Counter, manifest: dict
) -> Iterator[Problem]:
    """Python blocks are snippets with a current recording, in a fence that the extractor sees."""
    opened = None  # (marks, language, line number) of the open fence
    body: list[str] = []
    awaited = None  # the snippet whose output must come next
    for number, line in enumerate(lines, 1):
        match = FENCE.match(line)
        if opened is None and match:
            opened, body = (match[1], match[2], number), []
            if line.lstrip()[0] == "~" or not re.fullmatch(r"[a-z]*", match[2]):
                yield Problem(
                    file, number, f"fence `{line.strip()}` escapes the tests; write ```python or ```text"
                )
            elif match[2] in ("py", "python3", "pycon", "ipython"):
                yield Problem(file, number, f"fence ```{match[2]} escapes the tests; write ```python")
            elif match[2] == "":
                yield Problem(file, number, "fence without a language; write ```python or ```text")
        elif opened and match and match[1].startswith(opened[0]) and not match[2].strip():
            if opened[1] == "python":
                if awaited:
                    yield Problem(file, opened[2], f"the output of {awaited} must come before this")
                awaited = None
                include = INCLUDE.match(body[0]) if len(body) == 1 else None
                if not include or not include[1].endswith(".py"):
                    yield Problem(
                        file, opened[2], "a Python block must be one snippet: move the code to snippets/ "
                        'and write --8<-- "<topic>/<technique>.py"'
                    )  # fmt: skip
                else:
                    awaited = include[1].removesuffix(".py")
                    used[awaited] += 1
                    yield from _check_recording(file, opened[2], awaited, root, manifest)
            elif awaited and body and (include := INCLUDE.match(body[0])):
                if include[1] != f"{awaited}.out":
                    yield Problem(file, opened[2], f'show --8<-- "{awaited}.out" here, not {include[1]}')
                elif not any("pytest-codeblocks:expected-output" in above for above in lines[opened[2] - 4 : opened[2]]):
                    yield Problem(
                        file, opened[2], "put <!--pytest-codeblocks:expected-output--> before this output"
                    )
                elif (stamp := f'--8<-- "{awaited.replace("/", "/replicated.md:")}"') not in lines[number : number + 2]:
                    yield Problem(file, number, f"write {stamp} under this output")
                awaited = None
            opened = None
        elif opened:
            body.append(line)
    if opened:
        yield Problem(file, opened[2], "this fence is never closed")
    if awaited:
        yield Problem(file, len(lines), f"the output of {awaited} is not shown")


def _check_recording(file: str, line: int, name: str, root: Path, manifest: dict) -> Iterator[Problem]:
    snippet = root / f"snippets/{name}.py"
    if not snippet.exists():
        yield Problem(file, line, f"snippets/{name}.py does not exist; check the spelling")
    elif name not in manifest or not snippet.with_suffix(".out").exists():
        yield Problem(file, line, f"snippets/{name}.py was never recorded; run `make record`")
    elif manifest[name] != digest(snippet):
        yield Problem(
            file, line, f"snippets/{name}.py changed after its output was recorded; run `make record`"
        )


def _check_questions(file: str, lines: list[str], questions: dict, seen: dict) -> Iterator[Problem]:
    starts = [n for n, line in enumerate(lines) if re.match(r"## Q\d", line)]
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        match = QUESTION.match(lines[start])
        if not match:
            yield Problem(file, start + 1, "write the heading as `## Q16. Title { #q16 }`")
            continue
        number, title, anchor = int(match[1]), match[2], match[3]
        question = questions.get(number)
        if question is None:
            yield Problem(file, start + 1, f"there is no question {number} in docs/questions.yml")
            continue
        if number in seen:
            yield Problem(file, start + 1, f"question {number} is already on {seen[number]}")
        seen[number] = f"{file}:{start + 1}"
        if file != f"docs/{question['topic']}.md":
            yield Problem(file, start + 1, f"question {number} belongs on docs/{question['topic']}.md")
        if title != question["title"]:
            yield Problem(file, start + 1, f"docs/questions.yml has the title {question['title']!r}")
        if anchor != f"q{number}":
            yield Problem(file, start + 1, f"write the anchor as {{ #q{number} }}, not #{anchor}")
        yield from _check_form(file, start, lines[start:end], number, question)
    for number, question in questions.items():
        if file == f"docs/{question['topic']}.md" and number not in seen:
            yield Problem(file, 1, f"question {number} ({question['title']}) is missing on its page")


def _check_form(file: str, start: int, body: list[str], number: int, question: dict) -> Iterator[Problem]:
    """The parts that every answer has."""
    text = "\n".join(body)
    meta, last = meta_line(question), related.include(number, question)
    if last not in body:
        yield Problem(file, start + len(body), f"Q{number}: end the answer, under its sources, with the line {last}")
    if meta not in body:
        yield Problem(file, start + 1, f"put this line under the heading: {meta}")
    short = re.search(r'^!!! abstract "Short answer"\n\n((?:    .*\n|\n)+)', text, re.MULTILINE)
    words = len(short[1].split()) if short else 0
    if not 1 <= words <= 60:
        yield Problem(file, start + 1, f"Q{number}: the short answer has {words} words; give it 1 to 60")
    for part in PARTS:
        if f"{{ #q{number}-{part} }}" not in text:
            yield Problem(file, start + 1, f"Q{number}: no heading with the anchor #q{number}-{part}")
    if not re.search(r"^!!! wrong ", text, re.MULTILINE):
        yield Problem(file, start + 1, f"Q{number}: no `!!! wrong` block with a common wrong answer")
    if not re.search(r"^\?\?\? question ", text, re.MULTILINE):
        yield Problem(file, start + 1, f"Q{number}: no folded follow-up (`??? question`)")
    # Each snippet: heading with its anchor, code, one verdict before the next snippet.
    at = [n for n, line in enumerate(body) if re.match(r'\s*--8<-- ".*\.py"', line)]
    if len(at) < 2:
        yield Problem(file, start + 1, f"Q{number}: {len(at)} snippets; an answer stands on at least 2")
    for first, following in zip(at, [*at[1:], len(body)]):
        technique = Path(INCLUDE.match(body[first])[1]).stem.replace("_", "-")
        headings = [line for line in body[:first] if line.startswith("####")]
        if not headings or f"{{ #q{number}-{technique} }}" not in headings[-1]:
            yield Problem(
                file, start + first + 1, f"give the heading above the anchor {{ #q{number}-{technique} }}"
            )
        verdicts = [line for line in body[first:following] if line.strip().startswith(VERDICTS)]
        if len(verdicts) != 1:
            yield Problem(
                file, start + first + 1, f"{len(verdicts)} verdicts after this snippet; give it one of "
                + ", ".join(verdict.rstrip() for verdict in VERDICTS)
            )  # fmt: skip


def _check_keywords(root: Path, questions: dict[int, dict]) -> Iterator[Problem]:
    """What the search adds to a question are words, each once."""
    lines = (root / "docs/questions.yml").read_text().splitlines()
    for number, question in questions.items():
        keywords = question.get("keywords", [])
        if not isinstance(keywords, list) or not all(isinstance(word, str) and word.strip() for word in keywords):
            fault = "has keywords that are no list of texts; write [NMS, mAP], and quote what YAML takes for a number"
        elif twice := [word for word, count in Counter(map(str.lower, keywords)).items() if count > 1]:
            fault = f"has the keyword {twice[0]} twice; delete one"
        else:
            continue
        line = next(n for n, text in enumerate(lines, 1) if text.startswith(f"  {number}:"))
        yield Problem("docs/questions.yml", line, f"question {number} {fault}")


def _check_replications(root: Path) -> Iterator[Problem]:
    entries = read_replications(root)
    for name in snippet_names(root):
        entry, sha = entries.get(name), digest(root / f"snippets/{name}.py")
        if not entry or entry["sha256"] != sha:
            yield Problem(f"snippets/{name}.py", 1, "was not run on fresh seeds since it changed; run `make replicate`")
        elif not holds(entry, sha):
            yield Problem(
                f"snippets/{name}.py", 1, f"held on {entry['held']} of {entry['runs']} fresh sets of seeds; "
                "reword the claim or change its verdict, then run `make replicate`"
            )  # fmt: skip


def _check_papers(file: str, lines: list[str], papers: dict[str, dict]) -> Iterator[Problem]:
    """Every identifier of a paper was looked up once and belongs to the title that links to it."""
    for number, line in enumerate(lines, 1):
        for text, url in PAPER.findall(line):
            if url not in papers:
                yield Problem(file, number, f"{url} is not in docs/papers.yml; look it up, then add it with its title")
            elif _plain(text) != _plain(papers[url]["title"]):
                yield Problem(file, number, f"{url} is {papers[url]['title']!r}, not {text!r}; write its title")


def _plain(title: str) -> str:
    return re.sub(r"\W+", " ", title.lower()).strip()


def _check_labs(root: Path) -> Iterator[Problem]:
    names = lab_names(root)
    for name in names:
        if recorded_digest(name, root) != digest(root / f"snippets/labs/{name}.py"):
            yield Problem(f"snippets/labs/{name}.py", 1, "is not what its notebook recorded; run `make record`")
    for path in (root / "docs/labs").glob("*.ipynb"):
        if path.stem not in names:
            yield Problem(path.relative_to(root).as_posix(), 1, "has no script in snippets/labs/; delete it")


def _check_figures(
    file: str, lines: list[str], path: Path, root: Path, manifest: dict
) -> Iterator[Problem]:
    text = "\n".join(lines)
    shown = set()
    fenced = False
    for number, line in enumerate(lines, 1):
        fenced ^= bool(re.match(r"\s*`{3,}", line))
        for alt, target in IMAGE.findall(line) if not fenced else ():
            target_path = (path.parent / target.split("#")[0]).resolve()
            shown.add(target_path)
            if not target_path.exists():
                yield Problem(file, number, f"no figure {target}; run `make record` or mend the path")
            if len(alt) < 30:
                yield Problem(
                    file, number, f"alternative text of {len(alt)} characters; say what {target} shows"
                )
            if "loading=lazy" not in line:
                yield Problem(file, number, f"write {{ loading=lazy }} behind {target}")
            if not any(following.strip().startswith("/// caption") for following in lines[number : number + 2]):
                yield Problem(file, number, f"{target} has no caption; add a `/// caption` block below it")
    for name in re.findall(r'--8<-- "(.+)\.py"', text):
        for figure in existing_figures(name, root):
            if figure.resolve() not in shown and name in manifest:
                yield Problem(file, 1, f"figure {figure.name} of snippet {name} is not on the page")


def main() -> int:
    problems = check()
    for problem in problems:
        print(problem, file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
