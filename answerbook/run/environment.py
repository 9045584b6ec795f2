"""With what a result was made."""

import platform
import re
from importlib.metadata import version
from pathlib import Path


def environment(*packages: str) -> dict[str, str]:
    """The versions of Python, torch and further packages, and the processor."""
    cpuinfo = Path("/proc/cpuinfo")  # Linux
    found = cpuinfo.exists() and re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE)
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", *packages)},
        "cpu": found[1] if found else platform.processor() or platform.machine(),
    }
