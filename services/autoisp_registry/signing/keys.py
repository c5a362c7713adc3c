"""Where the registry's keys lie."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.release.ed25519 import MAX_PEM_BYTES, PrivateKey, PublicKey

_log = structlog.get_logger(__name__)

_SIGNING, _TRUSTED = "signing_key", "trusted_keys"


@dataclass(frozen=True)
class Keyring:
    """The key that signs, and all whose signatures are good.

    Attributes:
        active: signs new manifests.
        trusted: of earlier keys, or of other registries; without the active one.
    """

    active: PrivateKey
    trusted: tuple[PublicKey, ...] = ()

    @property
    def public(self) -> tuple[PublicKey, ...]:
        """All keys whose signatures are good, the active one first."""
        return (self.active.public, *self.trusted)


def open_keyring(signing_key: Path | None, default: Path, trusted_keys: str = "") -> Keyring:
    """Read the keys; blocks.

    Args:
        signing_key: a private key in PEM; None: the one at ``default``, which is made if it is missing.
        default: in a folder that outlives the process.
        trusted_keys: public keys in PEM: files, or folders of ``*.pem``, with commas between.

    Raises:
        InvalidArgumentError: naming the setting, if a key is missing, of another kind, encrypted, or open to
            everybody.
    """
    active = _private_key(signing_key or _made(default))
    found = {key: None for path in _trusted_files(trusted_keys) for key in [_public_key(path)]}
    return Keyring(active, tuple(key for key in found if key != active.public))


def _made(path: Path) -> Path:
    """``path``, with a key in it: a new one unless it, or a replica that starts now, has made one."""
    if path.exists():
        return path
    key = PrivateKey.generate()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.to_pem())
                file.flush()
                os.fsync(descriptor)
            os.link(name, path)  # complete or not at all, and only the first of several
            _log.info("made a signing key", path=str(path), key_id=key.public.key_id)
        except FileExistsError:
            pass
        finally:
            os.unlink(name)
    except OSError as error:
        raise InvalidArgumentError(
            _SIGNING, f"can't make a signing key at {path}: {error.strerror}; say where one lies"
        ) from error
    return path


def _private_key(path: Path) -> PrivateKey:
    data, mode = _read(path, _SIGNING)
    # Not the group: Kubernetes mounts secrets for one. A warning would be read when it is too late.
    if mode & stat.S_IRWXO:
        raise InvalidArgumentError(
            _SIGNING,
            f"{path} is open to everybody on the machine (mode {stat.S_IMODE(mode):04o}); chmod 600 it, or "
            "mount the secret with defaultMode 0400; if others could have read it, make a new key",
        )
    try:
        return PrivateKey.from_pem(data, _SIGNING)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(_SIGNING, f"{path}: {error.message}") from error


def _public_key(path: Path) -> PublicKey:
    try:
        return PublicKey.from_pem(_read(path, _TRUSTED)[0], _TRUSTED)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(_TRUSTED, f"{path}: {error.message}") from error


def _trusted_files(trusted_keys: str) -> Iterator[Path]:
    for text in filter(None, (part.strip() for part in trusted_keys.split(","))):
        path = Path(text)
        if not path.is_dir():
            yield path
            continue
        files = sorted(path.glob("*.pem"))
        if not files:
            raise InvalidArgumentError(
                _TRUSTED, f"{path} has no *.pem; put public keys there or leave it out"
            )
        yield from files


def _read(path: Path, field: str) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise InvalidArgumentError(field, f"{path} is no file")
            return file.read(MAX_PEM_BYTES), mode
    except OSError as error:
        raise InvalidArgumentError(field, f"can't read {path}: {error.strerror}") from error
