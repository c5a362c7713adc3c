"""Who makes the call that is handled now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from autoisp_runtime.security.projects import Project
from autoisp_runtime.security.scopes import Scope


@dataclass(frozen=True)
class Caller:
    """A caller that was let in.

    Attributes:
        name: that it proved: its token's, else its certificate's; empty where nobody proves anything.
        peer: the address that it calls from, without the port.
        scope: what it may do.
        project: that it is bound to; None: it sees everything.
    """

    name: str
    peer: str
    scope: Scope
    project: Project | None = None

    @property
    def key(self) -> str:
        """Whose limits count: the proven name's, else the address's."""
        return f"name {self.name}" if self.name else f"peer {self.peer}"


_current: ContextVar[Caller | None] = ContextVar("autoisp_caller", default=None)


def current_caller() -> Caller | None:
    """Who calls; None where the server lets everybody in."""
    return _current.get()


@contextmanager
def called_by(caller: Caller) -> Iterator[None]:
    """What is handled inside was called by ``caller``."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)


def host_of(peer: str) -> str:
    """The address of gRPC's name of a peer.

    >>> host_of("ipv4:10.0.0.7:51234"), host_of("ipv6:%5B::1%5D:51234"), host_of("unix:")
    ('10.0.0.7', '::1', 'unix')
    """
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    return rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
