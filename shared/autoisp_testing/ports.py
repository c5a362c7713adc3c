"""Ports for programs that must be told one before they start, or that come back at the same one."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

# Below those that Linux gives to whoever asks for port 0: a port found here stays free until it is used.
_RANGE = range(12_000, 32_000)


def free_ports(count: int) -> list[int]:
    """So many different ports of loopback that nobody uses now."""
    with ExitStack() as stack:
        found: list[int] = []
        # Not seeded: two runs side by side must not look at the same ports.
        for port in random.SystemRandom().sample(_RANGE, len(_RANGE)):
            if len(found) == count:
                break
            candidate = stack.enter_context(socket.socket())
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
        return found
