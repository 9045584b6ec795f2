"""``make lighthouse``: what Google's Lighthouse says of the home page and of heavy pages.

The built site is served as a static host does, compressed and with a life in the browser's cache, and
each page is opened three times as a phone on a slow network would. The median of the three has to reach
what PAGES says. The times that a score of performance stands on need a quiet machine, so ``make test`` leaves this
out. Needs Node.js 18.16 or newer with npm, and Chromium or Chrome.
"""

import functools
import gzip
import http.server
import json
import os
import shutil
import statistics
import subprocess
import threading
from pathlib import Path

from answerbook.project import Trouble

CHROMIUM = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
PACKAGE = "lighthouse@12.8.2"
LEAST = {"performance": 98, "accessibility": 100, "best-practices": 100, "seo": 100}
PAGES = {  # what each has to reach; the longest answers keep a slow phone busy for a moment
    "index.html": LEAST,
    "labs/detector.html": LEAST,
    "little-data/class-imbalance.html": LEAST | {"performance": 88},
    "vision-tasks/object-detection.html": LEAST | {"performance": 88},
}
RUNS = 3


class _StaticHost(http.server.SimpleHTTPRequestHandler):
    """Compresses text and lets browsers keep it for a day."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Cache-Control", "max-age=86400")
        if path.suffix not in (".png", ".woff2"):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def audit(url: str) -> dict[str, tuple[int, list[str]]]:
    """Of each category its score out of 100, and the audits that cost points."""
    command = [
        "npx",
        "--yes",
        PACKAGE,
        url,
        "--output=json",
        "--quiet",
        f"--only-categories={','.join(LEAST)}",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
    ]
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), "")
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | {"CHROME_PATH": chromium}
    )
    if result.returncode:
        raise Trouble(f"{PACKAGE} failed on {url}:\n{result.stderr}")
    report = json.loads(result.stdout)
    return {
        name: (
            round(100 * category["score"]),
            [ref["id"] for ref in category["auditRefs"] if _costs(ref, report)],
        )
        for name, category in report["categories"].items()
    }


def _costs(ref: dict, report: dict) -> bool:
    score = report["audits"][ref["id"]]["score"]
    return ref["weight"] > 0 and score is not None and score < 1


def main(site: Path) -> int:
    """Print the median score of each page and category; 1 if one is lower than it has to be."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_StaticHost, directory=str(site))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    low = 0
    for page, wanted in PAGES.items():
        runs = [audit(f"http://127.0.0.1:{server.server_port}/{page}") for _ in range(RUNS)]
        for category, least in wanted.items():
            scores = [run[category][0] for run in runs]
            costs = ", ".join(sorted({audit for run in runs for audit in run[category][1]}))
            score = statistics.median(scores)
            low += score < least
            print(
                f"{page}: {category} {score} of {scores}, at least {least}"
                + (f"; costs: {costs}" if costs else "")
            )
    server.shutdown()
    return int(low > 0)
