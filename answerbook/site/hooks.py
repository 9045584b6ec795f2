"""What MkDocs calls around its own build: pages are written before it, and finished after it.

A preview shows what readers get, and what is still wrong: a question in progress can be served, with its
problems on the page and in the terminal.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

import pygments
import pymdownx.highlight

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `mkdocs serve` alone finds the package too

from answerbook import pages
from answerbook.model import read_book
from answerbook.project import replace
from answerbook.site import check_sources, search_index
from answerbook.site.finish import finish

CODE = re.compile(r"<pre[^>]*>.*?</pre>", re.DOTALL)
KEPT = re.compile(r"<pre>code (\d+)</pre>")

serving = False
book = None  # as it was read for this build
kept: list[str] = []  # code of all pages
problems: list = []  # of the sources, while serving
colored: dict[str, str] = {}  # colored code of the last build
used: dict[str, str] = {}  # of this one


def on_startup(command, dirty):
    global serving
    serving = command == "serve"


def on_config(config):
    colored.update(_read_colors(config))
    pymdownx.highlight.highlight = _highlight
    if serving:  # a listing that is not recorded yet is empty
        config.mdx_configs["pymdownx.snippets"]["check_paths"] = False


def on_pre_build(config):
    global book
    book = read_book(Path(config.config_file_path).parent)
    pages.write(book)
    if serving:
        problems[:] = check_sources.check(book)
        for problem in problems:
            print(problem, file=sys.stderr)


def on_page_markdown(markdown, page, config, files):
    topic = Path(page.file.src_uri).stem
    here = (f"docs/{page.file.src_uri}", f"snippets/{topic}/")
    found = [f"    - {problem}" for problem in problems if problem.file.startswith(here)]
    return "\n".join(['!!! failure "In progress"', "", *found, "", markdown]) if found else markdown


def on_page_content(html, page, config, files):
    """Set code aside while the search reads the page: parsing it took a third of the build, for nothing."""

    def keep(match: re.Match) -> str:
        kept.append(match[0])
        return f"<pre>code {len(kept) - 1}</pre>"

    return CODE.sub(keep, html) if page.file.src_uri.endswith(".md") else html


def on_post_page(output, page, config):
    return KEPT.sub(lambda match: kept[int(match[1])], output)


def _highlight(code, lexer, formatter):
    """Code as Pygments colors it: the same code the same way, so a third of a build is saved by remembering."""
    options = [
        (name, value) for name, value in vars(formatter).items() if isinstance(value, str | int | None)
    ]
    told = [pygments.__version__, type(lexer).__name__, sorted(options), code]
    key = hashlib.sha256(repr(told).encode()).hexdigest()
    used[key] = colored.get(key) or pygments.highlight(code, lexer, formatter)
    return used[key]


def _colors(config) -> Path:
    return Path(config.config_file_path).parent / ".cache/colored.json"


def _read_colors(config) -> dict[str, str]:
    try:
        return json.loads(_colors(config).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def on_post_build(config):
    replace(_colors(config), json.dumps(used).encode())
    colored.update(used)
    used.clear()
    site = Path(config.site_dir)
    search_index.trim(site, book)
    finish(site, policy=not serving)
