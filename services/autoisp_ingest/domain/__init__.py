"""What ingest is about, as plain data and rules: clips, limits. Nothing here does input or output."""

from autoisp_ingest.domain.clips import Clip, UploadHeader, clip_id_of
from autoisp_ingest.domain.datasets import Dataset, DatasetClip, RequestedClip, Split, resolve_clips
from autoisp_ingest.domain.footage import Footage, FootageLimits, Frame, check_enough_frames
from autoisp_ingest.domain.media import MEDIA_SUFFIXES, TAR_SUFFIX, VIDEO_SUFFIXES
from autoisp_ingest.domain.uploads import Spooled, Upload

__all__ = [
    "MEDIA_SUFFIXES",
    "TAR_SUFFIX",
    "VIDEO_SUFFIXES",
    "Clip",
    "Dataset",
    "DatasetClip",
    "Footage",
    "FootageLimits",
    "Frame",
    "RequestedClip",
    "Split",
    "Spooled",
    "Upload",
    "UploadHeader",
    "check_enough_frames",
    "clip_id_of",
    "resolve_clips",
]
