"""What would a thousand topic pages cost? Our set-up against plain Material.

The topic pages are copied, under new names, until there are that many, and built by turns in two ways. Ours is
what `make site` does for the pages. Plain is Material with the same settings, pages and Markdown extensions and
with KaTeX, but without our templates, styles, scripts, hooks and the offline plugin. Neither has the labs. Time is
the processor's, which other programs on the machine disturb least; memory is the most that a build held. Our checks
of sources and site are timed apart.
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

from answerbook import pages as generated
from answerbook.model import read_book
from answerbook.project import ROOT, SOURCES, Trouble

PAGES, ROUNDS = 1000, 2
LIMIT = 1.2  # how much more than plain Material we may cost, in each figure
TO_A_LAB = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\((?:\.\./)?labs/[\w-]+\.ipynb[^)]*\)")
READ = "import pathlib; from answerbook.model import read_book; "
CHECKS = {
    "check_sources": f"{READ}from answerbook.site import check_sources as c; c.check(read_book(pathlib.Path('.')))",
    "check_site": "import pathlib; from answerbook.site import check_site as c; c.check(pathlib.Path('ours'))",
}


def make_project(project: Path, pages: int) -> None:
    """Fill ``project`` with so many topic pages and the configurations ours.yml and plain.yml."""
    for name in SOURCES[:-1]:
        shutil.copytree(ROOT / name, project / name)
    shutil.rmtree(project / "docs/labs")
    book = read_book(ROOT)
    generated.write(read_book(project))
    for path in (project / "docs").rglob("*.md"):
        path.write_text(TO_A_LAB.sub(r"\1", path.read_text()))
    config = yaml_load((ROOT / "mkdocs.yml").open())
    config["nav"] = [entry for entry in config["nav"] if "Labs" not in entry]
    config["plugins"] = [plugin for plugin in config["plugins"] if "mkdocs-jupyter" not in plugin]
    places = {
        name: some
        for entry in config["nav"]
        for some in entry.values()
        if isinstance(some, list)
        for name in some
        if isinstance(name, str)
    }
    topics = list(dict.fromkeys(question.page for question in book.answered.values()))
    for number in range(len(topics), pages):
        copy, topic = divmod(number, len(topics))
        name = topics[topic].replace(".md", f"-{copy + 1}.md")
        text = (project / "docs" / topics[topic]).read_text()
        text = re.sub(r"^(title: .*|# .*)$", rf"\1 {copy + 1}", text, flags=re.MULTILINE)
        (project / "docs" / name).write_text(text)
        places[topics[topic]].append(name)
    (project / "ours.yml").write_text(yaml.safe_dump(config))
    plain = {
        key: config[key] for key in ("site_name", "use_directory_urls", "exclude_docs", "nav", "validation")
    }
    plain["markdown_extensions"] = config["markdown_extensions"]
    own = ("custom_dir", "static_templates")
    plain["theme"] = {key: value for key, value in config["theme"].items() if key not in own}
    plain["plugins"] = ["search"]
    plain["extra_css"], plain["extra_javascript"] = (
        ["assets/katex/katex.min.css"],
        ["assets/katex/katex.min.js"],
    )
    (project / "plain.yml").write_text(yaml.safe_dump(plain))


def run(project: Path, *command: str) -> tuple[float, float]:
    """Processor seconds of a Python command in ``project``, and the most memory that it held, in MB."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=project, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise Trouble(f"scale: {' '.join(command)} failed")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return used.ru_utime + used.ru_stime, used.ru_maxrss / unit


def measure(project: Path, kind: str) -> dict[str, float]:
    """One build of a kind: its time, memory and bytes."""
    seconds, memory = run(
        project, "-m", "mkdocs", "build", "--quiet", "--strict", "-f", f"{kind}.yml", "-d", kind
    )
    site = project / kind
    weights = [first_view(path) for path in sorted(site.glob("*/*.html"))[::10]]
    return {
        "processor time, s": seconds,
        "peak memory, MB": memory,
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


def main(pages: int = PAGES, rounds: int = ROUNDS) -> int:
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
            ours, plain = (
                statistics.median(one[figure] for one in found[kind]) for kind in ("ours", "plain")
            )
            missed |= ours > LIMIT * plain
            print(f"{figure}: {ours:.1f}, {plain:.1f}, {ours / plain:.2f}")
        plain = statistics.median(one["processor time, s"] for one in found["plain"])
        for check, code in CHECKS.items():
            seconds, memory = run(project, "-c", code)
            print(f"{check}: {seconds:.1f} s, {seconds / plain:.2f} of the plain build, {memory:.0f} MB")
    return int(missed)
