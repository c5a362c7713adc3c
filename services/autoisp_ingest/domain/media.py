"""Which kinds of files are footage; what a client and the command line go by, too."""

from __future__ import annotations

from autoisp_core.media import (
    CAMERA_RAW_SUFFIXES,
    DUMP_SUFFIX,
    MEDIA_SUFFIXES,
    PICTURE_SUFFIXES,
    SIDECAR,
    TAR_SUFFIX,
    VIDEO_SUFFIXES,
)

__all__ = [
    "CAMERA_RAW_SUFFIXES",
    "DUMP_SUFFIX",
    "MEDIA_SUFFIXES",
    "PICTURE_SUFFIXES",
    "SIDECAR",
    "TAR_SUFFIX",
    "VIDEO_SUFFIXES",
]
