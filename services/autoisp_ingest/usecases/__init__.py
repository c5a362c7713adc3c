"""What ingest does, free of gRPC, SQL and codecs: those come in through the ports."""

from autoisp_ingest.usecases.clips import Clips
from autoisp_ingest.usecases.datasets import Datasets, NewDataset
from autoisp_ingest.usecases.decode import DecodeClip
from autoisp_ingest.usecases.housekeeping import Housekeeping
from autoisp_ingest.usecases.imports import ImportClip, Source, Sources
from autoisp_ingest.usecases.leftovers import Leftovers
from autoisp_ingest.usecases.live import IngestFrames, LiveLimits
from autoisp_ingest.usecases.new_clips import NewClips
from autoisp_ingest.usecases.ports import (
    DatasetPublisher,
    FootageDecoder,
    FrameStore,
    FrameWriter,
    IngestStore,
)
from autoisp_ingest.usecases.reading import Layout, Piece, ReadFrames, Reading, Selection
from autoisp_ingest.usecases.uploads import Spool, Uploads

__all__ = [
    "Clips",
    "DatasetPublisher",
    "Datasets",
    "DecodeClip",
    "FootageDecoder",
    "FrameReader",
    "FrameStore",
    "FrameWriter",
    "Housekeeping",
    "ImportClip",
    "IngestFrames",
    "IngestStore",
    "Layout",
    "Leftovers",
    "LiveLimits",
    "NewClips",
    "NewDataset",
    "Piece",
    "ReadFrames",
    "Reading",
    "Selection",
    "Source",
    "Sources",
    "Spool",
    "Uploads",
]
