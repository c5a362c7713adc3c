"""Who makes a call: how clients write it into the call's metadata, and how services read it."""

from __future__ import annotations

from urllib.parse import quote, unquote

METADATA = "autoisp-actor"
"""The key; its value is at most :data:`MAX_CHARS` printable characters, percent-encoded as UTF-8 where they
are not ASCII (metadata of gRPC is ASCII), and the percent sign too."""

MAX_CHARS = 128

_ASCII = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def is_actor(text: str) -> bool:
    """Whether the text may name somebody: printable, not blank, and not too long.

    >>> is_actor("Zoë Müller"), is_actor("two\\nlines"), is_actor(" ")
    (True, False, False)
    """
    return text.isprintable() and bool(text.strip()) and len(text) <= MAX_CHARS


def encoded(actor: str) -> str:
    """The value of the metadata.

    >>> encoded("ci (nightly)"), encoded("Zoë"), encoded("50%")
    ('ci (nightly)', 'Zo%C3%AB', '50%25')
    """
    return quote(actor.strip(), safe=_ASCII)


def decoded(value: str) -> str | None:
    """Whom a value names, cut to :data:`MAX_CHARS`; None if nobody that can be shown.

    >>> decoded("Zo%C3%AB"), decoded("50% sure"), decoded("%0Aroot"), decoded("%FF")
    ('Zoë', '50% sure', None, None)
    """
    try:
        text = unquote(value, errors="strict").strip(" ")[:MAX_CHARS]
    except UnicodeDecodeError:
        return None
    return text if is_actor(text) else None
