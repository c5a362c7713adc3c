"""Video files and archives of stills, decoded with PyAV and kept as they come."""

from autoisp_ingest.decoding.decoder import MediaDecoder

__all__ = ["MediaDecoder"]
