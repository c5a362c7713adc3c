"""Uncompressed tar archives of frames. Names only order the frames; nothing is ever unpacked to disk."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.natural_order import natural_key

_MAX_IGNORED = 10_000
_MAX_HEADER_BYTES = 1 << 20
_MAX_MEMBER_BYTES = 1 << 29  # 8192 × 8192 pixels of 16-bit RGB are 400 MB


class _Source:
    """The archive's file. While it is listed, no header may have the reader take gigabytes into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.listing = True
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int) -> bytes:
        if self.listing and size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header in it claims {size} bytes")
        return self._file.read(size)


class FrameArchive:
    """The regular files of an open archive, ordered by name; folders and hidden files are left out.

    Args:
        title: names the archive in messages.
        members: in the order of their names, numbers by their value.
    """

    def __init__(self, archive: tarfile.TarFile, title: str, members: list[tarfile.TarInfo]) -> None:
        self._archive = archive
        self.title = title
        self.members = members

    @property
    def suffixes(self) -> set[str]:
        """Extensions of the members' names, lower case, with the dot."""
        return {suffix_of(member) for member in self.members}

    def has(self, filename: str) -> bool:
        """Whether a member is called so, in whatever folder."""
        return any(PurePosixPath(member.name).name == filename for member in self.members)

    def read(self, member: tarfile.TarInfo, start: int = 0, length: int | None = None) -> bytes:
        """``length`` bytes of a member from ``start`` on; None: all of them.

        Raises:
            InvalidArgumentError: the archive is cut off.
        """
        wanted = member.size - start if length is None else length
        if wanted > _MAX_MEMBER_BYTES:
            raise self.bad_member(member, f"it is larger than {_MAX_MEMBER_BYTES >> 20} MiB")
        try:
            file = self._archive.extractfile(member)
            assert file is not None  # only regular files are members
            file.seek(start)
            data = file.read(wanted)
        except tarfile.TarError as error:
            raise _unreadable(self.title, str(error)) from error
        if len(data) != wanted:
            raise _unreadable(self.title, f"it is cut off in {member.name!r}")
        return data

    def bad_member(self, member: tarfile.TarInfo, why: str) -> InvalidArgumentError:
        """What to raise for a member that can't be a frame."""
        return _bad_member(self.title, member, why)


@contextmanager
def open_archive(path: Path, title: str, max_members: int) -> Iterator[FrameArchive]:
    """Open an uncompressed tar; one member more than ``max_members`` is listed, and no further ones.

    Raises:
        InvalidArgumentError: no tar, compressed, cut off, or with links, devices or a name twice.
    """
    with path.open("rb") as file:
        source = _Source(file)
        try:
            # Uncompressed only: pictures do not compress further, and a compressed archive may be a bomb.
            archive = tarfile.open(fileobj=source, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise _unreadable(title, str(error)) from error
        members = _members(archive, title, max_members)
        source.listing = False
        yield FrameArchive(archive, title, members)


def suffix_of(member: tarfile.TarInfo) -> str:
    """The extension of a member's name, lower case, with the dot."""
    return PurePosixPath(member.name).suffix.lower()


def _members(archive: tarfile.TarFile, title: str, max_members: int) -> list[tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    ignored = 0
    try:
        for member in archive:
            if member.isdir() or PurePosixPath(member.name).name.startswith("."):
                ignored += 1  # folders, and what file managers leave in them
                if ignored > _MAX_IGNORED:
                    raise _unreadable(title, "it is full of things that are no frames")
                continue
            if not member.isreg() or member.issparse():
                raise _bad_member(title, member, "it is not a regular file")
            if member.name in members:
                raise _bad_member(title, member, "it is there twice")
            members[member.name] = member
            if len(members) > max_members:
                break  # one too many is enough for the length check to say so
    except (tarfile.TarError, ValueError, OverflowError) as error:  # the latter two: lying extended headers
        raise _unreadable(title, str(error)) from error
    return sorted(members.values(), key=lambda member: natural_key(member.name))


def _bad_member(title: str, member: tarfile.TarInfo, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{member.name!r} in {title!r} can't be a frame: {why}; the archive must hold frames of one kind and "
        "size, ordered by name, and nothing else",
        reason="INVALID_ARCHIVE",
    )


def _unreadable(title: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{title!r} is no tar archive that can be read, or it is cut off: {why}; make it with: "
        "tar -cf shot.tar -C FOLDER .",
        reason="UNREADABLE_FOOTAGE",
    )
