"""Uploads of clips that go on where they broke off, and how far they are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import AutoISPError

from autoisp_client.faults import ANSWER_LOST, Backoff
from autoisp_client.payload import Payload

BUSY_SECONDS = 30.0
"""How long a stream is waited for that sends the same bytes, while it gets nowhere."""

NOTHING_RECEIVED = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED})
"""What GetUpload ends with where an upload begins from its beginning; the second from an older service."""

# Another stream has the file, or what was received was forgotten meanwhile: asking again tells.
_PASSING = frozenset({"UPLOAD_IN_PROGRESS", "OFFSET_NOT_RECEIVED", ANSWER_LOST})
_RATE_SECONDS = 3.0


@dataclass(frozen=True)
class UploadProgress:
    """How far an upload is.

    Attributes:
        sent_bytes: handed to the connection, counted from the file's beginning.
        size_bytes: of the whole file.
        bytes_per_second: over the last seconds; 0 before there is anything to go by.
        resumed_bytes: of those sent, what an earlier stream had brought over.
    """

    sent_bytes: int
    size_bytes: int
    bytes_per_second: float
    resumed_bytes: int

    @property
    def fraction(self) -> float:
        """Share of the file, 0 to 1."""
        return self.sent_bytes / self.size_bytes

    @property
    def megabytes_per_second(self) -> float:
        """The rate in 10⁶ bytes per second."""
        return self.bytes_per_second / 1e6


OnProgress = Callable[[UploadProgress], None]


@dataclass
class ClipUpload:
    """One upload over any number of streams.

    Attributes:
        payload: what is sent.
        display_name: of the clip; by default the file's name without its extension.
        patience: seconds without progress after which a broken connection is given up.
        on_progress: told before each chunk and after the last one; called by the thread or task that sends.
    """

    payload: Payload
    display_name: str
    patience: float
    on_progress: OnProgress | None = None
    _received: int = -1
    _failure: BaseException | None = None
    _heard: AutoISPError | None = None
    _sent: deque[tuple[float, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._begin_patience()

    @property
    def question(self) -> ingest_pb2.GetUploadRequest:
        """Asks how much has been received."""
        return ingest_pb2.GetUploadRequest(sha256=self.payload.sha256)

    def resumes_at(self, found: ingest_pb2.Upload) -> int:
        """The byte from which to send. What was announced with another size is no beginning of this file."""
        return found.received_bytes if found.size_bytes == self.payload.size_bytes else 0

    def stream(self, received: int) -> Iterator[ingest_pb2.UploadClipRequest]:
        """The messages from there on. What goes wrong in here is raised by :meth:`pause`."""
        if received > self._received:
            self._received, self._heard = received, None
            self._begin_patience()
        self._sent.clear()
        try:
            yield from self._messages(received)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._failure = error
            raise

    def check(self) -> None:
        """Raise what went wrong while the stream was made, if anything did."""
        if self._failure is not None:
            raise self._failure

    def pause(self, error: AutoISPError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            AutoISPError: ``error`` itself, when it won't go away or the patience is spent; where its answer
                was lost, the last one that was heard.
            OSError: the file can't be read any more.
        """
        self.check()
        if error.reason != ANSWER_LOST:
            self._heard = error
        patience = self._busy if error.reason in _PASSING else self._away
        try:
            return patience.pause(error)
        except AutoISPError:
            if error.reason == ANSWER_LOST and self._heard is not None:
                raise self._heard from error
            raise

    def _begin_patience(self) -> None:
        self._away = Backoff(self.patience)
        self._busy = Backoff(max(self.patience, BUSY_SECONDS), _PASSING)

    def _messages(self, received: int) -> Iterator[ingest_pb2.UploadClipRequest]:
        header = ingest_pb2.UploadClipHeader(
            display_name=self.display_name or Path(self.payload.filename).stem,
            filename=self.payload.filename,
            size_bytes=self.payload.size_bytes,
            sha256=self.payload.sha256,
            first_offset=received,
        )
        yield ingest_pb2.UploadClipRequest(header=header)
        position = received
        for chunk in self.payload.chunks(received):
            self._tell(position, received)
            yield ingest_pb2.UploadClipRequest(chunk=chunk, offset=position)
            position += len(chunk)
        self._tell(position, received)

    def _tell(self, position: int, resumed: int) -> None:
        if self.on_progress is None:
            return
        now = time.monotonic()
        self._sent.append((now, position))
        while self._sent[0][0] < now - _RATE_SECONDS and len(self._sent) > 2:
            self._sent.popleft()
        seconds, gained = now - self._sent[0][0], position - self._sent[0][1]
        rate = gained / seconds if seconds > 0 else 0.0
        self.on_progress(UploadProgress(position, self.payload.size_bytes, rate, resumed))
