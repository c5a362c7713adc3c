"""Who a process is for NATS: a file with credentials, or with the seed of an nkey."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from autoisp_core.errors import InvalidArgumentError

_SEED = re.compile(r"SU[A-Z2-7]{56}")
_FIELD = "nats_credentials"


def credential_options(path: Path | None) -> Mapping[str, str]:
    """nats-py's words for it; none without a file.

    Args:
        path: of a ``.creds`` file (a user's JWT and seed), or of a user's nkey seed. It is read again at
            every reconnection.

    Raises:
        InvalidArgumentError: field ``nats_credentials``: the file can't be read, or is neither.
    """
    if path is None:
        return {}
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(_FIELD, f"can't read {path}: {error}") from error
    if "BEGIN NATS USER JWT" in text:
        return {"user_credentials": str(path)}
    if _SEED.fullmatch(text.strip()):
        return {"nkeys_seed": str(path)}
    raise InvalidArgumentError(
        _FIELD,
        f"{path} has neither a user's credentials nor the seed of a user's nkey (SU…); make one with "
        "'python -m autoisp_runtime.jetstream.permissions'",
    )
