"""The photon transfer curve: noise variance against brightness, measured from raw footage. NumPy only."""

from autoisp_ingest.sensor_profiles.photon_transfer.black_level import black_level_of
from autoisp_ingest.sensor_profiles.photon_transfer.blocks import (
    SIDE,
    Blocks,
    between_frames,
    within_frame,
)
from autoisp_ingest.sensor_profiles.photon_transfer.curve import Curve, measure
from autoisp_ingest.sensor_profiles.photon_transfer.line import Line, Points, fit_line

__all__ = [
    "SIDE",
    "Blocks",
    "Curve",
    "Line",
    "Points",
    "between_frames",
    "black_level_of",
    "fit_line",
    "measure",
    "within_frame",
]
