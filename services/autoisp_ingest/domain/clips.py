"""Clips: one shot each, and what a client says of one before it sends it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat
from autoisp_core.names import clip_name
from autoisp_core.sensor import SensorProfile

from autoisp_ingest.domain.media import DUMP_SUFFIX, MEDIA_SUFFIXES, SIDECAR, TAR_SUFFIX, VIDEO_SUFFIXES

MAX_TEXT = 255
# Slashes to the eye that Unicode does not fold into one.
_SLASHES = frozenset(
    "/\\\N{FRACTION SLASH}\N{DIVISION SLASH}\N{BIG SOLIDUS}\N{SET MINUS}\N{REVERSE SOLIDUS OPERATOR}"
)
_CLIP_ID_DIGITS = 20  # 80 bits of the digest: a collision among a billion clips has odds of one in a million


@dataclass(frozen=True)
class Clip:
    """One shot, decoded.

    Args:
        id: derived from the source's digest, so the same bytes are the same clip.
        format: of the stored frames.
        frame_count: at least 2, or 1 of a raw still.
        frame_rate: frames per second; 0 if the source does not tell.
        codec: of the source ("h264", "png", "dng", "raw10").
        frames_uri: Zarr v3 group relative to the artifact store; see ``autoisp_runtime.clip_frames``.
        create_time: with a time zone, to the microsecond.
        variable_frame_rate: whether the time between frames varies by more than rounding.
        duration_seconds: from the first frame to the end of the last; 0 if the source does not tell.
        sensor: raw footage only: what its source says of the sensor.
    """

    id: str
    display_name: str
    format: FrameFormat
    frame_count: int
    frame_rate: float
    codec: str
    source_sha256: str
    source_size_bytes: int
    frames_uri: str
    create_time: datetime
    variable_frame_rate: bool = False
    duration_seconds: float = 0.0
    sensor: SensorProfile | None = None

    @property
    def name(self) -> str:
        """``clips/{id}``"""
        return clip_name(self.id)

    @property
    def width(self) -> int:
        """Of the upright picture, pixels, even."""
        return self.format.picture_size[0]

    @property
    def height(self) -> int:
        """Of the upright picture, pixels, even."""
        return self.format.picture_size[1]


@dataclass(frozen=True)
class UploadHeader:
    """What a client says of the bytes before it sends them; not to be believed before they are here.

    Args:
        first_offset: where the stream goes on: so many bytes came in an earlier one.
    """

    filename: str
    size_bytes: int
    sha256: str
    display_name: str = ""
    first_offset: int = 0

    @property
    def suffix(self) -> str:
        """The file name's extension, lower case, with the dot."""
        return PurePosixPath(self.filename).suffix.lower()

    @property
    def title(self) -> str:
        """What people see: the display name, else the file name."""
        return self.display_name or self.filename

    def check(self) -> None:
        """Check the names; size and digest are checked where the bytes are counted.

        Raises:
            InvalidArgumentError: the file name is empty, a path, unprintable, too long or of an unknown kind.
        """
        name = self.filename
        if not name or name != name.strip() or len(name) > MAX_TEXT or not name.isprintable():
            raise InvalidArgumentError(
                "header.filename",
                f"give the file's name with its extension, 1 to {MAX_TEXT} printable characters; "
                f"got {name!r}",
                reason="INVALID_FILENAME",
            )
        folded = unicodedata.normalize("NFKC", name)  # a fullwidth slash or dot is one
        if not _SLASHES.isdisjoint(folded) or folded.startswith("."):
            raise InvalidArgumentError(
                "header.filename",
                f"{name!r} is a path or a hidden file; send the bare file name, such as 'bikes.mp4'",
                reason="INVALID_FILENAME",
            )
        if self.suffix not in MEDIA_SUFFIXES:
            raise InvalidArgumentError(
                "header.filename",
                f"{name!r} has no known extension; send a video ({', '.join(sorted(VIDEO_SUFFIXES))}), a "
                f"camera's raw file (.dng, .nef, .cr2, .arw, …) or a {TAR_SUFFIX} of PNG or TIFF frames, of "
                f"raw files or of {DUMP_SUFFIX} dumps with their {SIDECAR}",
                reason="UNSUPPORTED_MEDIA",
            )
        if len(self.display_name) > MAX_TEXT or not self.display_name.isprintable():
            raise InvalidArgumentError(
                "header.display_name",
                f"display_name must have at most {MAX_TEXT} printable characters, got {self.display_name!r}",
            )


def clip_id_of(source_sha256: str) -> str:
    """The id of the clip made from bytes with this digest.

    >>> clip_id_of("0123456789abcdef" * 4)
    'c0123456789abcdef0123'
    """
    return "c" + source_sha256[:_CLIP_ID_DIGITS]
