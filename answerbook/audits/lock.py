"""The lock files: every package that is installed, transitive ones too, by version and SHA-256.

People write the lists, ``requirements.txt`` and ``docs/requirements.txt``. ``make lock`` resolves them
with uv, for every Python that is supported and for Linux and macOS at once, into ``requirements.lock``
and ``docs/requirements.lock``. Each installation first checks that the lists are those that were locked. That runs before anything is installed, so it needs the standard library only.

torch itself is in no lock. Its published file for Linux requires gigabytes for graphics processors, and
a machine without one rightly has another file of the same version, with another hash. The Makefile
installs torch by its version, after everything that it needs.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from answerbook.project import ROOT, Trouble

LISTS = {  # a lock, and the lists that it is made from
    "docs/requirements.lock": ["docs/requirements.txt"],
    "requirements.lock": ["docs/requirements.txt", "requirements.txt"],
}
OLDEST_PYTHON = "3.11.5"
TORCH = """
[[dependency-metadata]] # what torch needs on a processor alone
name = "torch"
requires-dist = ["filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions"]
"""


def stamp(lock: str, root: Path = ROOT) -> str:
    """The first line of a lock: it changes with any requirement of its lists, and with no comment."""
    lines = [
        line.split(" #")[0].strip() for name in LISTS[lock] for line in (root / name).read_text().splitlines()
    ]
    wanted = "\n".join(line for line in lines if line and not line.startswith("#"))
    return f"# Written by `make lock`; the lists had SHA-256 {hashlib.sha256(wanted.encode()).hexdigest()}"


def check(root: Path = ROOT) -> list[str]:
    """Each lock that was not made from the lists as they are now, as a line that says what to do."""
    return [
        f"{lock}:1: was not made from {' and '.join(lists)} as they are now; run `make lock`"
        for lock, lists in LISTS.items()
        if not (root / lock).exists() or (root / lock).read_text().partition("\n")[0] != stamp(lock, root)
    ]


def write(root: Path = ROOT) -> None:
    """Lock the lists. A version that a lock already has stays where the lists allow it."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(TORCH)
        config.flush()
        for lock, lists in LISTS.items():
            command = [
                Path(sys.executable).parent / "uv",
                "--config-file",
                config.name,
                "pip",
                "compile",
                "--quiet",
                "--universal",
                "--python-version",
                OLDEST_PYTHON,
                "--generate-hashes",
                "--no-header",
                "--no-emit-package",
                "torch",
                "--output-file",
                lock,
                lists[-1],
            ]
            if len(lists) > 1:  # reading and testing agree on what they share
                command += ["--constraint", "docs/requirements.lock"]
            subprocess.run(command, cwd=root, check=True)
            text = (root / lock).read_text().partition("\n# The following packages were excluded")[0]
            (root / lock).write_text(f"{stamp(lock, root)}\n{text}")


def main(anew: bool) -> None:
    """Lock the lists anew, or say which locks are stale.

    Raises:
        Trouble: a lock is stale.
    """
    if anew:
        write()
    elif problems := check():
        raise Trouble("\n".join(problems))
