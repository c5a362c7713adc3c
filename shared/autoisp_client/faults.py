"""What a failed call means to the user, and when it is worth repeating."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

import grpc
from autoisp_core.errors import AutoISPError, UnavailableError

from autoisp_client.errors import from_rpc_error
from autoisp_client.handshakes import refused_handshake

CHANNEL_OPTIONS: list[tuple[str, int]] = [
    # gRPC's own pauses grow to two minutes; a service that restarts is back in seconds.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # No pause, whatever its name: how long an attempt may take. TLS over a satellite, or on a busy machine,
    # takes more than a fraction of a second.
    ("grpc.min_reconnect_backoff_ms", 5000),
    # A watch is silent for minutes, and a server whose machine is gone closes nothing: only pings tell. Our
    # servers allow one every ten seconds.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Of gRPC's own pings, which hold back those above: a minute otherwise.
    ("grpc.http2.ping_timeout_ms", 10_000),
]
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
ANSWER_LOST = "ANSWER_LOST"
"""Reason of an error whose own reason nobody read: the server refused a stream while it was being sent."""
RATE_LIMITED = "RATE_LIMITED"
"""Reason of an error that goes away by itself: the server says when."""
_CORE_ERROR = "Internal error from Core"


def explain(error: grpc.RpcError, service: str, address: str) -> AutoISPError:
    """The error of a call as ours; one that no server answered names the address and the fix."""
    if error.code() is grpc.StatusCode.INTERNAL and error.details() == _CORE_ERROR:
        # grpc.aio sometimes loses the status that ends a call while a message is on its way.
        return UnavailableError(
            f"{address} (the {service} service) ended the call, and its answer was lost; try again",
            reason=ANSWER_LOST,
            metadata={"address": address, "service": service},
        )
    ours = from_rpc_error(error)
    if isinstance(ours, UnavailableError) and ours.reason == ours.code.name and not ours.metadata:
        if (refused := refused_handshake(ours.message, service, address)) is not None:
            return refused
        return UnavailableError(
            f"no answer from {address} (the {service} service); check the address, "
            "or start it with 'autoisp up'",
            reason="SERVER_UNREACHABLE",
            metadata={"field": "server", "address": address, "service": service},
        )
    return ours


def cut_short(service: str, address: str) -> UnavailableError:
    """A stream ended before its last message: the server is going down."""
    return UnavailableError(
        f"{address} (the {service} service) ended a watch early; try again when it is back",
        reason="STREAM_CUT",
        metadata={"address": address, "service": service},
    )


@dataclass
class Backoff:
    """Pauses between the attempts of one call: doubling, with jitter, for ``patience`` seconds in all.

    Attributes:
        reasons: of errors that go away, besides those of servers that don't answer.
    """

    patience: float
    reasons: frozenset[str] = frozenset()
    _pause: float = FIRST_PAUSE
    _start: float = field(default_factory=time.monotonic)

    def pause(self, error: AutoISPError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            AutoISPError: ``error`` itself, when it won't go away or the patience is spent.
        """
        left = self.patience - (time.monotonic() - self._start)
        passes = isinstance(error, UnavailableError) or error.reason in (RATE_LIMITED, *self.reasons)
        if not passes or left <= 0:
            raise error
        pause = min(max(self._pause * random.uniform(0.5, 1.0), _asked_for(error)), left)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return pause

    def reset(self) -> None:
        """Forgets the past: the call made progress."""
        self._pause, self._start = FIRST_PAUSE, time.monotonic()


def _asked_for(error: AutoISPError) -> float:
    """Seconds that the server asked to wait."""
    try:
        return float(error.metadata.get("retry_after_seconds", 0))
    except ValueError:
        return 0.0
