"""What ingest does, free of gRPC, SQL and codecs: those come in through the ports."""

from autoisp_ingest.usecases.clips import Clips
from autoisp_ingest.usecases.datasets import Datasets, NewDataset
from autoisp_ingest.usecases.leftovers import Leftovers
from autoisp_ingest.usecases.ports import (
    DatasetPublisher,
    FootageDecoder,
    FrameStore,
    FrameWriter,
    IngestStore,
)
from autoisp_ingest.usecases.upload import UploadClip

__all__ = [
    "Clips",
    "DatasetPublisher",
    "Datasets",
    "FootageDecoder",
    "FrameStore",
    "FrameWriter",
    "IngestStore",
    "Leftovers",
    "NewDataset",
    "UploadClip",
]
