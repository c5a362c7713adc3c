"""What the formats are called, and what making one gives."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.errors import FailedPreconditionError

FP32 = "onnx-fp32"
FP16 = "onnx-fp16"
INT8 = "onnx-int8"
EXECUTORCH = "executorch-xnnpack"

FORMATS = (FP32, FP16, INT8, EXECUTORCH)
"""All that can be made, in the order of reports."""


@dataclass(frozen=True)
class Made:
    """A network in one format.

    Attributes:
        data: the file that ships.
        judged: ONNX that gives the pictures a device makes of it, where ONNX Runtime on a CPU would make
            others of the file itself; None: the file does.
        note: how it was made, for people.
        seconds_per_megapixel: where ONNX Runtime can't run the file; None: it can.
    """

    data: bytes
    judged: bytes | None = None
    note: str = ""
    seconds_per_megapixel: float | None = None


def no_footage() -> FailedPreconditionError:
    """Why there is no int8 form."""
    return FailedPreconditionError(
        "static quantisation is calibrated on training clips, and this version names no dataset; register it "
        "with one, or as the result of a search",
        reason="NO_FOOTAGE",
    )
