"""The service's end of the process that reads raw files."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from autoisp_ingest.libraw.protocol import FILE_SECONDS, LENGTH_BYTES, SKIP, UNPACK, RawFacts, RawSizes

_FILE_TIMEOUT_S = float(FILE_SECONDS)


class RawError(ValueError):
    """The bytes are no raw file that can be read; the message says why."""


class RawReader:
    """Reads raw files one after the other; a context manager, for one thread.

    The process starts with the first file. One that a file brought down is started anew for the next.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, data: bytes, check: Callable[[RawSizes], None]) -> tuple[RawFacts, NDArray[np.uint16]]:
        """The picture of one file.

        Args:
            data: the file's bytes.
            check: raises for sizes that are not wanted, before the pixels are unpacked.

        Returns:
            What the file says of its sensor; and its visible mosaic, (height, width), black level not
            subtracted.

        Raises:
            RawError: it can't be read.
            Exception: what ``check`` raised.
        """
        with self._within_time() as (requests, replies):
            requests.write(len(data).to_bytes(LENGTH_BYTES))
            requests.write(data)
            requests.flush()
            sizes = RawSizes(**self._line(replies))
            try:
                check(sizes)
            except Exception:
                requests.write(SKIP)
                requests.flush()
                raise
            requests.write(UNPACK)
            requests.flush()
            line = self._line(replies)
            matrix = tuple((x, y, z) for x, y, z in line.pop("xyz_to_camera"))
            red, green, blue = line.pop("white_balance")
            facts = RawFacts(
                **line | {"black_level": tuple(line["black_level"])},
                white_balance=(red, green, blue),
                xyz_to_camera=matrix,
            )
            pixels = replies.read(2 * facts.width * facts.height)
            if len(pixels) < 2 * facts.width * facts.height:
                raise EOFError
            return facts, np.frombuffer(pixels, np.uint16).reshape(facts.height, facts.width)

    def _line(self, replies: IO[bytes]) -> dict[str, Any]:
        text = replies.readline()
        if not text.endswith(b"\n"):
            raise EOFError
        line = cast(dict[str, Any], json.loads(text))
        if "error" in line:
            raise RawError(line["error"])
        return line

    @contextlib.contextmanager
    def _within_time(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        clock = threading.Timer(_FILE_TIMEOUT_S, process.kill)
        clock.start()
        try:
            yield process.stdin, process.stdout
        except (EOFError, BrokenPipeError) as error:
            self.close()
            raise RawError("the reader of raw files fails on it") from error
        finally:
            clock.cancel()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autoisp_ingest.libraw"],
                # A pool of threads reserves memory for each core, and the process's limit counts it.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # LibRaw's remarks, which name no file
                start_new_session=True,
            )
        return self._process

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # of what waited to be sent
                    assert pipe is not None
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
