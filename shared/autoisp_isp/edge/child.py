"""The process that makes one format: `python -m autoisp_isp.edge.child FOLDER REQUEST`; see `workshop`."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import cv2
from autoisp_core.errors import AutoISPError, InternalError

from autoisp_isp.edge.make import make
from autoisp_isp.edge.shots import unpacked
from autoisp_isp.edge.workshop import ANSWER, DATA, FRAMES, JUDGED, MODEL
from autoisp_isp.isolated.limits import end_with, limit_growth, no_core, no_memory, wants_memory


def _answer(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        made = make(
            request["name"],
            (folder / MODEL).read_bytes(),
            unpacked((folder / FRAMES).read_bytes()),
            truth=request["truth"],
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
        return {"error": _parts(no_memory() if wants_memory(error) else error)}
    (folder / DATA).write_bytes(made.data)
    if made.judged is not None:
        (folder / JUDGED).write_bytes(made.judged)
    return {"note": made.note, "seconds": made.seconds_per_megapixel}


def _parts(error: Exception) -> list[Any]:
    if not isinstance(error, AutoISPError):
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        error = InternalError(f"the format can't be made of this graph: {text}", reason="CONVERSION_FAILED")
    return [error.code.value, error.reason, error.message, error.metadata]


def main() -> None:
    """Make it, leave the answer, end."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a stop is for the process that waits
        signal.signal(number, signal.SIG_IGN)
    no_core()
    cv2.setNumThreads(1)
    end_with(sys.stdin.fileno())
    folder, request = Path(sys.argv[1]), json.loads(sys.argv[2])
    limit_growth(request["memory_bytes"])
    answer = _answer(folder, request)
    unfinished = folder / (ANSWER + ".part")
    unfinished.write_text(json.dumps(answer))
    unfinished.rename(folder / ANSWER)


if __name__ == "__main__":
    main()
