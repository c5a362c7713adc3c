"""Downloads that go on where they broke off, and how far they are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import AutoISPError, DataLossError

from autoisp_client.faults import Backoff, cut_short
from autoisp_client.partial_file import PartialFile

_RATE_SECONDS = 3.0


@dataclass(frozen=True)
class DownloadProgress:
    """How far a download is.

    Attributes:
        received_bytes: written, counted from the file's beginning.
        size_bytes: of the whole file.
        bytes_per_second: over the last seconds; 0 before there is anything to go by.
        resumed_bytes: of those received, what an earlier call had brought.
    """

    received_bytes: int
    size_bytes: int
    bytes_per_second: float
    resumed_bytes: int

    @property
    def fraction(self) -> float:
        """Share of the file, 0 to 1."""
        return self.received_bytes / self.size_bytes if self.size_bytes else 1.0

    @property
    def megabytes_per_second(self) -> float:
        """The rate in 10⁶ bytes per second."""
        return self.bytes_per_second / 1e6


OnDownloadProgress = Callable[[DownloadProgress], None]


class _Server(Protocol):
    service: str
    address: str
    patience: float


class Download:
    """One file over any number of streams, whoever reads these; a context manager.

    Open a stream for :meth:`next_request`, :meth:`take` its responses until that says to stop, and then ask
    whether all is :meth:`finished`.

    Args:
        to: the file's path.
        request: what is wanted.
        server: whom it is asked, and how long (``patience`` seconds without progress).
        on_progress: told after each chunk.

    Attributes:
        artifact: what the server says that it is, once :meth:`take` has heard it.
    """

    def __init__(
        self,
        to: Path,
        request: registry_pb2.DownloadArtifactRequest,
        server: _Server,
        on_progress: OnDownloadProgress | None = None,
    ) -> None:
        self.artifact = common_pb2.Artifact()
        self._to, self._request, self._server, self._on_progress = to, request, server, on_progress
        self._backoff = Backoff(server.patience)
        self._part: PartialFile | None = None
        self._resumed_bytes = self._failed_at = 0
        self._began_at = 0  # where the last stream began
        self._elsewhere = False  # whether that is not where the file goes on
        self._anew = False
        self._times: deque[tuple[float, int]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._part is not None:
            if isinstance(error, DataLossError):
                self._part.discard()
            self._part.close()

    def next_request(self) -> registry_pb2.DownloadArtifactRequest:
        """For the next stream: the bytes that are missing, of the same file even if an alias has moved."""
        if self._part is None:
            return self._request
        self._began_at, self._elsewhere = self._part.size, False
        return registry_pb2.DownloadArtifactRequest(sha256=self.artifact.sha256, offset=self._part.size)

    def take(self, response: registry_pb2.DownloadArtifactResponse) -> bool:
        """Takes in one message of a stream.

        Returns:
            False if the stream begins elsewhere than where the file goes on: close it and open the next.

        Raises:
            DataLossError: the server offers other bytes than those asked for.
            ResourceExhaustedError: the disk is full.
        """
        if response.WhichOneof("payload") == "artifact":
            return self._described(response.artifact)
        if self._part is None:
            raise self._damaged("the server sent bytes before it said of what")
        self._part.append(response.chunk)
        self._tell(self._part.size)
        return self._part.size <= self.artifact.size_bytes

    def finished(self) -> bool:
        """After a stream's end: whether the file is there; False if another stream is needed.

        Raises:
            DataLossError: what came is not what was asked for.
            ResourceExhaustedError: the disk is full.
            UnavailableError: the stream ended early.
        """
        part, size = self._part, self.artifact.size_bytes
        if part is None:
            raise cut_short(self._server.service, self._server.address)
        if part.size < size:
            if self._elsewhere:
                return False
            raise cut_short(self._server.service, self._server.address)
        if part.size == size and part.sha256 == self.artifact.sha256:
            part.become(self._to)
            return True
        if self._anew or self._began_at == 0:
            raise self._damaged(f"it arrived damaged ({part.size} of {size} bytes)")
        # What earlier streams left may be bad. The server checks what it sends as a whole.
        self._anew = True
        self._resumed_bytes = 0
        part.restart()
        return False

    def pause(self, error: AutoISPError) -> float:
        """Seconds to wait before the next stream; patience begins anew with each byte.

        Raises:
            AutoISPError: ``error`` itself, if it won't go away.
        """
        received = self._part.size if self._part else 0
        if received != self._failed_at:
            self._failed_at = received
            self._backoff.reset()
        return self._backoff.pause(error)

    def _described(self, artifact: common_pb2.Artifact) -> bool:
        asked = self._request.sha256 or self.artifact.sha256
        if asked and artifact.sha256 != asked:
            raise self._damaged(f"the server offers {artifact.sha256} instead")
        if self._part is not None:
            return True
        self.artifact.CopyFrom(artifact)
        self._part = PartialFile(self._to.parent, artifact.sha256)
        self._resumed_bytes = self._began_at = self._part.size
        self._elsewhere = self._part.size != self._request.offset
        return not self._elsewhere

    def _tell(self, received: int) -> None:
        if self._on_progress is None:
            return
        now = time.monotonic()
        self._times.append((now, received))
        while now - self._times[0][0] > _RATE_SECONDS:
            self._times.popleft()
        since, before = self._times[0]
        rate = (received - before) / (now - since) if now > since else 0.0
        self._on_progress(DownloadProgress(received, self.artifact.size_bytes, rate, self._resumed_bytes))

    def _damaged(self, what: str) -> DataLossError:
        wanted = self._request.sha256 or self.artifact.sha256
        return DataLossError(
            f"{wanted or self._request.model_version}: {what}; download it again",
            reason="DIGEST_MISMATCH",
            metadata={"sha256": wanted},
        )
