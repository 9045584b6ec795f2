"""What would a thousand topic pages cost? Behind ``make scale``: our set-up against plain Material.

    python tests/scale.py [pages] [rounds]

The topic pages are copied, under new names, until there are that many, and built by turns in two ways. Ours is
what `make site` does for the pages: mkdocs.yml, theme/, and the two scripts that finish the built pages. Plain is
Material with the same settings and Markdown extensions and with KaTeX, but without our templates, styles,
scripts, the offline plugin, notebooks and finishing. Time is the processor's, which other programs on the machine
disturb least; memory is the most that a build held. Our checks of sources and site are timed apart.
"""

import functools
import gzip
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import lxml.html
import yaml
from mkdocs.utils import yaml_load

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 1.2  # how much more than plain Material we may cost, in each figure
# A link to a page that is no topic page
ELSEWHERE = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\((?:\.\./)+(?:labs/)?[\w-]+\.(?:md|ipynb)[^)]*\)")
CHECKS = {
    "check_sources": "import check_sources; check_sources.check(pathlib.Path('.'))",
    "check_site": "import check_site; check_site.check(pathlib.Path('ours'))",
}


def make_project(project: Path, pages: int) -> None:
    """Fill ``project`` with so many topic pages and the configurations ours.yml and plain.yml."""
    for name in ("docs", "snippets", "theme"):
        shutil.copytree(ROOT / name, project / name)
    config = yaml_load((ROOT / "mkdocs.yml").open())
    sections = {title: names for entry in config["nav"] for title, names in entry.items() if isinstance(names, list)}
    questions = yaml.safe_load((ROOT / "docs/questions.yml").read_text())["questions"]
    topics = [f"{topic}.md" for topic in dict.fromkeys(question["topic"] for question in questions.values())]
    for path in (project / "docs").rglob("*"):
        if path.suffix in (".md", ".ipynb") and path.relative_to(project / "docs").as_posix() not in topics:
            path.unlink()
    for path in (project / "snippets").glob("*/*.md"):
        path.write_text(ELSEWHERE.sub(r"\1", path.read_text()))
    (project / "docs/index.md").write_text("---\ntitle: Home\n---\n\n# Home\n\nMany pages.\n")
    nav = {title: [] for title, names in sections.items() if any(name in topics for name in names)}
    for number in range(pages):
        copy, topic = divmod(number, len(topics))
        name = topics[topic]
        text = ELSEWHERE.sub(r"\1", (ROOT / "docs" / name).read_text())
        if copy:
            name = name.replace(".md", f"-{copy + 1}.md")
            text = re.sub(r"^(title: .*|# .*)$", rf"\1 {copy + 1}", text, flags=re.MULTILINE)
        (project / "docs" / name).write_text(text)
        next(some for title, some in nav.items() if topics[topic] in sections[title]).append(name)
    config["nav"] = [{"Home": "index.md"}, *({title: names} for title, names in nav.items())]
    (project / "ours.yml").write_text(yaml.safe_dump(config))
    plain = {key: config[key] for key in ("site_name", "use_directory_urls", "exclude_docs", "nav", "validation")}
    plain["markdown_extensions"] = config["markdown_extensions"]
    own = ("custom_dir", "static_templates")
    plain["theme"] = {key: value for key, value in config["theme"].items() if key not in own}
    plain["plugins"] = ["search"]
    plain["extra_css"], plain["extra_javascript"] = ["assets/katex/katex.min.css"], ["assets/katex/katex.min.js"]
    (project / "plain.yml").write_text(yaml.safe_dump(plain))


def run(project: Path, *command: str) -> tuple[float, float]:
    """Processor seconds of a Python command in ``project``, and the most memory that it held, in MB."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("tests", "theme", "book"))}
    process = subprocess.Popen([sys.executable, *command], cwd=project, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"scale: {' '.join(command)} failed")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return used.ru_utime + used.ru_stime, used.ru_maxrss / unit


def measure(project: Path, kind: str) -> dict[str, float]:
    """One build of a kind: its time, memory and bytes."""
    steps = [["-m", "mkdocs", "build", "--quiet", "--strict", "-f", f"{kind}.yml", "-d", kind]]
    if kind == "ours":
        steps += [["theme/trim_search_index.py", kind], ["theme/finish_pages.py", kind]]
    used = [run(project, *step) for step in steps]
    site = project / kind
    weights = [first_view(path) for path in sorted(site.glob("*/*.html"))[::10]]
    return {
        "processor time, s": sum(seconds for seconds, _ in used),
        "peak memory, MB": max(memory for _, memory in used),
        # Not compressed: the copies repeat each other, which a short index would profit from more.
        "search index, KB": (site / "search/search_index.json").stat().st_size / 1000,
        "page with its styles and scripts, KB compressed, median": statistics.median(weights) / 1000,
    }


def first_view(page: Path) -> int:
    """Compressed bytes of a page and of the styles and scripts that it names."""
    root = lxml.html.parse(str(page)).getroot()
    names = root.xpath("//link[@rel='stylesheet']/@href | //script/@src")
    return compressed(page) + sum(asset((page.parent / name).resolve()) for name in names)


def compressed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes()))


asset = functools.cache(compressed)  # many pages name the same


def main(pages: int = 1000, rounds: int = 2) -> int:
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        make_project(project, pages)
        found: dict[str, list[dict[str, float]]] = {"ours": [], "plain": []}
        for _ in range(rounds):
            for kind, measured in found.items():
                measured.append(measure(project, kind))
        missed = False
        print(f"{pages} topic pages, median of {rounds} builds; ours, plain Material, ratio")
        for figure in found["ours"][0]:
            ours, plain = (statistics.median(one[figure] for one in found[kind]) for kind in ("ours", "plain"))
            missed |= ours > LIMIT * plain
            print(f"{figure}: {ours:.1f}, {plain:.1f}, {ours / plain:.2f}")
        plain = statistics.median(one["processor time, s"] for one in found["plain"])
        for check, code in CHECKS.items():
            seconds, memory = run(project, "-c", f"import pathlib; {code}")
            print(f"{check}: {seconds:.1f} s, {seconds / plain:.2f} of the plain build, {memory:.0f} MB")
    return missed


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
