"""Camera raw: one file, or a tar archive of the files of a burst."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.sensor import CFA_TILES, SensorProfile
from numpy.typing import NDArray

from autoisp_ingest.decoding.archive import FrameArchive, suffix_of
from autoisp_ingest.decoding.raw_sensor import sensor_of
from autoisp_ingest.domain import Footage, FootageLimits, StoredFrame
from autoisp_ingest.domain.media import DUMP_SUFFIX, SIDECAR
from autoisp_ingest.libraw import RawError, RawReader, RawSizes

_MAX_FILE_BYTES = 1 << 29
_TURNS = {0: 0, 3: 180, 5: 270, 6: 90}
"""Degrees clockwise by LibRaw's code; the other codes are mirrored."""


@dataclass(frozen=True)
class _Picture:
    mosaic: NDArray[np.uint16]
    cfa: str
    rotation: int
    sensor: SensorProfile

    @property
    def constants(self) -> tuple[object, ...]:
        """What may not change within a clip. Gains and noise may: the first picture's hold for the clip."""
        sensor = self.sensor
        return (self.cfa, self.rotation, sensor.black_level, sensor.white_level)


@contextmanager
def open_raw_file(path: Path, title: str, suffix: str, limits: FootageLimits) -> Iterator[Footage]:
    """Open one raw file as a clip of one frame; see :meth:`autoisp_ingest.usecases.FootageDecoder.open`."""
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise _unreadable(f"{title!r}", f"a raw file has at most {_MAX_FILE_BYTES >> 20} MiB")
    with RawReader() as reader:
        yield _footage(reader, iter([(f"{title!r}", path.read_bytes())]), 1, suffix, title, limits)


@contextmanager
def open_raw_archive(archive: FrameArchive, limits: FootageLimits) -> Iterator[Footage]:
    """A burst, ordered by name; see :meth:`autoisp_ingest.usecases.FootageDecoder.open`."""
    title, members = archive.title, archive.members
    suffix = suffix_of(members[0])
    if suffix == DUMP_SUFFIX:
        raise archive.bad_member(members[0], f"a {DUMP_SUFFIX} needs a {SIDECAR} beside it")
    for member in members:
        if suffix_of(member) != suffix:
            raise archive.bad_member(member, f"it is not a {suffix} as the first")
    limits.check_count(title, len(members))
    files = ((f"{member.name!r} of {title!r}", archive.read(member)) for member in members)
    with RawReader() as reader:
        yield _footage(reader, files, len(members), suffix, title, limits)


def _footage(
    reader: RawReader,
    files: Iterator[tuple[str, bytes]],
    count: int,
    suffix: str,
    title: str,
    limits: FootageLimits,
) -> Footage:
    label, data = next(files)
    first = _read(reader, data, label, title, limits)
    height, width = first.mosaic.shape
    # A sensor's values may lie above what its file calls white: the bits that hold both.
    bit_depth = max(8, int(first.sensor.white_level).bit_length(), int(first.mosaic.max()).bit_length())
    frame_format = FrameFormat(
        FrameKind.BAYER, bit_depth, width, height, rotation=first.rotation, cfa=first.cfa
    )
    limits.check_length(title, frame_format, count)

    def frames() -> Iterator[StoredFrame]:
        yield _frame(first, frame_format)
        for label, data in files:
            picture = _read(reader, data, label, title, limits)
            _check_like_first(picture, first, frame_format, label)
            yield _frame(picture, frame_format)

    return Footage(frame_format, 0.0, suffix.removeprefix("."), frames(), first.sensor)


def _frame(picture: _Picture, frame_format: FrameFormat) -> StoredFrame:
    return StoredFrame((picture.mosaic.astype(frame_format.dtype, copy=False),))


def _read(reader: RawReader, data: bytes, label: str, title: str, limits: FootageLimits) -> _Picture:
    def check(sizes: RawSizes) -> None:
        limits.check_size(title, sizes.width, sizes.height)
        limits.check_size(title, sizes.raw_width, sizes.raw_height)

    try:
        facts, mosaic = reader.read(data, check)
    except RawError as error:
        raise _unreadable(label, str(error)) from error
    if facts.flip not in _TURNS:
        raise _unreadable(label, "its header says that it is mirrored")
    if facts.pattern not in CFA_TILES:
        raise InvalidArgumentError(
            "chunk",
            f"{label} has no Bayer mosaic of 2x2 pixels"
            + (" but another pattern, such as X-Trans" if facts.pattern else "")
            + "; send footage of a Bayer sensor, or finished pictures as PNG or TIFF",
            reason="NO_BAYER_MOSAIC",
        )
    try:
        sensor = sensor_of(data, facts, facts.pattern, title)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            "chunk",
            f"what {label} says of its sensor can't be: {error}; convert it to DNG, or send its values as "
            "a dump with a sidecar",
            reason="INVALID_SENSOR",
        ) from error
    return _Picture(mosaic, facts.pattern, _TURNS[facts.flip], sensor)


def _check_like_first(picture: _Picture, first: _Picture, frame_format: FrameFormat, label: str) -> None:
    height, width = picture.mosaic.shape
    if (height, width) != first.mosaic.shape:
        raise InvalidArgumentError(
            "chunk",
            f"{label} is {width}x{height} while the first is {frame_format.stored_width}x"
            f"{frame_format.stored_height}; a burst has one size",
            reason="FRAME_SIZE_CHANGES",
        )
    if picture.constants != first.constants or int(picture.mosaic.max()) >> frame_format.bit_depth:
        raise InvalidArgumentError(
            "chunk",
            f"{label} has another colour filter, direction, black or white level than the first; a burst is "
            "of one camera held one way",
            reason="SENSOR_CHANGES",
        )


def _unreadable(label: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{label} is no camera raw file that can be read, or it is damaged or cut off: {why}; copy it again, "
        "or convert it to DNG",
        reason="UNREADABLE_FOOTAGE",
    )
