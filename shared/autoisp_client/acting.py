"""In whose name a client calls."""

from __future__ import annotations

import getpass
import os

from autoisp_core import actor as core
from autoisp_core.errors import InvalidArgumentError

Metadata = tuple[tuple[str, str], ...]


def actor_metadata(actor: str | None) -> Metadata:
    """The metadata of calls that an audit log keeps; None: of the operating system's user.

    Raises:
        InvalidArgumentError: field ``actor``, if it can't be shown.
    """
    if actor is None:
        actor = system_user()
    elif not core.is_actor(actor):
        raise InvalidArgumentError(
            "actor", f"{actor!r} names nobody; write 1 to {core.MAX_CHARS} printable characters"
        )
    return ((core.METADATA, core.encoded(actor)),)


def system_user() -> str:
    """The user's name; ``uid 1000`` where the system knows none, as in a container."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        name = ""
    return name if core.is_actor(name) else f"uid {os.getuid()}"
