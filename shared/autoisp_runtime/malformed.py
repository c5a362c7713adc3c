"""Bytes that are no message of a method's type: the caller's mistake, though gRPC calls it ``UNKNOWN``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from google.protobuf.message import DecodeError

Deserializer = Callable[[bytes], Any]


def raising(deserialize: Deserializer | None) -> Deserializer | None:
    """For streams, whose messages are read inside of the handler.

    The new deserializer raises :class:`InvalidArgumentError`, field ``request``.
    """
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            raise InvalidArgumentError(
                "request",
                f"the request can't be decoded: {error}; send the message that the method's proto declares",
                reason="MALFORMED_REQUEST",
            ) from error

    return read


def returning(deserialize: Deserializer | None) -> Deserializer | None:
    """For single requests, which gRPC reads before the handler begins: the error is returned.

    :func:`taken` raises it inside of the handler, where errors become statuses.
    """
    read = raising(deserialize)
    if read is None:
        return None

    def read_or_error(data: bytes) -> Any:
        try:
            return read(data)
        except InvalidArgumentError as error:
            return error

    return read_or_error


def taken(request: Any) -> Any:
    """The request, as a deserializer of :func:`returning` gave it.

    Raises:
        InvalidArgumentError: field ``request``, if it was no message.
    """
    if isinstance(request, InvalidArgumentError):
        raise request
    return request
