"""Errors on the wire: ``google.rpc.Status`` with exactly one ``google.rpc.ErrorInfo``."""

from __future__ import annotations

from typing import NoReturn

import grpc
from autoisp_core.errors import DOMAIN, AutoISPError
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

RETRY_AFTER = "retry_after_seconds"
"""Key of an error's metadata: when the same call may succeed; also sent as ``google.rpc.RetryInfo``."""

# A status travels in HTTP/2 trailers, of which clients take 8 KiB in all; the message is in there twice.
_MAX_MESSAGE_BYTES = 2400
_MAX_VALUE_BYTES = 300
_MAX_ENTRIES = 8
_KEPT_FIRST = ("field", "resource")


def to_status(error: AutoISPError) -> status_pb2.Status:
    """The error as ``google.rpc.Status``; very long texts are cut."""
    kept = sorted(error.metadata, key=lambda key: key not in _KEPT_FIRST)[:_MAX_ENTRIES]
    metadata = {key: _cut(error.metadata[key], _MAX_VALUE_BYTES) for key in kept}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    details: list[Message] = [info]
    if RETRY_AFTER in error.metadata:
        pause = duration_pb2.Duration()
        pause.FromMilliseconds(round(1000 * float(error.metadata[RETRY_AFTER])))
        details.append(error_details_pb2.RetryInfo(retry_delay=pause))
    return status_pb2.Status(
        code=error.code.value, message=_cut(str(error), _MAX_MESSAGE_BYTES), details=map(_packed, details)
    )


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


async def abort(context: grpc.aio.ServicerContext, error: AutoISPError) -> NoReturn:  # type: ignore[type-arg]
    """End the call with the error."""
    status = rpc_status.to_status(to_status(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort returned")


def _cut(text: str, limit: int) -> str:
    """At most ``limit`` bytes as the message header has them: three per byte that is not ASCII."""
    used = 0
    for position, char in enumerate(text):
        used += 1 if char.isascii() else 3 * len(char.encode(errors="replace"))
        if used > limit:
            return text[:position] + "…"
    return text
