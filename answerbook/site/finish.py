"""Finish the built pages, for what no template can do.

**A Content-Security-Policy** in each page: it may load its own files and run its own scripts, nothing
else. The hashes of the few scripts that the theme writes into the pages are known only now; each page
gets those that it needs. No style attribute and no ``<style>`` is allowed, because nothing needs one: the
theme and KaTeX style what they make through the DOM, which no policy forbids. ``data:`` is for the
theme's icons, which stand in its style sheet. In a page opened from disk, ``'self'`` means files, and the
search runs in a frame (``docs/assets/iframe-worker.js``), which inherits the page's policy.

**Valid HTML** where the theme writes what the standard forbids.

**Colors of code** only where they tell something: names, operators, punctuation and spaces have the color
of the text, so they need no element of their own. They were two thirds of the elements of a long page.

**Sizes of pictures**, so that a page keeps its place for each and does not jump when it comes.
"""

import base64
import functools
import hashlib
import re
import struct
from pathlib import Path

POLICY = (
    "default-src 'none'; script-src 'self'{hashes}; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'"
)
CHARSET = '<meta charset="utf-8">'
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
INVALID = [  # Material 9.8.1: base.html and partials/nav-item.html
    (re.compile(r'(<input [^>]*type="checkbox"[^>]*) autocomplete="off"'), r"\1"),
    (re.compile(r' tabindex=""'), ""),
]
IMAGE = re.compile(r'<img (?![^>]*\bwidth=)(?=[^>]*\bsrc="([^":]+)")')
PLAIN = re.compile(r'<span class="[nopw]">([^<]*)</span>')


def finish(site: Path, policy: bool = True) -> None:
    """Rewrite every page below ``site``; finishing it again changes nothing.

    Without ``policy`` the pages get no Content-Security-Policy, which would forbid a live preview to reload.
    """
    for path in sorted(site.rglob("*.html")):
        html = path.read_text()
        for pattern, replacement in INVALID:
            html = pattern.sub(replacement, html)
        html = PLAIN.sub(r"\1", html)
        html = IMAGE.sub(lambda match, path=path: f"<img {_size(path.parent / match[1])}", html)
        if policy and CHARSET in html and 'http-equiv="Content-Security-Policy"' not in html:
            html = html.replace(CHARSET, f"{CHARSET}\n{_policy(html)}", 1)
        path.write_text(html)


@functools.cache
def _size(picture: Path) -> str:
    """``width`` and ``height`` of a picture in pixels as attributes; empty where it has no size of its own."""
    start = picture.read_bytes()[:2000] if picture.exists() else b""  # check_site names a missing one
    if start.startswith(b"\x89PNG"):
        sizes = struct.unpack(">2I", start[16:24])
    else:
        tag = start.partition(b"<svg")[2].partition(b">")[0].decode()
        found = [re.search(rf'\b{side}="([\d.]+)(pt)?"', tag) for side in ("width", "height")]
        sizes = [round(float(match[1]) * (4 / 3 if match[2] else 1)) for match in found if match]
    return 'width="{}" height="{}" '.format(*sizes) if len(sizes) == 2 else ""


def _policy(html: str) -> str:
    """The ``<meta>`` element that holds the policy of the page ``html``."""
    digests = (hashlib.sha256(script.encode()).digest() for script in dict.fromkeys(INLINE.findall(html)))
    hashes = "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return f'<meta http-equiv="Content-Security-Policy" content="{POLICY.format(hashes=hashes)}">'
