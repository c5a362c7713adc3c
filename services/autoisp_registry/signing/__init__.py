"""Signatures over the manifests of versions, and the keys that make and check them."""

from autoisp_registry.signing.keys import Keyring, open_keyring
from autoisp_registry.signing.signer import ManifestSigner, manifest_of

__all__ = ["Keyring", "ManifestSigner", "manifest_of", "open_keyring"]
