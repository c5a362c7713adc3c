"""What a failed call says, as the classes of :mod:`autoisp_core.errors` that the server raised."""

from __future__ import annotations

from typing import Any

import grpc
from autoisp_core.errors import DOMAIN, AutoISPError, ErrorCode, from_parts
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"


def from_rpc_error(error: grpc.RpcError) -> AutoISPError:
    """Rebuild the error that the server raised, from a failed blocking or asyncio call.

    A failure that carries no ``ErrorInfo`` of ours (nobody answered, a proxy, another server) keeps its gRPC
    code, has that code's name as reason and no metadata about its origin. Never raises.
    """
    code = _code(error)
    message = str(getattr(error, "details", lambda: None)() or code.name)
    info = _error_info(error)
    if info is None:
        return from_parts(code, code.name, message, {})
    return from_parts(code, info.reason, message, dict(info.metadata))


def _code(error: grpc.RpcError) -> ErrorCode:
    status: Any = getattr(error, "code", lambda: None)()
    try:
        return ErrorCode[status.name]
    except (AttributeError, KeyError):  # no call at all, or a code of the future
        return ErrorCode.UNKNOWN


def _error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    trailers = getattr(error, "trailing_metadata", lambda: None)() or ()
    for key, value in trailers:
        if key != _DETAILS_KEY or not isinstance(value, bytes):
            continue
        try:
            status = status_pb2.Status.FromString(value)
        except DecodeError:  # not a status, so not ours
            continue
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
                return info
    return None
