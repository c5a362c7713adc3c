"""Video files and archives of PNG frames, decoded with PyAV into RGB frames."""

from autoisp_ingest.decoding.decoder import AvDecoder

__all__ = ["AvDecoder"]
