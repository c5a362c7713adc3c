"""Which kinds of files are footage; the extension tells."""

from __future__ import annotations

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".ogv", ".y4m"}
)
TAR_SUFFIX = ".tar"
MEDIA_SUFFIXES = VIDEO_SUFFIXES | {TAR_SUFFIX}
