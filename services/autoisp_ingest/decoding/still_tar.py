"""A tar archive of PNG or TIFF frames."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat

from autoisp_ingest.decoding.archive import FrameArchive, suffix_of
from autoisp_ingest.decoding.png import png_head
from autoisp_ingest.decoding.stills import StillError, StillHead, common_format, decode_still, still_planes
from autoisp_ingest.decoding.tiff import tiff_head, without_extras
from autoisp_ingest.domain import Footage, FootageLimits, StoredFrame, check_enough_frames

_CODECS = {".png": "png", ".tif": "tiff", ".tiff": "tiff"}
_HEADS = {"png": png_head, "tiff": tiff_head}


@contextmanager
def open_still_archive(archive: FrameArchive, limits: FootageLimits) -> Iterator[Footage]:
    """Finished pictures in order of their names; see :meth:`autoisp_ingest.usecases.FootageDecoder.open`."""
    title, members = archive.title, archive.members
    for member in members:
        if suffix_of(member) not in _CODECS:
            raise archive.bad_member(member, "it is not a .png, .tif or .tiff")
    check_enough_frames(title, len(members))
    limits.check_count(title, len(members))
    # All heads before any pixel: the decoder allocates what they say, and together they tell the format.
    heads = [_head(archive, member, limits) for member in members]
    _check_one_size(members, heads, title)
    frame_format = common_format(heads)
    limits.check_length(title, frame_format, len(members))
    yield Footage(frame_format, 0.0, _codec(members[0]), _frames(archive, frame_format))


def _codec(member: tarfile.TarInfo) -> str:
    return _CODECS[suffix_of(member)]


def _head(archive: FrameArchive, member: tarfile.TarInfo, limits: FootageLimits) -> StillHead:
    try:
        head = _HEADS[_codec(member)](archive.read(member))
    except StillError as error:
        raise archive.bad_member(member, str(error)) from error
    limits.check_size(archive.title, head.width, head.height)
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


def _frames(archive: FrameArchive, frame_format: FrameFormat) -> Iterator[StoredFrame]:
    title = archive.title
    for member in archive.members:
        label = f"{member.name!r}"
        codec, data = _codec(member), archive.read(member)
        data = without_extras(data) if codec == "tiff" else data
        picture = decode_still(codec, data, f"{label} of {title!r}")
        yield StoredFrame(still_planes(picture, frame_format, title, label))
