"""Compare a snippet's run with the recorded one: words and integers exactly, decimals nearly."""

import re
from collections import Counter

SIGN = r"(?<![\w.])[+-]?"  # a plus too: rounding turns -0.00 into +0.00
NUMBER = re.compile(rf"{SIGN}\d+\.\d+(?:[eE][+-]?\d+)?(?![\w.]*\w)|{SIGN}\d+[eE][+-]?\d+(?!\w)")


def difference(actual: str, expected: str, tolerance: float | None = None) -> str:
    """Where two outputs differ by more than rounding.

    Args:
        actual: what the snippet printed.
        expected: what the page shows.
        tolerance: absolute, for decimals; ``None`` allows one in the last printed digit.

    Returns:
        A sentence with the line and both texts, or an empty string.
    """
    actual_lines, expected_lines = actual.rstrip().splitlines(), expected.rstrip().splitlines()
    if len(actual_lines) != len(expected_lines):
        return f"prints {len(actual_lines)} lines, the page shows {len(expected_lines)}:\n{actual}"
    for number, (got, want) in enumerate(zip(actual_lines, expected_lines), 1):
        message = f"line {number} is {got!r}, the page shows {want!r}"
        # Blanks may shift when a digit or a sign changes.
        words = [re.sub(r"\s+", " ", NUMBER.sub("#", line.rstrip())) for line in (got, want)]
        if words[0] != words[1]:
            return message
        for a, b in zip(NUMBER.findall(got), NUMBER.findall(want)):
            allowed = _last_digit(b) if tolerance is None else tolerance
            if abs(float(a) - float(b)) > allowed * (1 + 1e-6):
                return f"{message}: {a} and {b} differ by more than {allowed:g}"
    return ""


def deviation(actual: str, expected: str, tolerance: float | None = None) -> float:
    """The largest difference of two outputs that agree in words, as a share of what is allowed."""
    pairs = zip(NUMBER.findall(actual), NUMBER.findall(expected))
    return max((abs(float(a) - float(b)) / (tolerance or _last_digit(b)) for a, b in pairs), default=0.0)


def frame(svg: str) -> tuple:
    """What must agree about a figure on any machine: its shape in tenths, its axes with what they hold, and its
    texts but for the numbers."""
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    parts = Counter(re.findall(r'<g id="([a-zA-Z]+)_?\d*">', svg))
    held = [parts[kind] for kind in ("axes", "patch", "PathCollection", "QuadMesh", "legend")]
    texts = [re.sub(r"-?[\d.]+", "#", text) for text in re.findall(r"<!-- (.*?) -->", svg)]
    return round(10 * width / height), *held, len(re.findall(r"<image", svg)), *sorted(set(texts))


def _last_digit(text: str) -> float:
    """One unit in the last printed digit: 0.01 for '0.98', 1e-7 for '1.2e-06'."""
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals)
