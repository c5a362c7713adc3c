"""Markdown from text that nobody checked."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence

# What begins something anywhere, what does at a line's start, and what becomes a link by itself.
_MARKUP = re.compile(r"[\\`*_\[\]!|~$]|^[-+=]|#|:(?=//)|@|(?<=www)\.", re.IGNORECASE)
_NUMBERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")  # begins a list
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str) -> str:
    """Text that shows as it is, on one line, also in a cell of a table."""
    line = " ".join(text.split())
    line = "".join(character for character in line if character.isprintable())
    line = _NUMBERED.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", line))
    return re.sub("[&<>]", lambda found: _ENTITIES[found[0]], line)


def paragraphs(text: str) -> str:
    """Text of several lines: blank lines part paragraphs, as people write them."""
    parts = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(escaped(part) for part in parts if part.strip())


def code(text: str) -> str:
    """Text as code, whatever it holds."""
    line = " ".join(text.split()).replace("|", "¦")
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text: Collection[int] = (0,)) -> str:
    """A table of cells that are escaped already; all columns but ``text`` are aligned to the right."""
    rule = ["---" if column in text else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))


def number(value: float | None, digits: int = 4) -> str:
    """A figure for people: so many significant digits, thousands apart."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"  # such as the PSNR of what is the same
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    shown = f"{value:,.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"
    return shown if "e" not in shown or abs(value) < 1e-4 else f"{value:,.0f}"


def size(size_bytes: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} GiB"
