"""Footage that the server itself reads: files, folders of stills, and objects in buckets."""

from autoisp_ingest.importing.roots import ImportRoots
from autoisp_ingest.importing.sources import AllowedSources

__all__ = ["AllowedSources", "ImportRoots"]
