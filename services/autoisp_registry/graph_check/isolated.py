"""The registry's side: starts the process, feeds it, and believes nothing but its short answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Protocol

import structlog
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AutoISPError, InvalidArgumentError, ResourceExhaustedError, UnavailableError

_log = structlog.get_logger(__name__)

_AT_ONCE = 2
_CHUNK_BYTES = 1 << 20
_ANSWER_BYTES = 1 << 16
_REMEMBERED = 4096
_EXHAUSTED = (signal.SIGXCPU, signal.SIGKILL)


class Source(Protocol):
    """Where the bytes are."""

    def stream(self, artifact: Artifact, chunk_bytes: int = ...) -> AsyncIterator[bytes]:
        """The bytes in pieces; raises after the last one if they are not what was stored."""
        ...


class IsolatedChecker:
    """Checks files with ``python -m autoisp_registry.graph_check``, which has limits of its own.

    Args:
        source: has the files.
        max_bytes: of the largest file that is looked at.
        cpu_seconds: that a check may compute.
        wall_seconds: that it may take.
    """

    def __init__(
        self, source: Source, max_bytes: int, *, cpu_seconds: int = 60, wall_seconds: float = 120.0
    ) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._good: OrderedDict[str, None] = OrderedDict()  # digests: the same bytes stay good

    async def check(self, onnx: Artifact, field: str) -> None:
        """See :class:`autoisp_registry.ports.GraphChecker`."""
        if onnx.size_bytes > self._max_bytes:
            raise ResourceExhaustedError(
                f"the ONNX file has {onnx.size_bytes:,} bytes; at most {self._max_bytes:,} may be registered",
                reason="GRAPH_TOO_LARGE",
                metadata={"field": field},
            )
        if onnx.sha256 in self._good:
            return
        async with self._free:
            code, answer = await self._run(onnx)
        if error := self._error(code, answer, field):
            _log.info("graph refused", sha256=onnx.sha256, reason=error.reason, code=code)
            raise error
        self._good[onnx.sha256] = None
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)

    async def _run(self, onnx: Artifact) -> tuple[int | None, bytes]:
        """Exit code (None: it took too long) and answer of the process."""
        command = [sys.executable, "-m", "autoisp_registry.graph_check"]
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each would take address space
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                str(onnx.size_bytes),
                str(self._cpu_seconds),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=os.environ | threads,
            )
        except OSError as error:
            raise UnavailableError(f"the file can't be checked now: {error}", reason="NO_CHECKER") from error
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._wall_seconds):
                await self._feed(process, onnx)
                answer = await process.stdout.read(_ANSWER_BYTES)
                return await process.wait(), answer
        except TimeoutError:
            return None, b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _feed(self, process: asyncio.subprocess.Process, onnx: Artifact) -> None:
        assert process.stdin is not None
        gone = False
        async for chunk in self._source.stream(onnx, _CHUNK_BYTES):
            if gone:
                continue  # the rest is read for its digest only
            try:
                process.stdin.write(chunk)
                await process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                gone = True
        process.stdin.close()

    def _error(self, code: int | None, answer: bytes, field: str) -> AutoISPError | None:
        problem = _said(answer) if code == 0 else None
        if problem == "":
            return None
        if problem is not None:
            return InvalidArgumentError(field, f"the file can't be registered: {problem}", reason="BAD_GRAPH")
        if code is None or -code in _EXHAUSTED or code == _OUT_OF_MEMORY:
            return ResourceExhaustedError(
                "looking at the ONNX file takes more time or memory than a network of its size deserves; "
                "register a smaller one",
                reason="GRAPH_TOO_COSTLY",
                metadata={"field": field},
            )
        return InvalidArgumentError(
            field, "the file breaks the ONNX checker; export the network again", reason="BAD_GRAPH"
        )


_OUT_OF_MEMORY = 3
"""Exit code of a process that ran out of its memory."""


def _said(answer: bytes) -> str | None:
    """The problem that the process found, empty for none; None if it said nothing sensible."""
    try:
        problem = json.loads(answer)["problem"]
    except (ValueError, KeyError, TypeError):
        return None
    return problem[:2000] if isinstance(problem, str) else None
