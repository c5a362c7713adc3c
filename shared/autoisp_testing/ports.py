"""Ports of loopback for servers that others must find, also after a restart."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

_LOWEST, _USUAL_EPHEMERAL = 10_000, 32_768
_MORE = 100  # are tried, in case some are in use
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """So many different ports of loopback that nobody uses now.

    They are none of those that the kernel gives out by itself: it could give one to another process before it
    is used here, and whoever asks for us there would be answered by a stranger.

    Raises:
        OSError: there is none left.
    """
    chosen = random.sample(range(_LOWEST, _ephemeral_ports()), count + _MORE)
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        for port in chosen:
            if len(ports) == count:
                break
            each = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                each.bind(("127.0.0.1", port))
                ports.append(port)
    if len(ports) < count:
        raise OSError(f"{len(ports)} of {count} ports are free")
    return ports


def _ephemeral_ports() -> int:
    """The first of the ports that the kernel gives out."""
    try:
        return max(_LOWEST + 1000, int(_RANGE.read_text().split()[0]))
    except OSError:
        return _USUAL_EPHEMERAL
