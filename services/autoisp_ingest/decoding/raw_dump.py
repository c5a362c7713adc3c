"""Dumps of packed raw values: a tar of ``sidecar.json`` and one file for all frames, or one for each."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from autoisp_core.errors import InvalidArgumentError
from numpy.typing import NDArray

from autoisp_ingest.decoding.archive import FrameArchive, suffix_of
from autoisp_ingest.decoding.raw_sidecar import MAX_SIDECAR_BYTES, Sidecar, parse_sidecar
from autoisp_ingest.domain import Footage, FootageLimits, StoredFrame
from autoisp_ingest.domain.media import DUMP_SUFFIX, SIDECAR

_NS = 1_000_000_000


@contextmanager
def open_raw_dump(archive: FrameArchive, limits: FootageLimits) -> Iterator[Footage]:
    """The frames in order of the files' names; see :meth:`autoisp_ingest.usecases.FootageDecoder.open`."""
    title = archive.title
    beside = next(member for member in archive.members if member.name.rpartition("/")[2] == SIDECAR)
    files = [member for member in archive.members if member is not beside]
    for member in files:
        if suffix_of(member) != DUMP_SUFFIX:
            raise archive.bad_member(member, f"beside a {SIDECAR} it must be a {DUMP_SUFFIX}")
    if beside.size > MAX_SIDECAR_BYTES:
        raise archive.bad_member(beside, f"it is larger than {MAX_SIDECAR_BYTES // 1024} KiB")
    sidecar = parse_sidecar(archive.read(beside), title)
    frame_format = sidecar.format
    limits.check_size(title, frame_format.stored_width, frame_format.stored_height)
    places = _places(files, sidecar, title)
    limits.check_length(title, frame_format, len(places))
    step_ns = _NS / sidecar.frame_rate if sidecar.frame_rate else 0.0

    def frames() -> Iterator[StoredFrame]:
        for index, (member, start) in enumerate(places):
            data = archive.read(member, start, sidecar.frame_bytes)
            yield StoredFrame((_mosaic(data, sidecar, index),), round(index * step_ns))

    yield Footage(frame_format, sidecar.frame_rate, sidecar.packing.name, frames(), sidecar.sensor)


def _places(files: list[tarfile.TarInfo], sidecar: Sidecar, title: str) -> list[tuple[tarfile.TarInfo, int]]:
    """Of each frame the file, and where it begins there.

    Raises:
        InvalidArgumentError: the files are not as long as the sidecar says.
    """
    size, found = sidecar.frame_bytes, []
    for file in files:
        count, rest = divmod(file.size, size)
        if rest or not count or (count > 1 and len(files) > 1):
            raise InvalidArgumentError(
                "sidecar.row_stride",
                f"{file.name!r} of {title!r} has {file.size} bytes, and a frame of {sidecar.row_stride} "
                f"bytes a row and {sidecar.format.stored_height} rows has {size}; one file must hold all "
                "frames, or each of them one; correct width, height, packing or row_stride",
                reason="DUMP_SIZE",
            )
        found += [(file, index * size) for index in range(count)]
    if not found:
        raise InvalidArgumentError(
            "chunk",
            f"{title!r} has a {SIDECAR} and no .raw file; put the frames beside it",
            reason="TOO_FEW_FRAMES",
        )
    if sidecar.frames and sidecar.frames != len(found):
        raise InvalidArgumentError(
            "sidecar.frames",
            f"frames of {SIDECAR} is {sidecar.frames}, and {title!r} holds {len(found)}; correct it, or "
            "leave it out",
            reason="DUMP_SIZE",
        )
    return found


def _mosaic(data: bytes, sidecar: Sidecar, index: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    frame_format = sidecar.format
    mosaic = sidecar.packing.rows(data, frame_format.stored_width, sidecar.row_stride)
    highest = int(mosaic.max())
    if highest >> frame_format.bit_depth:
        raise InvalidArgumentError(
            "sidecar.bit_depth",
            f"frame {index + 1} has the value {highest}, more than {frame_format.bit_depth} bits hold; "
            "correct bit_depth, and give little-endian values in their low bits",
            reason="DUMP_VALUES",
        )
    return mosaic.astype(frame_format.dtype, copy=False)
