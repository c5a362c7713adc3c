"""A model card on a terminal, where a page is too long."""

from __future__ import annotations

import re

_SHOWN_OTHERWISE = frozenset(
    {"edge formats", "phone accelerators", "gate", "training data", "where it came from", "files"}
)
_SECTION = re.compile(r"^(?=#{1,2} )", re.MULTILINE)


def abridged(card: str) -> str:
    """The card without its title, and without what 'autoisp models show' has a shape of its own for.

    A section that it does not know stays.

    >>> abridged("# night, version 3\\nwords\\n\\n## Quality\\ngood\\n## Files\\nmany\\n")
    'words\\n\\n## Quality\\ngood\\n'
    """
    kept = []
    for section in _SECTION.split(card):
        heading, _, body = section.partition("\n")
        if heading.startswith("# "):
            paragraphs = body.strip().split("\n\n")
            kept.append("\n\n".join(text for text in paragraphs if not text.startswith("`models/")) + "\n\n")
        elif heading.removeprefix("## ").strip().lower() not in _SHOWN_OTHERWISE:
            kept.append(section)
    return "".join(kept)
