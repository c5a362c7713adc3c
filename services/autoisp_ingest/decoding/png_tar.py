"""A tar archive of PNG frames. Names only order the frames; nothing is ever unpacked to disk."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from autoisp_core.errors import InvalidArgumentError

from autoisp_ingest.decoding.picture import RgbConverter, even
from autoisp_ingest.decoding.png import PngError, decode_png, png_size
from autoisp_ingest.domain import Footage, FootageLimits, Frame, check_enough_frames

_DIGITS = re.compile(r"([0-9]+)")
_MAX_IGNORED = 10_000


@contextmanager
def open_png_tar(path: Path, title: str, limits: FootageLimits) -> Iterator[Footage]:
    """Open an uncompressed tar of PNG frames; see :meth:`autoisp_ingest.usecases.FootageDecoder.open`."""
    try:
        # Uncompressed only: PNG does not compress further, and a compressed archive may be a bomb.
        archive = tarfile.open(path, mode="r:")  # noqa: SIM115 - closed below; opening alone may fail so
    except tarfile.TarError as error:
        raise _unreadable(title, str(error)) from error
    with archive:
        members = _frame_members(archive, title, limits)
        check_enough_frames(title, len(members))
        width, height = _size(_read(archive, members[0], title), members[0], title)
        limits.check_size(title, width, height)
        limits.check_length(title, even(width), even(height), len(members))
        frames = _frames(archive, members, title, (width, height))
        yield Footage(even(width), even(height), 0.0, "png", frames)


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
    if PurePosixPath(member.name).suffix.lower() != ".png":
        raise _bad_member(title, member, "it is not a .png")


def _frames(
    archive: tarfile.TarFile, members: list[tarfile.TarInfo], title: str, size: tuple[int, int]
) -> Iterator[Frame]:
    convert = RgbConverter(title, *size)
    for member in members:
        data = _read(archive, member, title)
        # The header's size is checked before the decoder allocates for it.
        found = _size(data, member, title)
        if found != size:
            raise InvalidArgumentError(
                "chunk",
                f"{member.name!r} of {title!r} is {found[0]}x{found[1]} while the first is "
                f"{size[0]}x{size[1]}; scale all frames to one size",
                reason="FRAME_SIZE_CHANGES",
            )
        label = f"{member.name!r}"
        yield convert(decode_png(data, f"{label} of {title!r}"), label)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, title: str) -> bytes:
    try:
        file = archive.extractfile(member)
        data = file.read() if file else b""
    except tarfile.TarError as error:
        raise _unreadable(title, str(error)) from error
    if len(data) != member.size:
        raise _unreadable(title, f"it is cut off in {member.name!r}")
    return data


def _size(data: bytes, member: tarfile.TarInfo, title: str) -> tuple[int, int]:
    try:
        return png_size(data)
    except PngError as error:
        raise _bad_member(title, member, str(error)) from error


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts "frame9" before "frame10": a number sorts by its length, then by its digits."""
    return [
        (len(part.lstrip("0")), part.lstrip("0")) if index % 2 else (-1, part)
        for index, part in enumerate(_DIGITS.split(name))
    ]


def _bad_member(title: str, member: tarfile.TarInfo, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{member.name!r} in {title!r} can't be a frame: {why}; the archive must hold PNG files of one size, "
        "ordered by name, and nothing else",
        reason="INVALID_ARCHIVE",
    )


def _unreadable(title: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{title!r} is no tar archive that can be read, or it is cut off: {why}; make it with: "
        "tar -cf shot.tar -C FOLDER .",
        reason="UNREADABLE_FOOTAGE",
    )
