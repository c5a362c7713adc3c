"""A tar archive of PNG or TIFF frames. Names only order the frames; nothing is ever unpacked to disk."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat

from autoisp_ingest.decoding.png import png_head
from autoisp_ingest.decoding.stills import StillError, StillHead, common_format, decode_still, still_planes
from autoisp_ingest.decoding.tiff import tiff_head, without_extras
from autoisp_ingest.domain import Footage, FootageLimits, StoredFrame, check_enough_frames

_DIGITS = re.compile(r"([0-9]+)")
_MAX_IGNORED = 10_000
_CODECS = {".png": "png", ".tif": "tiff", ".tiff": "tiff"}
_HEADS = {"png": png_head, "tiff": tiff_head}


@contextmanager
def open_still_tar(path: Path, title: str, limits: FootageLimits) -> Iterator[Footage]:
    """Open an uncompressed tar of stills; see :meth:`autoisp_ingest.usecases.FootageDecoder.open`."""
    try:
        # Uncompressed only: stills do not compress further, and a compressed archive may be a bomb.
        archive = tarfile.open(path, mode="r:")  # noqa: SIM115 - closed below; opening alone may fail so
    except tarfile.TarError as error:
        raise _unreadable(title, str(error)) from error
    with archive:
        members = _frame_members(archive, title, limits)
        check_enough_frames(title, len(members))
        limits.check_count(title, len(members))
        # All heads before any pixel: the decoder allocates what they say, and together they tell the format.
        heads = [_head(archive, member, title, limits) for member in members]
        _check_one_size(members, heads, title)
        frame_format = common_format(heads)
        limits.check_length(title, frame_format, len(members))
        yield Footage(frame_format, 0.0, _codec(members[0]), _frames(archive, members, title, frame_format))


def _frame_members(archive: tarfile.TarFile, title: str, limits: FootageLimits) -> list[tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    ignored = 0
    try:
        for member in archive:
            if member.isdir() or PurePosixPath(member.name).name.startswith("."):
                ignored += 1  # folders, and what file managers leave in them
                if ignored > _MAX_IGNORED:
                    raise _unreadable(title, "it is full of things that are no frames")
                continue
            _check_member(member, title)
            if member.name in members:
                raise _bad_member(title, member, "it is there twice")
            members[member.name] = member
            if len(members) > limits.max_frames:
                break  # one too many is enough for the length check to say so
    except tarfile.TarError as error:
        raise _unreadable(title, str(error)) from error
    return sorted(members.values(), key=lambda member: _natural(member.name))


def _check_member(member: tarfile.TarInfo, title: str) -> None:
    if not member.isreg() or member.issparse():
        raise _bad_member(title, member, "it is not a regular file")
    if PurePosixPath(member.name).suffix.lower() not in _CODECS:
        raise _bad_member(title, member, "it is not a .png, .tif or .tiff")


def _codec(member: tarfile.TarInfo) -> str:
    return _CODECS[PurePosixPath(member.name).suffix.lower()]


def _head(archive: tarfile.TarFile, member: tarfile.TarInfo, title: str, limits: FootageLimits) -> StillHead:
    try:
        head = _HEADS[_codec(member)](_read(archive, member, title))
    except StillError as error:
        raise _bad_member(title, member, str(error)) from error
    limits.check_size(title, head.width, head.height)
    return head


def _check_one_size(members: list[tarfile.TarInfo], heads: list[StillHead], title: str) -> None:
    first = heads[0]
    for member, head in zip(members, heads, strict=True):
        if (head.width, head.height) != (first.width, first.height):
            raise InvalidArgumentError(
                "chunk",
                f"{member.name!r} of {title!r} is {head.width}x{head.height} while the first is "
                f"{first.width}x{first.height}; scale all frames to one size",
                reason="FRAME_SIZE_CHANGES",
            )


def _frames(
    archive: tarfile.TarFile, members: list[tarfile.TarInfo], title: str, frame_format: FrameFormat
) -> Iterator[StoredFrame]:
    for member in members:
        label = f"{member.name!r}"
        codec, data = _codec(member), _read(archive, member, title)
        data = without_extras(data) if codec == "tiff" else data
        picture = decode_still(codec, data, f"{label} of {title!r}")
        yield StoredFrame(still_planes(picture, frame_format, title, label))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, title: str) -> bytes:
    try:
        file = archive.extractfile(member)
        data = file.read() if file else b""
    except tarfile.TarError as error:
        raise _unreadable(title, str(error)) from error
    if len(data) != member.size:
        raise _unreadable(title, f"it is cut off in {member.name!r}")
    return data


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts "frame9" before "frame10": a number sorts by its length, then by its digits."""
    return [
        (len(part.lstrip("0")), part.lstrip("0")) if index % 2 else (-1, part)
        for index, part in enumerate(_DIGITS.split(name))
    ]


def _bad_member(title: str, member: tarfile.TarInfo, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{member.name!r} in {title!r} can't be a frame: {why}; the archive must hold PNG or TIFF files of "
        "one size, ordered by name, and nothing else",
        reason="INVALID_ARCHIVE",
    )


def _unreadable(title: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{title!r} is no tar archive that can be read, or it is cut off: {why}; make it with: "
        "tar -cf shot.tar -C FOLDER .",
        reason="UNREADABLE_FOOTAGE",
    )
