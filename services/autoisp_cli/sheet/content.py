"""What a contact sheet shows, whichever way it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.sensor import SensorProfile
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(height, width, 3), sRGB."""

_KINDS = {
    ingest_pb2.FrameFormat.KIND_RGB: "RGB",
    ingest_pb2.FrameFormat.KIND_YUV: "YUV",
    ingest_pb2.FrameFormat.KIND_GRAY: "gray",
    ingest_pb2.FrameFormat.KIND_BAYER: "raw",
}


@dataclass(frozen=True)
class Strip:
    """One part of the dataset.

    Args:
        title: of the clip.
        use: "train", "validation" or "test".
        facts: short texts about the clip.
        numbers: of the frames shown, in the clip.
        thumbnails: of these frames, all of one height.
        sensor: where the clip has one.
    """

    title: str
    use: str
    facts: tuple[str, ...]
    numbers: tuple[int, ...]
    thumbnails: tuple[Picture, ...]
    sensor: SensorProfile | None = None


@dataclass(frozen=True)
class Sheet:
    """All of it."""

    title: str
    subtitle: str
    strips: tuple[Strip, ...]


def facts_of(clip: ingest_pb2.Clip, part: ingest_pb2.DatasetClip) -> tuple[str, ...]:
    """Size, frames used, rate, duration, depth, layout and codec; what is unknown is left out."""
    end = part.end_frame or clip.frame_count
    facts = [f"{clip.width}×{clip.height}", f"frames {part.first_frame} to {end - 1} of {clip.frame_count}"]
    if clip.frame_rate:
        facts.append(f"{clip.frame_rate:.4g} fps" + (", variable" if clip.variable_frame_rate else ""))
    if clip.duration_seconds:
        facts.append(f"{clip.duration_seconds:.2f} s")
    facts.append(f"{clip.format.bit_depth} bits {_layout(clip.format)}")
    facts.append(clip.codec)
    return tuple(facts)


def _layout(frame_format: ingest_pb2.FrameFormat) -> str:
    kind = _KINDS.get(frame_format.kind, "")
    if frame_format.kind == ingest_pb2.FrameFormat.KIND_YUV:
        steps = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0"}
        return f"{kind} {steps[frame_format.h_step, frame_format.v_step]} {frame_format.matrix}"
    return f"{kind} {frame_format.cfa}".strip()
