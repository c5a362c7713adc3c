"""The one family of errors that every part of AutoISP raises.

An error carries four things: a ``code`` (named as the gRPC status codes, but free of gRPC), a ``reason``
(UPPER_SNAKE, stable, meant for programs), ``metadata`` (strings, meant for programs) and a message (meant for
people: what is wrong *and* what to do about it). The server turns it into one ``google.rpc.ErrorInfo``; the
client rebuilds the same class from it with :func:`from_parts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar

DOMAIN = "autoisp"
"""The ``domain`` of every ``ErrorInfo`` that AutoISP sends."""


class ErrorCode(Enum):
    """gRPC's status codes by name; the value is gRPC's number."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_TRANSIENT = frozenset(
    {ErrorCode.UNAVAILABLE, ErrorCode.ABORTED, ErrorCode.RESOURCE_EXHAUSTED, ErrorCode.DEADLINE_EXCEEDED}
)


class AutoISPError(Exception):
    """Base of all errors that may cross a process boundary.

    Args:
        message: what is wrong and the fix, for people.
        reason: UPPER_SNAKE, stable; defaults to the class's own.
        metadata: facts for programs; values are strings.
    """

    code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN
    default_reason: ClassVar[str] = "UNKNOWN"

    def __init__(
        self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata: dict[str, str] = dict(metadata or {})

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later without anybody changing anything but time or space."""
        return self.code in _TRANSIENT

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Subclasses have their own signatures, so pickling (process pools) goes through the wire form.
        return (from_parts, (self.code, self.reason, self.message, self.metadata))


class InvalidArgumentError(AutoISPError):
    """A request field is wrong whatever the state of the system; ``metadata["field"]`` names it."""

    code = ErrorCode.INVALID_ARGUMENT
    default_reason = "INVALID_ARGUMENT"

    def __init__(
        self,
        field: str,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata={**(metadata or {}), "field": field})

    @property
    def field(self) -> str:
        """The offending field, as the caller wrote it (``footage``, ``clip.fps``, ``--reduction``)."""
        return self.metadata["field"]


class OutOfRangeError(AutoISPError):
    """A read or seek went past the end of what exists."""

    code = ErrorCode.OUT_OF_RANGE
    default_reason = "OUT_OF_RANGE"


class _ResourceError(AutoISPError):
    """An error about one named resource; ``metadata["resource"]`` is its name."""

    default_message: ClassVar[str] = "{resource}"

    def __init__(
        self,
        resource: str,
        message: str | None = None,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            message or self.default_message.format(resource=resource),
            reason=reason,
            metadata={**(metadata or {}), "resource": resource},
        )

    @property
    def resource(self) -> str:
        """The name of the resource (``searches/s-1``)."""
        return self.metadata["resource"]


class NotFoundError(_ResourceError):
    """The named resource does not exist."""

    code = ErrorCode.NOT_FOUND
    default_reason = "NOT_FOUND"
    default_message = "{resource} does not exist; list its collection to see what there is"


class AlreadyExistsError(_ResourceError):
    """The name is taken by something else."""

    code = ErrorCode.ALREADY_EXISTS
    default_reason = "ALREADY_EXISTS"
    default_message = "{resource} exists already; choose another id, or delete it first"


class FailedPreconditionError(AutoISPError):
    """The system is not in the state the call needs; repeating it will not help until that is changed."""

    code = ErrorCode.FAILED_PRECONDITION
    default_reason = "FAILED_PRECONDITION"


class AbortedError(AutoISPError):
    """Lost a race (etag, concurrent write): read again and repeat."""

    code = ErrorCode.ABORTED
    default_reason = "ABORTED"


class ResourceExhaustedError(AutoISPError):
    """Out of disk, memory, or quota."""

    code = ErrorCode.RESOURCE_EXHAUSTED
    default_reason = "RESOURCE_EXHAUSTED"


class UnavailableError(AutoISPError):
    """A dependency or the server itself can't be reached right now."""

    code = ErrorCode.UNAVAILABLE
    default_reason = "UNAVAILABLE"


class DeadlineExceededError(AutoISPError):
    """The work did not end in its time."""

    code = ErrorCode.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"


class DataLossError(AutoISPError):
    """Stored bytes are not what was stored: digest or size differ."""

    code = ErrorCode.DATA_LOSS
    default_reason = "DATA_LOSS"


class CancelledError(AutoISPError):
    """Somebody asked for the work to stop. Not ``asyncio.CancelledError``, which must never be swallowed."""

    code = ErrorCode.CANCELLED
    default_reason = "CANCELLED"


class UnimplementedError(AutoISPError):
    """The server does not offer this."""

    code = ErrorCode.UNIMPLEMENTED
    default_reason = "UNIMPLEMENTED"


class PermissionDeniedError(AutoISPError):
    """The caller may not do this."""

    code = ErrorCode.PERMISSION_DENIED
    default_reason = "PERMISSION_DENIED"


class UnauthenticatedError(AutoISPError):
    """The caller did not say who it is."""

    code = ErrorCode.UNAUTHENTICATED
    default_reason = "UNAUTHENTICATED"


class InternalError(AutoISPError):
    """A bug of ours; the details are in the server's log, never on the wire."""

    code = ErrorCode.INTERNAL
    default_reason = "INTERNAL"


class UnknownError(AutoISPError):
    """Something that is not ours failed without saying more."""


_CLASSES: tuple[type[AutoISPError], ...] = (
    AbortedError,
    AlreadyExistsError,
    CancelledError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)
_BY_CODE: dict[ErrorCode, type[AutoISPError]] = {cls.code: cls for cls in _CLASSES}


def error_classes() -> tuple[type[AutoISPError], ...]:
    """Every concrete class, one per code, so that a test can go through all of them."""
    return _CLASSES


def from_parts(code: ErrorCode, reason: str, message: str, metadata: Mapping[str, str]) -> AutoISPError:
    """Rebuild the error that was taken apart into these four (on the other side of a wire).

    Never fails: a code without a class of its own gives :class:`UnknownError`.

    >>> error = from_parts(ErrorCode.NOT_FOUND, "NOT_FOUND", "no clips/a", {"resource": "clips/a"})
    >>> type(error).__name__, error.metadata["resource"]
    ('NotFoundError', 'clips/a')
    """
    cls = _BY_CODE.get(code, UnknownError)
    # Past the subclass's signature on purpose: the parts are already complete.
    error = cls.__new__(cls)
    AutoISPError.__init__(error, message, reason=reason, metadata=metadata)
    if isinstance(error, InvalidArgumentError):
        error.metadata.setdefault("field", "")
    if isinstance(error, _ResourceError):
        error.metadata.setdefault("resource", "")
    return error
