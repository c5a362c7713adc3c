"""What ingest is about, as plain data and rules: clips, limits. Nothing here does input or output."""

from autoisp_ingest.domain.clips import Clip, UploadHeader, clip_id_of
from autoisp_ingest.domain.datasets import (
    Dataset,
    DatasetClip,
    RequestedClip,
    Split,
    check_tags,
    resolve_clips,
)
from autoisp_ingest.domain.footage import Footage, FootageLimits, StoredFrame, check_enough_frames
from autoisp_ingest.domain.live import (
    LIVE_CODEC,
    FrameAssembly,
    FramePart,
    LiveDigest,
    LiveHeader,
    full_range,
)
from autoisp_ingest.domain.media import MEDIA_SUFFIXES, TAR_SUFFIX, VIDEO_SUFFIXES
from autoisp_ingest.domain.timing import Timing
from autoisp_ingest.domain.uploads import Spooled, Upload

__all__ = [
    "LIVE_CODEC",
    "MEDIA_SUFFIXES",
    "TAR_SUFFIX",
    "VIDEO_SUFFIXES",
    "Clip",
    "Dataset",
    "DatasetClip",
    "Footage",
    "FootageLimits",
    "FrameAssembly",
    "FramePart",
    "LiveDigest",
    "LiveHeader",
    "RequestedClip",
    "Split",
    "Spooled",
    "StoredFrame",
    "Timing",
    "Upload",
    "UploadHeader",
    "check_enough_frames",
    "check_tags",
    "clip_id_of",
    "full_range",
    "resolve_clips",
]
