"""What a device gets of a version, in one folder: its files, then the manifest that vouches for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError, NotFoundError
from autoisp_core.release import MANIFEST_NAME, Manifest, ReleaseFile
from autoisp_core.release.checking import Release, check_release, file_problem, files_of, read_manifest
from autoisp_core.release.ed25519 import MAX_PEM_BYTES, PublicKey

from autoisp_client.partial_file import disk_errors


class ReleaseFolder:
    """Gets a version's files into a folder; whoever reads the streams calls it in this order. Blocks.

    Fetch :attr:`manifest_sha256` to :attr:`new_manifest`, then each of :meth:`missing`, then :meth:`finish`.
    The manifest gets its name last: where there is one, everything was checked.

    Args:
        folder: made if missing.
        version: as the registry describes it.
        keys: that are trusted.
        formats: only these; empty: all.

    Raises:
        NotFoundError: the version is not signed.
    """

    def __init__(
        self,
        folder: Path,
        version: registry_pb2.ModelVersion,
        keys: Iterable[PublicKey],
        formats: Sequence[str] = (),
    ) -> None:
        if not version.HasField("signed_manifest"):
            raise NotFoundError(
                version.name,
                f"{version.name} has no signed manifest; have it signed with 'autoisp models convert'",
                reason="NO_MANIFEST",
            )
        self.manifest_sha256 = version.signed_manifest.sha256
        self.new_manifest = folder / f".{MANIFEST_NAME}"
        self._folder, self._name, self._keys, self._formats = folder, version.name, tuple(keys), formats

    def missing(self) -> list[ReleaseFile]:
        """The files that are not in the folder yet, once the manifest has come and is genuine.

        Raises:
            DataLossError: no trusted key signed the manifest.
            InvalidArgumentError: it is no manifest, or of another version.
            NotFoundError: it has none of ``formats``.
        """
        try:
            files = files_of(self._opened(), self._formats)
        except BaseException:
            self.new_manifest.unlink(missing_ok=True)
            raise
        return [file for file in files if file_problem(self._folder, file)]

    def path(self, file: ReleaseFile) -> Path:
        """Where a file goes."""
        return self._folder / file.name

    def finish(self) -> Release:
        """What is in the folder now; the manifest is too, under its name.

        Raises:
            DataLossError, InvalidArgumentError: as :meth:`missing`.
        """
        with disk_errors(self.new_manifest):
            self.new_manifest.replace(self._folder / MANIFEST_NAME)
        return check_release(self._folder, self._keys, self._formats, self._name)

    def _opened(self) -> Manifest:
        return read_manifest(self.new_manifest, self._keys, self._name)[0]


def trusted_keys(keys: Iterable[Path | str]) -> list[PublicKey]:
    """The public keys in these PEM files.

    Raises:
        InvalidArgumentError: field ``keys``, if one can't be read or is something else.
    """
    found = []
    for path in map(Path, keys):
        try:
            with path.open("rb") as file:
                found.append(PublicKey.from_pem(file.read(MAX_PEM_BYTES), "keys"))
        except InvalidArgumentError as error:
            raise InvalidArgumentError("keys", f"{path}: {error.message}") from error
        except OSError as error:
            raise InvalidArgumentError("keys", f"{path}: {error.strerror}") from error
    return found


def keys_of(response: registry_pb2.ListSigningKeysResponse) -> list[PublicKey]:
    """The public keys that a registry names."""
    return [PublicKey.from_pem(key.public_key.encode(), "public_key") for key in response.keys]
