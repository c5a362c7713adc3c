"""Which files are footage; the extension tells. Lower case, with the dot."""

from __future__ import annotations

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".ogv", ".y4m"}
)
PICTURE_SUFFIXES = frozenset({".png", ".tif", ".tiff"})
"""Finished pictures: frames of a clip."""
CAMERA_RAW_SUFFIXES = frozenset(
    {
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef"),
        *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw"),
    }
)
"""Raw files of cameras: a still each, or the frames of a burst."""
DUMP_SUFFIX = ".raw"
"""Packed raw values, which mean something only beside their sidecar."""
SIDECAR = "sidecar.json"
TAR_SUFFIX = ".tar"
"""Frames of one clip in a row."""
MEDIA_SUFFIXES = VIDEO_SUFFIXES | CAMERA_RAW_SUFFIXES | {TAR_SUFFIX}
"""Files that are a clip each."""


def kind_of(suffix: str) -> str:
    """What frames with this extension may not be mixed with others of: ".tiff" and ".tif" are one kind.

    >>> kind_of(".tiff")
    '.tif'
    """
    return ".tif" if suffix == ".tiff" else suffix
