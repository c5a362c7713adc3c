"""Makes formats in a process of its own: the graph may be from anybody, and ONNX Runtime runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoisp_core.errors import (
    AutoISPError,
    ErrorCode,
    FailedPreconditionError,
    ResourceExhaustedError,
    from_parts,
)

from autoisp_isp.edge.made import Made
from autoisp_isp.edge.shots import CalibrationFrame, packed
from autoisp_isp.isolated.process import OnWait, ended, environment

_LOOK_EVERY_S = 0.1
_END_S = 10.0

MODEL, FRAMES, ANSWER, DATA, JUDGED = "model.onnx", "frames.npz", "answer.json", "data", "judged.onnx"
"""Files by which the two processes talk."""


def make_isolated(
    name: str,
    model: bytes,
    frames: Sequence[CalibrationFrame],
    *,
    truth: bool,
    limit_s: float,
    memory_bytes: int,
    on_wait: OnWait = lambda: None,
) -> Made:
    """`autoisp_isp.edge.make.make` in a child process, which gives the same bytes.

    Args:
        name, model, frames, truth: of `make`.
        limit_s: how long it may take.
        memory_bytes: by how much the child may grow.
        on_wait: called about ten times a second; what it raises ends the child.

    Raises:
        As `make`; besides, FailedPreconditionError: reason MODEL_CRASHED, MODEL_TIMED_OUT or
        MODEL_OUT_OF_MEMORY.
        ResourceExhaustedError: no process can be started, or no temporary file be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="autoisp-edge-") as folder:
            return _made(Path(folder), name, model, frames, truth, limit_s, memory_bytes, on_wait)
    except OSError as error:
        raise ResourceExhaustedError(
            f"the model can't be handed to a process of its own ({error.strerror}); free space in "
            f"{tempfile.gettempdir()}, or run less here",
            reason="NO_PROCESS",
        ) from error


def _made(
    folder: Path,
    name: str,
    model: bytes,
    frames: Sequence[CalibrationFrame],
    truth: bool,
    limit_s: float,
    memory_bytes: int,
    on_wait: OnWait,
) -> Made:
    (folder / MODEL).write_bytes(model)
    (folder / FRAMES).write_bytes(packed(frames))
    request = {"name": name, "truth": truth, "memory_bytes": memory_bytes}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "autoisp_isp.edge.child", str(folder), json.dumps(request)],
        # The child ends when this end of the pipe closes, also if this process is killed.
        stdin=subprocess.PIPE,
        env=environment(),
    )
    try:
        _wait(child, limit_s, on_wait)
    finally:
        child.kill()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_END_S)
        if child.stdin is not None:
            child.stdin.close()
    answer = _answer(folder, child)
    if "error" in answer:
        code, reason, message, metadata = answer["error"]
        raise from_parts(ErrorCode(code), reason, message, metadata)
    judged = folder / JUDGED
    return Made(
        (folder / DATA).read_bytes(),
        judged.read_bytes() if judged.exists() else None,
        answer["note"],
        answer["seconds"],
    )


def _wait(child: subprocess.Popen[bytes], limit_s: float, on_wait: OnWait) -> None:
    give_up_at = time.monotonic() + limit_s
    while True:
        try:
            child.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            on_wait()
        else:
            return
        if time.monotonic() >= give_up_at:
            raise FailedPreconditionError(
                f"making the format took longer than {limit_s:g} s, and was stopped; make the network "
                "smaller, or allow more time",
                reason="MODEL_TIMED_OUT",
            )


def _answer(folder: Path, child: subprocess.Popen[bytes]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads((folder / ANSWER).read_bytes())
    except (FileNotFoundError, ValueError):
        raise _crash(child.returncode) from None
    return answer


def _crash(code: int | None) -> AutoISPError:
    how = "can't be ended" if code is None else ended(code)
    return FailedPreconditionError(
        f"the process that made the format {how}; look at the model, and whether memory was short",
        reason="MODEL_CRASHED",
    )
