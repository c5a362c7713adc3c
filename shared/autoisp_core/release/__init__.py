"""What a device gets of a model's version: its files, a manifest of them, and a signature over that.

Only :mod:`autoisp_core.release.ed25519` needs more than the standard library: whoever writes or reads
manifests need not have it.
"""

from autoisp_core.release.envelope import Envelope, Signature, pre_authentication_encoding
from autoisp_core.release.manifest import (
    Manifest,
    ManifestLineage,
    ReleaseFile,
    file_name,
    media_type_of,
)

MANIFEST_NAME = "manifest.json"
"""The file beside the others that holds the signed manifest."""

MANIFEST_FORMAT = "manifest"
"""What the signed manifest is called where formats are."""

__all__ = [
    "MANIFEST_FORMAT",
    "MANIFEST_NAME",
    "Envelope",
    "Manifest",
    "ManifestLineage",
    "ReleaseFile",
    "Signature",
    "file_name",
    "media_type_of",
    "pre_authentication_encoding",
]
